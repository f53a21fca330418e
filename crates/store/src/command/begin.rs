//! The intent: durable before the call, or the call does not happen.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::gate::KeyLook;
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ports::{BeginAttempt, Begun, KeyClaim, Lease, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::command::ingest::check_rev;
use crate::command::runs::{load_run, set_state};
use crate::command::{dispatch, keys, lanes};
use crate::error::{OrStore, Result};
use crate::query::heads::{ActionHead, load_head};
use crate::tx::Tx;

/// Steps 6 to 8 of the gate, in one transaction: key, lane, approval, cancellation, then the intent.
pub(crate) fn begin(tx: &mut Tx<'_>, c: &BeginAttempt) -> Result<Begun> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    check_rev(tx, c.rev)?;
    let a = load_head(tx.connection(), c.scope, c.action)?.ok_or(StoreError::NotFound)?;
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
    if let Some(claim) = &a.key {
        match key_look(tx, c, &a, claim)? {
            KeyLook::Free | KeyLook::Mine => {}
            other => return Ok(Begun::Key(other)),
        }
        if let Some(entry) = denial(tx, claim)? {
            return Ok(Begun::Denied(entry));
        }
    }
    if let Some((approval, binding)) = &c.approval
        && !approved(tx, *approval, c.action, &binding.0)?
    {
        return Ok(Begun::NotApproved);
    }
    if let Some(lane) = &a.lane
        && !lanes::take(tx, lane, *c.action.as_bytes(), c.run)?
    {
        park(tx, c.action, a.state, Trigger::LaneBusy, c.lease)?;
        dispatch::release(tx, c.run, Step::Action(c.action))?;
        return Ok(Begun::LaneBusy);
    }
    write_intent(tx, c, &a)?;
    Ok(Begun::Intent)
}

/// Looks at the key; an action whose key another holds is parked and gives its ticket back.
fn key_look(tx: &mut Tx<'_>, c: &BeginAttempt, a: &ActionHead, claim: &KeyClaim) -> Result<KeyLook> {
    let look = keys::look(tx, c.action, claim)?;
    if matches!(look, KeyLook::Held { .. }) {
        park_for_key(tx, c.scope, a, claim, c.lease)?;
    }
    Ok(look)
}

fn park_for_key(tx: &mut Tx<'_>, scope: Scope, a: &ActionHead, claim: &KeyClaim, lease: Lease) -> Result<()> {
    park(tx, a.id, a.state, Trigger::KeyHeld, lease)?;
    keys::wait(tx, &claim.key, a.id, a.run)?;
    dispatch::release(tx, a.run, Step::Action(a.id))?;
    if let (Some(lane), false) = (&a.lane, is_strict(tx, a.id)?) {
        lanes::leave(tx, scope, lane, *a.id.as_bytes())?;
    }
    Ok(())
}

/// Looks at the key for the gate's second step, and parks the action when another holds it.
pub(crate) fn look_at_key(tx: &mut Tx<'_>, scope: Scope, action: ActionId, lease: Lease) -> Result<KeyLook> {
    let a = load_head(tx.connection(), scope, action)?.ok_or(StoreError::NotFound)?;
    dispatch::check(tx, a.run, Step::Action(action), lease)?;
    let Some(claim) = a.key else { return Ok(KeyLook::Free) };
    let look = keys::look(tx, action, &claim)?;
    if matches!(look, KeyLook::Held { .. }) && a.state.on(Trigger::KeyHeld).is_some() {
        park_for_key(tx, scope, &a, &claim, lease)?;
    }
    if matches!(look, KeyLook::Free | KeyLook::Mine)
        && let Some(entry) = denial(tx, &claim)?
    {
        return Ok(KeyLook::Denied(entry));
    }
    Ok(look)
}

/// Keeps the fence on the row, since no dispatch row holds it while the action waits.
pub(crate) fn park(tx: &Tx<'_>, action: ActionId, from: ActionState, trigger: Trigger, lease: Lease) -> Result<()> {
    set_state(tx, action, from, trigger)?;
    tx.run("UPDATE actions SET fence = ?2 WHERE id = ?1", params![action.as_bytes(), int(lease.fence)])?;
    Ok(())
}

/// Whether the action keeps its ticket through waiting.
pub(crate) fn is_strict(tx: &Tx<'_>, action: ActionId) -> Result<bool> {
    tx.sql("SELECT strict FROM actions WHERE id = ?1")?.query_row([action.as_bytes()], |r| r.get(0)).or_store()
}

fn denial(tx: &Tx<'_>, claim: &KeyClaim) -> Result<Option<EntryId>> {
    let found: Option<[u8; 16]> = tx
        .sql("SELECT entry FROM denials WHERE key = ?1 AND fingerprint = ?2")?
        .query_row(params![claim.key.0, claim.fingerprint.0], |r| r.get(0))
        .optional()
        .or_store()?;
    Ok(found.map(EntryId::from_bytes))
}

/// The approval is this action's, was given by every queue, and is bound to what is about to happen.
fn approved(tx: &Tx<'_>, approval: tollgate_core::id::ApprovalId, action: ActionId, binding: &[u8; 32]) -> Result<bool> {
    tx.sql("SELECT EXISTS (SELECT 1 FROM approvals WHERE id = ?1 AND action = ?2 AND status = 'approved' AND binding = ?3)")?
        .query_row(params![approval.as_bytes(), action.as_bytes(), binding], |r| r.get(0))
        .or_store()
}

fn write_intent(tx: &mut Tx<'_>, c: &BeginAttempt, a: &ActionHead) -> Result<()> {
    if let Some(claim) = &a.key
        && keys::read(tx, &claim.key)?.is_none()
    {
        keys::reserve(tx, c.scope, c.action, claim)?;
    }
    tx.append(c.scope, &c.entry)?;
    set_state(tx, c.action, a.state, Trigger::Began)?;
    // The first attempt of a generation starts the clock of the remote's key.
    let fresh = c.generation != a.generation || a.attempts.generation_began == Timestamp::default();
    let began = if fresh { tx.now() } else { a.attempts.generation_began };
    // The caller's span by this clock: whoever judges the deadline later may run on a machine whose clock is not the caller's.
    let deadline_at = tx.now().plus(c.deadline_at.since(c.entry.at));
    tx.run(
        "UPDATE actions SET attempts = ?2, generation = ?3, rendered = ?4, deadline_at = ?5, last_intent = ?6, open_session = ?7,
           generation_began = ?8 WHERE id = ?1",
        params![
            c.action.as_bytes(),
            c.attempt,
            c.generation,
            c.rendered,
            deadline_at.as_micros(),
            c.entry.id.as_bytes(),
            c.lease.session.as_bytes(),
            began.as_micros()
        ],
    )?;
    Ok(())
}
