//! A worker for one run on SQLite: how the run stands, and claims of its steps. One process takes everything there, so that nothing but the
//! conformance of the two engines asks for this, and its statements go over the queue.

use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{ClaimedOf, RunStands, StoreError};
use tollgate_core::scope::Scope;

use crate::command::dispatch::session_stands;
use crate::error::Result;
use crate::query::lists::read_stands;
use crate::sqlite::exec::{sets, steps, take};
use crate::sqlite::tx::SqliteTx;
use crate::tx::{Query, StepRow, Tx};
use crate::value::values;

/// Claims steps of one run. What is parked takes its place under its limits past the others, if there is one.
pub(super) fn claim_of(tx: &mut SqliteTx<'_>, session: SessionId, run: RunId, limit: u32) -> Result<ClaimedOf> {
    if !session_stands(tx, session)? {
        return Err(StoreError::LeaseLost);
    }
    if tx.epoch()? > 0 {
        return Ok(ClaimedOf::default());
    }
    let sets = sets(tx, session)?;
    let fits = |row: &StepRow| sets.as_ref().is_none_or(|s| s.contains(&row.terms.label));
    let parked = steps(tx, "SELECT * FROM parked WHERE run_id = ?1 ORDER BY due, n", [run.as_bytes()])?;
    for (n, _) in parked.iter().filter(|(_, row)| fits(row)) {
        tx.let_in(*n)?;
    }
    let ready = steps(tx, "SELECT * FROM ready WHERE run_id = ?1 ORDER BY n", [run.as_bytes()])?;
    let unfit = parked.iter().chain(&ready).filter(|(_, row)| !fits(row)).count();
    let fit = ready.iter().filter(|(_, row)| fits(row)).take(limit as usize);
    let claimed = fit.map(|(n, row)| take(tx, session, *n, row)).collect::<Result<_>>()?;
    Ok(ClaimedOf { claimed, unfit: u32::try_from(unfit).unwrap_or(u32::MAX) })
}

/// How one run stands.
pub(super) fn stands(scope: Scope, run: RunId) -> Query<RunStands> {
    Query {
        text:
            "SELECT state, reason, EXISTS (SELECT 1 FROM ready q WHERE q.run_id = ?1) OR EXISTS (SELECT 1 FROM parked q WHERE q.run_id = ?1)
             FROM runs WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3"
                .into(),
        values: values![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: read_stands,
    }
}
