//! A worker for one run on Postgres: how the run stands, and claims of its steps. The function of the dispatch role is given what the steps
//! are of, which a worker may read under row security.

use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, ClaimedOf, Lease, RunStands};
use tollgate_core::scope::Scope;

use crate::backend::Backend;
use crate::error::Result;
use crate::postgres::connection::{Param, Tenants};
use crate::postgres::exec::NOW;
use crate::postgres::store::Postgres;
use crate::query::lists::read_stands;
use crate::row::Row;
use crate::tx::{Query, StepName, step_of};
use crate::value::values;

impl Postgres {
    /// Claims steps of one run.
    pub(crate) async fn claim_of(&self, session: SessionId, scope: Scope, run: RunId, limit: u32) -> Result<ClaimedOf> {
        // What is disposed has no step any more.
        let text = format!(
            "SELECT * FROM claim_of($2, $3, ARRAY(SELECT a.id FROM actions a WHERE a.run_id = $3 AND a.receipt IS NULL) || $3::uuid, $4, {NOW})"
        );
        let params = vec![Param::One(session.as_bytes().into()), Param::One(run.as_bytes().into()), Param::One(limit.into())];
        let mut out = ClaimedOf::default();
        for r in self.dispatch_as(Tenants::of([scope]), text, params).await?.iter().map(Row::Postgres) {
            let Some(fence) = r.get("fence")? else {
                out.unfit += 1;
                continue;
            };
            let step = step_of(r.get("kind")?, StepName { step: r.get("step")?, node: r.get("node")? })?;
            let run = RunId::from_bytes(r.get("run_id")?);
            out.claimed.push(Claimed { scope: r.scope()?, run, step, lease: Lease { session, fence } });
        }
        Ok(out)
    }

    /// How one run stands.
    pub(crate) async fn stands(&self, scope: Scope, run: RunId) -> Result<Option<RunStands>> {
        let text = "SELECT r.state, r.reason, \
               EXISTS (SELECT FROM ready q WHERE q.step = ANY (ARRAY(SELECT a.id FROM actions a WHERE a.run_id = $1 AND a.receipt IS NULL) || $1::uuid)) \
               OR EXISTS (SELECT FROM parked q WHERE q.step = ANY (ARRAY(SELECT a.id FROM actions a WHERE a.run_id = $1 AND a.receipt IS NULL) || $1::uuid)) \
             FROM runs r WHERE r.id = $1 AND r.tenant_id = $2 AND r.mode = $3";
        let values = values![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()];
        self.one(Query { text: text.into(), values, read: read_stands }, scope).await
    }
}
