//! Dispatch rows: a step is ready, held by a session, or waits for a timer; never two of them.

use rusqlite::{OptionalExtension, params};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, Lease, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::{OrStore, Result};
use crate::tx::Tx;

/// The row name of a step.
pub(crate) fn step_row(run: RunId, step: Step) -> ([u8; 16], i64) {
    match step {
        Step::Reason => (*run.as_bytes(), 0),
        Step::Action(a) => (*a.as_bytes(), 1),
    }
}

/// Reads a step back.
pub(crate) fn step_of(kind: i64, step: [u8; 16]) -> Step {
    if kind == 0 { Step::Reason } else { Step::Action(tollgate_core::id::ActionId::from_bytes(step)) }
}

/// Makes a step claimable, or hands it to a session at once if its lease stands. `fence` is the last one given out.
pub(crate) fn make_ready(
    tx: &mut Tx<'_>,
    scope: Scope,
    run: RunId,
    step: Step,
    fence: u64,
    claim: Option<SessionId>,
) -> Result<Option<Claimed>> {
    if let Some(session) = claim
        && session_stands(tx, session)?
    {
        return hold(tx, scope, run, step, fence + 1, session).map(Some);
    }
    let (row, kind) = step_row(run, step);
    tx.run(
        "INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![row, run.as_bytes(), kind, int(fence), scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
    )?;
    tx.wake();
    Ok(None)
}

/// Gives a step to a session.
pub(crate) fn hold(tx: &Tx<'_>, scope: Scope, run: RunId, step: Step, fence: u64, session: SessionId) -> Result<Claimed> {
    let (row, kind) = step_row(run, step);
    tx.run(
        "INSERT INTO held (step, run_id, kind, fence, session, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            row,
            run.as_bytes(),
            kind,
            int(fence),
            session.as_bytes(),
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int()
        ],
    )?;
    Ok(Claimed { scope, run, step, lease: Lease { session, fence } })
}

/// Whether a session's lease stands, by the store's clock.
pub(crate) fn session_stands(tx: &Tx<'_>, session: SessionId) -> Result<bool> {
    let expires: Option<i64> =
        tx.sql("SELECT expires_at FROM sessions WHERE id = ?1")?.query_row([session.as_bytes()], |r| r.get(0)).optional().or_store()?;
    Ok(expires.is_some_and(|e| e > tx.now().as_micros()))
}

/// The fence of every write: the step is held by this lease, and the session's lease stands by the store's clock.
///
/// # Errors
/// [`StoreError::LeaseLost`]; nothing may be written then.
pub(crate) fn check(tx: &Tx<'_>, run: RunId, step: Step, lease: Lease) -> Result<()> {
    let (row, _) = step_row(run, step);
    let held: Option<i64> = tx
        .sql("SELECT s.expires_at FROM held h JOIN sessions s ON s.id = h.session WHERE h.step = ?1 AND h.session = ?2 AND h.fence = ?3")?
        .query_row(params![row, lease.session.as_bytes(), int(lease.fence)], |r| r.get(0))
        .optional()
        .or_store()?;
    match held {
        Some(expires) if expires > tx.now().as_micros() => Ok(()),
        _ => Err(StoreError::LeaseLost),
    }
}

/// Ends a claim that was checked.
pub(crate) fn release(tx: &Tx<'_>, run: RunId, step: Step) -> Result<()> {
    tx.run("DELETE FROM held WHERE step = ?1", [step_row(run, step).0])?;
    Ok(())
}

/// Sets an action's step aside until a time.
pub(crate) fn set_timer(tx: &mut Tx<'_>, scope: Scope, run: RunId, step: Step, fence: u64, at: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO timers (at, step, run_id, fence, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            at.as_micros(),
            step_row(run, step).0,
            run.as_bytes(),
            int(fence),
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int()
        ],
    )?;
    tx.wake();
    Ok(())
}

/// Takes a step out of ready and timers, wherever it is: it was disposed while it waited.
pub(crate) fn forget(tx: &Tx<'_>, run: RunId, step: Step) -> Result<()> {
    let (row, _) = step_row(run, step);
    tx.run("DELETE FROM ready WHERE step = ?1", [row])?;
    tx.run("DELETE FROM timers WHERE step = ?1", [row])?;
    Ok(())
}
