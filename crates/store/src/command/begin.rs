//! The intent: durable before the call, or the call does not happen.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::gate::KeyLook;
use tollgate_core::id::ActionId;
use tollgate_core::ports::{BeginAttempt, Begun, KeyClaim, Lease, Step, StoreError, set_aside};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::approval::approved;
use crate::command::ingest::check_rev;
use crate::command::runs::{load_action, load_run, set_state};
use crate::command::{dispatch, keys, lanes};
use crate::error::Result;
use crate::tx::{ActionChange, ActionHead, Tx};

/// Steps 6 to 8 of the gate, in one transaction: key, lane, approval, cancellation, then the intent.
pub(crate) fn begin(tx: &mut dyn Tx, c: &BeginAttempt) -> Result<Begun> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    check_rev(tx, c.rev)?;
    let a = load_action(tx, c.scope, c.action)?;
    if a.state.on(Trigger::Began).is_none() || a.open.is_some() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot be called", a.state)));
    }
    if c.generation != a.generation {
        // Another action of this key was rejected meanwhile, and spent the generation that this one was rendered for.
        return Err(StoreError::Stale);
    }
    // In doubt, the same call goes again whatever else was decided meanwhile; before that, cancellation comes first, and
    // stops all but what it brought about.
    if !a.attempts.in_doubt && !a.compensates && load_run(tx, c.scope, c.run)?.cancelling {
        return Ok(Begun::Cancelled);
    }
    let mut free = false;
    if let Some(claim) = &a.key {
        match key_look(tx, c, &a, claim)? {
            KeyLook::Free => free = true,
            KeyLook::Mine => {}
            other => return Ok(Begun::Key(other)),
        }
        if let Some(entry) = tx.denial(claim)? {
            return Ok(Begun::Denied(entry));
        }
    }
    if let Some((approval, binding)) = &c.approval
        && !approved(tx, *approval, c.action, binding)?
    {
        return Ok(Begun::NotApproved);
    }
    if let Some(lane) = &a.lane
        && !lanes::take(tx, c.scope, lane, *c.action.as_bytes(), c.run)?
    {
        park(tx, &a, Trigger::LaneBusy, c.lease)?;
        tx.release(c.run, Step::Action(c.action))?;
        return Ok(Begun::LaneBusy);
    }
    if let (Some(claim), true) = (&a.key, free) {
        keys::reserve(tx, c.scope, c.action, claim)?;
    }
    write_intent(tx, c, &a)?;
    Ok(Begun::Intent)
}

/// Looks at the key; an action whose key another holds is parked and gives its ticket back.
fn key_look(tx: &mut dyn Tx, c: &BeginAttempt, a: &ActionHead, claim: &KeyClaim) -> Result<KeyLook> {
    let look = keys::look(tx, c.action, claim)?;
    if matches!(look, KeyLook::Held { .. }) {
        park_for_key(tx, a, claim, c.lease)?;
    }
    Ok(look)
}

fn park_for_key(tx: &mut dyn Tx, a: &ActionHead, claim: &KeyClaim, lease: Lease) -> Result<()> {
    park(tx, a, Trigger::KeyHeld, lease)?;
    tx.wait_for_key(a.scope, &claim.key, a.id, a.run)?;
    tx.release(a.run, Step::Action(a.id))?;
    leave_lane(tx, a)
}

/// Gives the place in the lane back, unless the action keeps it through waiting.
pub(crate) fn leave_lane(tx: &mut dyn Tx, a: &ActionHead) -> Result<()> {
    match &a.lane {
        Some(lane) if !a.strict => lanes::leave(tx, a.scope, lane, *a.id.as_bytes()),
        _ => Ok(()),
    }
}

/// Looks at the key for the gate's second step, and parks the action when another holds it.
pub(crate) fn look_at_key(tx: &mut dyn Tx, scope: Scope, action: ActionId, lease: Lease) -> Result<KeyLook> {
    let a = load_action(tx, scope, action)?;
    dispatch::check(tx, a.run, Step::Action(action), lease)?;
    let Some(claim) = a.key else { return Ok(KeyLook::Free) };
    let look = keys::look(tx, action, &claim)?;
    if matches!(look, KeyLook::Held { .. }) && a.state.on(Trigger::KeyHeld).is_some() {
        park_for_key(tx, &a, &claim, lease)?;
    }
    if matches!(look, KeyLook::Free | KeyLook::Mine)
        && let Some(entry) = tx.denial(&claim)?
    {
        return Ok(KeyLook::Denied(entry));
    }
    Ok(look)
}

/// Keeps the fence on the row, since no dispatch row holds it while the action waits.
pub(crate) fn park(tx: &mut dyn Tx, a: &ActionHead, trigger: Trigger, lease: Lease) -> Result<ActionState> {
    let to = set_state(tx, (a.scope, a.run), a.id, a.state, trigger)?;
    tx.change_action(a.id, &ActionChange::Fence(set_aside(lease.fence)))?;
    Ok(to)
}

fn write_intent(tx: &mut dyn Tx, c: &BeginAttempt, a: &ActionHead) -> Result<()> {
    tx.append(c.scope, &c.entry)?;
    set_state(tx, (a.scope, a.run), c.action, a.state, Trigger::Began)?;
    // The first attempt of a generation starts the clock of the remote's key.
    let fresh = c.generation != a.generation || a.attempts.generation_began == Timestamp::default();
    let began = if fresh { tx.now() } else { a.attempts.generation_began };
    // The caller's span by this clock: whoever judges the deadline later may run on a machine whose clock is not the caller's.
    let deadline_at = tx.now().plus(c.deadline_at.since(c.entry.at));
    let change = ActionChange::Began {
        attempt: c.attempt,
        generation: c.generation,
        generation_began: began,
        rendered: &c.rendered,
        deadline_at,
        intent: c.entry.id,
        session: c.lease.session,
    };
    tx.change_action(c.action, &change)
}
