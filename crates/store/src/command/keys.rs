//! Effect keys: one row makes one idempotency key take effect once, for ever.

use tollgate_core::action::ActionState;
use tollgate_core::gate::{KeyLook, KeyRow, KeyState, look_at_key};
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ports::{KeyChange, KeyClaim, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::lanes::wake_action;
use crate::error::{Result, damaged};
use crate::tx::{ActionHead, KeyEnd, KeyRecord, KeyRowState, Tx};

/// What stays with a key that is free again.
#[derive(Clone, Copy)]
pub(crate) struct Generation {
    /// The generation that the next action starts from.
    pub(crate) next: u32,
    /// When the remote first saw it; 0 when it has not.
    pub(crate) began: Timestamp,
}

impl Generation {
    /// The one that an action has.
    pub(crate) const fn of(a: &ActionHead) -> Self {
        Self { next: a.generation, began: a.attempts.generation_began }
    }
}

fn row(r: &KeyRecord) -> Result<Option<KeyRow>> {
    let by = r.action;
    let state = match (r.state, r.receipt) {
        (KeyRowState::Reserved, None) => KeyState::Reserved(by),
        (KeyRowState::InDoubt, None) => KeyState::InDoubt(by),
        (KeyRowState::Consumed, Some(receipt)) => KeyState::Consumed { by, receipt },
        (KeyRowState::Free, None) => return Ok(None),
        _ => return Err(damaged("an effect key")),
    };
    Ok(Some(KeyRow { state, fingerprint: r.fingerprint }))
}

/// What an action sees at its key.
pub(crate) fn look(tx: &mut dyn Tx, me: ActionId, claim: &KeyClaim) -> Result<KeyLook> {
    let found = tx.key(&claim.key)?.as_ref().map(row).transpose()?.flatten();
    Ok(look_at_key(found.as_ref(), me, &claim.fingerprint))
}

/// Reserves a free key under the unique constraint.
pub(crate) fn reserve(tx: &mut dyn Tx, scope: Scope, me: ActionId, claim: &KeyClaim) -> Result<()> {
    if tx.reserve_key(scope, me, claim)? {
        Ok(())
    } else {
        Err(StoreError::Conflict("the effect key is held by another action".to_owned()))
    }
}

/// Settles the key of an action that reserved it, and wakes who waits when it is consumed or free.
pub(crate) fn settle(tx: &mut dyn Tx, a: &ActionHead, claim: &KeyClaim, change: KeyChange, receipt: EntryId, g: Generation) -> Result<()> {
    match change {
        KeyChange::None => return Ok(()),
        KeyChange::Consume => {
            if !tx.end_key(&claim.key, a.id, KeyEnd::Consumed(receipt))? {
                return Err(damaged("the effect key of an applied action"));
            }
        }
        KeyChange::Free => return give_back(tx, a, claim, g),
        KeyChange::Doubt => {
            tx.end_key(&claim.key, a.id, KeyEnd::InDoubt)?;
            return Ok(());
        }
    }
    wake_waiters(tx, a.scope, claim)
}

/// Gives back the key of an action that waits after attempts which did not happen. Another of this key may hold the lane in event order and
/// wait for it, and this one would wait for the lane.
pub(crate) fn let_go(tx: &mut dyn Tx, a: &ActionHead) -> Result<()> {
    match &a.key {
        Some(claim) => give_back(tx, a, claim, Generation::of(a)),
        None => Ok(()),
    }
}

/// Makes a key free again that this action reserved, if it did: it is known that nothing happened under it.
fn give_back(tx: &mut dyn Tx, a: &ActionHead, claim: &KeyClaim, g: Generation) -> Result<()> {
    tx.end_key(&claim.key, a.id, KeyEnd::Free { generation: g.next, began: g.began })?;
    wake_waiters(tx, a.scope, claim)
}

fn wake_waiters(tx: &mut dyn Tx, scope: Scope, claim: &KeyClaim) -> Result<()> {
    for (action, run) in tx.take_waiters(&claim.key)? {
        wake_action(tx, scope, run, action, ActionState::WaitingKey)?;
    }
    Ok(())
}
