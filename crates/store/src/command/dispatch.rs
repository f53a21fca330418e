//! What becomes of a step: ready, held by a session, set aside.

use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, Lease, Step, StoreError};

use crate::apart;
use crate::error::Result;
use crate::tx::{StepRow, Tx, step_name};

/// Makes a step claimable, or hands it to a session at once if its lease stands, any worker may have it and nothing limits it.
pub(crate) fn make_ready(tx: &mut dyn Tx, row: &StepRow, claim: Option<SessionId>) -> Result<Option<Claimed>> {
    if let Some(session) = claim
        && row.terms.is_free()
        && !tx.leaves_word()
        && session_stands(tx, session)?
    {
        return hold(tx, row, session).map(Some);
    }
    tx.put_ready(row)?;
    tx.wake();
    Ok(None)
}

/// Gives a step to a session, under the next fence.
pub(crate) fn hold(tx: &mut dyn Tx, row: &StepRow, session: SessionId) -> Result<Claimed> {
    let fence = row.fence + 1;
    tx.hold(&StepRow { fence, ..*row }, session)?;
    Ok(Claimed { scope: row.scope, run: row.run, step: row.step, lease: Lease { session, fence } })
}

/// Whether a session's lease stands, by the store's clock.
pub(crate) fn session_stands(tx: &mut dyn Tx, session: SessionId) -> Result<bool> {
    let expires = tx.session(session)?;
    Ok(expires.is_some_and(|e| e > tx.now()))
}

/// The fence of every write: the step is held by this lease, and the session's lease stands by the store's clock.
///
/// # Errors
/// [`StoreError::LeaseLost`]; nothing may be written then.
pub(crate) fn check(tx: &mut dyn Tx, run: RunId, step: Step, lease: Lease) -> Result<()> {
    let held = tx.held(run, step)?.is_some_and(|h| h.session == lease.session && h.fence == lease.fence);
    let over = held && tx.leaves_word() && apart::is_over(tx, step_name(run, step), lease.fence)?;
    if held && !over && session_stands(tx, lease.session)? { Ok(()) } else { Err(StoreError::LeaseLost) }
}
