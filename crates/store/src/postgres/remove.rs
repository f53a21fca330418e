//! A tenant's removal on Postgres: functions of the schema's owner do it, a stretch of a table's file at a time.

use std::collections::BTreeMap;

use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::run::RunState;

use crate::backend::Backend as _;
use crate::codec::int;
use crate::error::Result;
use crate::needs::Needs;
use crate::postgres::connection::Param;
use crate::postgres::keep::final_states;
use crate::postgres::store::Postgres;
use crate::retention::{Removal, removed, under_way};
use crate::value::values;

impl Postgres {
    /// Takes a tenant away.
    pub(super) async fn remove_tenant(&self, tenant: TenantId) -> Result<BTreeMap<String, u64>> {
        let whose = || Param::One(tenant.as_bytes().into());
        let (draft, done) = (RunState::Draft.as_int().into(), ActionState::Done.as_int().into());
        let params = vec![whose(), Param::Many(final_states()), Param::One(draft), Param::One(done)];
        let open: u64 = self.upkeep("SELECT keep_tenant_open($1, $2, $3, $4)", params, |r| r.at(0)).await?;
        if open > 0 {
            return Err(under_way(open));
        }
        let mut gone = BTreeMap::new();
        for (table, removal) in removed() {
            let (newest, emptied) = match removal {
                Removal::Emptied(columns) => (true, columns.unwrap_or_default()),
                _ => (false, ""),
            };
            let (mut of_table, mut at) = (0, Some((0, 0)));
            while let Some((part, block)) = at {
                let all = values![tenant.as_bytes(), table, int(part), int(block), newest, emptied];
                let params = all.into_iter().map(Param::One).collect();
                let text = "SELECT gone, next_part, next_block FROM keep_tenant($1, $2, $3, $4, $5, $6)";
                let (n, next) = self.upkeep(text, params, |r| Ok((r.at::<u64>(0)?, r.at::<Option<u64>>(1)?.zip(r.at(2)?)))).await?;
                of_table += n;
                at = next;
            }
            gone.insert(table.to_owned(), of_table);
            if removal == Removal::First {
                // Nothing is decided any more by what was in force.
                self.write(Needs::default().configures(), |tx| tx.raise_rev()).await?;
            }
        }
        Ok(gone)
    }
}
