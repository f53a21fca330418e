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
use crate::retention::{Removal, not_over, not_signed, removed};
use crate::value::values;

impl Postgres {
    /// What of the tenant is not over.
    pub(super) async fn under_way(&self, tenant: TenantId) -> Result<u64> {
        let (draft, done) = (RunState::Draft.as_int().into(), ActionState::Done.as_int().into());
        let params = vec![Param::One(tenant.as_bytes().into()), Param::Many(final_states()), Param::One(draft), Param::One(done)];
        self.upkeep("SELECT keep_tenant_open($1, $2, $3, $4)", params, |r| r.at(0)).await
    }

    /// Takes a tenant away.
    pub(super) async fn remove_tenant(&self, tenant: TenantId) -> Result<BTreeMap<String, u64>> {
        let mut gone = BTreeMap::new();
        let mut before = None;
        for (table, removal) in removed() {
            let asking = removal == Removal::Asking;
            if before != Some(asking) {
                // Once more when nobody asks any more, and nothing is decided by what was in force.
                self.write(Needs::default().configures(), |tx| tx.raise_rev()).await?;
                self.ready(tenant).await?;
                before = Some(asking);
            }
            // What came, or moved, behind the search is searched for again.
            let of_table: &mut u64 = gone.entry(table.to_owned()).or_default();
            loop {
                let n = self.rows(tenant, table, removal).await?;
                *of_table += n;
                if n == 0 {
                    break;
                }
            }
        }
        Ok(gone)
    }

    /// Whether it can go.
    async fn ready(&self, tenant: TenantId) -> Result<()> {
        let unsigned = "SELECT keep_tenant_unsigned($1)";
        match (self.under_way(tenant).await?, self.upkeep(unsigned, vec![Param::One(tenant.as_bytes().into())], |r| r.at(0)).await?) {
            (0, 0) => Ok(()),
            (0, unsigned) => Err(not_signed(unsigned)),
            (open, _) => Err(not_over(open)),
        }
    }

    /// Its rows of one table, from the table's beginning to its end.
    async fn rows(&self, tenant: TenantId, table: &str, removal: Removal) -> Result<u64> {
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
    }
}
