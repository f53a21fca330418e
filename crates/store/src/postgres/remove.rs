//! A tenant's removal on Postgres: functions of the schema's owner do it, a stretch of a table's file at a time.

use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::ports::BoxFuture;
use tollgate_core::run::RunState;

use crate::codec::int;
use crate::error::Result;
use crate::postgres::connection::Param;
use crate::postgres::keep::final_states;
use crate::postgres::store::Postgres;
use crate::removal::Removes;
use crate::retention::Removal;
use crate::value::values;

impl Removes for Postgres {
    fn under_way(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>> {
        let (draft, done) = (RunState::Draft.as_int().into(), ActionState::Done.as_int().into());
        let params = vec![Param::One(tenant.as_bytes().into()), Param::Many(final_states()), Param::One(draft), Param::One(done)];
        Box::pin(self.upkeep("SELECT keep_tenant_open($1, $2, $3, $4)", params, |r| r.at(0)))
    }

    fn unsigned(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.upkeep("SELECT keep_tenant_unsigned($1)", vec![Param::One(tenant.as_bytes().into())], |r| r.at(0)))
    }

    fn search(&self, tenant: TenantId, table: &'static str, removal: Removal) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let (newest, emptied) = match removal {
                Removal::Emptied(columns) => (true, columns.unwrap_or_default()),
                _ => (false, ""),
            };
            let (mut gone, mut at) = (0, Some((0, 0)));
            while let Some((part, block)) = at {
                let all = values![tenant.as_bytes(), table, int(part), int(block), newest, emptied];
                let params = all.into_iter().map(Param::One).collect();
                let text = "SELECT gone, next_part, next_block FROM keep_tenant($1, $2, $3, $4, $5, $6)";
                let (n, next) = self.upkeep(text, params, |r| Ok((r.at::<u64>(0)?, r.at::<Option<u64>>(1)?.zip(r.at(2)?)))).await?;
                gone += n;
                at = next;
            }
            Ok(gone)
        })
    }
}
