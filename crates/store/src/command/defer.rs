//! An action set aside: its attempt is closed, the lane stays its own, a timer brings it back.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::attempt::AttemptResult;
use tollgate_core::ports::{CloseAttempt, Defer, Step, StoreError, set_aside};
use tollgate_core::time::Timestamp;

use crate::command::dispatch;
use crate::command::runs::{load_action, set_state};
use crate::error::Result;
use crate::tx::{ActionChange, ActionHead, StepRow, Tx};

/// Closes what ended and waits.
pub(crate) fn defer(tx: &mut dyn Tx, c: &Defer) -> Result<()> {
    let step = Step::Action(c.action);
    dispatch::check(tx, c.run, step, c.lease)?;
    let a = load_action(tx, c.scope, c.action)?;
    let trigger = if c.state == ActionState::Backoff { Trigger::Deferred } else { Trigger::Doubted };
    if a.state.on(trigger) != Some(c.state) {
        return Err(StoreError::Conflict(format!("an action that is {} cannot become {}", a.state, c.state)));
    }
    check_close(&a, c.close.as_ref())?;
    if let Some(close) = &c.close {
        close_attempt(tx, &a, close)?;
    }
    set_state(tx, (c.scope, a.run), c.action, a.state, trigger)?;
    let (doubt_deadline, until) = by_this_clock(&a, c);
    let fence = set_aside(c.lease.fence);
    let change = ActionChange::Deferred {
        in_doubt: c.attempts.in_doubt,
        generation: c.generation,
        doubt_deadline,
        verify_failures: c.attempts.verify_failures,
        fence,
    };
    tx.change_action(c.action, &change)?;
    tx.release(c.run, step)?;
    tx.put_timer(&StepRow { scope: c.scope, run: c.run, step, fence, terms: a.terms }, until)?;
    tx.wake();
    Ok(())
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
pub(crate) fn close_attempt(tx: &mut dyn Tx, a: &ActionHead, close: &CloseAttempt) -> Result<()> {
    tx.append(a.scope, &close.entry)?;
    tx.change_action(a.id, &ActionChange::Closed { end: close.entry.id })
}
