//! An action set aside: its attempt is closed, the lane stays its own, a timer brings it back.

use rusqlite::params;
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::attempt::AttemptResult;
use tollgate_core::ports::{CloseAttempt, Defer, Step, StoreError};
use tollgate_core::time::Timestamp;

use crate::command::dispatch;
use crate::command::runs::set_state;
use crate::error::Result;
use crate::query::heads::{ActionHead, load_head};
use crate::tx::Tx;

/// Closes what ended and waits.
pub(crate) fn defer(tx: &mut Tx<'_>, c: &Defer) -> Result<()> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    let a = load_head(tx.connection(), c.scope, c.action)?.ok_or(StoreError::NotFound)?;
    let trigger = if c.state == ActionState::Backoff { Trigger::Deferred } else { Trigger::Doubted };
    if a.state.on(trigger) != Some(c.state) {
        return Err(StoreError::Conflict(format!("an action that is {} cannot become {}", a.state, c.state)));
    }
    check_close(&a, c.close.as_ref())?;
    if let Some(close) = &c.close {
        close_attempt(tx, &a, close)?;
    }
    set_state(tx, c.action, a.state, trigger)?;
    let (doubt_deadline, until) = by_this_clock(&a, c);
    tx.run(
        "UPDATE actions SET in_doubt = ?2, generation_began = CASE WHEN generation = ?3 THEN generation_began ELSE 0 END, generation = ?3, doubt_deadline = ?4, verify_failures = ?5, fence = ?6 WHERE id = ?1",
        params![
            c.action.as_bytes(),
            c.attempts.in_doubt,
            c.generation,
            doubt_deadline.as_micros(),
            c.attempts.verify_failures,
            crate::codec::int(c.lease.fence)
        ],
    )?;
    dispatch::release(tx, c.run, Step::Action(c.action))?;
    dispatch::set_timer(tx, c.scope, c.run, Step::Action(c.action), c.lease.fence, until)
}

/// The deadline of a doubt that this attempt began, and the end of the wait for it, by the store's clock: the worker's may be minutes off,
/// and a remote that is asked too early has not applied yet what it will.
fn by_this_clock(a: &ActionHead, c: &Defer) -> (Timestamp, Timestamp) {
    let theirs = c.attempts.doubt_deadline;
    match (&c.close, a.deadline_at) {
        (Some(close), Some(ours)) if close.result == AttemptResult::Ambiguous => {
            let moved = ours.as_micros().saturating_sub(theirs.as_micros());
            (ours.max(a.attempts.doubt_deadline), Timestamp::from_micros(c.until.as_micros().saturating_add(moved)))
        }
        _ => (theirs, c.until),
    }
}

/// Exactly one result closes each intent: none without an open one, none twice.
pub(crate) fn check_close(a: &ActionHead, close: Option<&CloseAttempt>) -> Result<()> {
    match (&a.open, close) {
        (Some(open), Some(close)) if open.attempt == close.attempt => Ok(()),
        (None, None) => Ok(()),
        (Some(_), None) => Err(StoreError::Conflict("an intent is still open".to_owned())),
        _ => Err(StoreError::Conflict("the attempt is closed already".to_owned())),
    }
}

/// Writes the result of an attempt.
pub(crate) fn close_attempt(tx: &mut Tx<'_>, a: &ActionHead, close: &CloseAttempt) -> Result<()> {
    tx.append(a.scope, &close.entry)?;
    tx.run("UPDATE actions SET last_end = ?2, open_session = NULL WHERE id = ?1", params![a.id.as_bytes(), close.entry.id.as_bytes()])?;
    Ok(())
}
