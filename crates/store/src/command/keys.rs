//! Effect keys: one row makes one idempotency key take effect once, for ever.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::ActionState;
use tollgate_core::gate::{KeyLook, KeyRow, KeyState, look_at_key};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId, RunId};
use tollgate_core::ports::{KeyChange, KeyClaim, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::lanes::wake_action;
use crate::error::{OrStore, Result, damaged};
use crate::query::heads::ActionHead;
use crate::tx::{Tx, digest_of};

const RESERVED: i64 = 0;
const IN_DOUBT: i64 = 1;
const CONSUMED: i64 = 2;
const FREE: i64 = 3;

/// What stays with a key that is free again.
#[derive(Clone, Copy)]
pub(crate) struct Generation {
    /// The generation that the next action starts from.
    pub(crate) next: u32,
    /// When the remote first saw it; 0 when it has not.
    pub(crate) began: Timestamp,
}

/// The row of a key.
pub(crate) fn read(tx: &Tx<'_>, key: &Digest) -> Result<Option<KeyRow>> {
    type Raw = (i64, [u8; 16], Option<[u8; 16]>, Vec<u8>);
    let raw: Option<Raw> = tx
        .sql("SELECT state, action, receipt, fingerprint FROM effect_keys WHERE key = ?1")?
        .query_row([key.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
        .optional()
        .or_store()?;
    let Some((state, action, receipt, fingerprint)) = raw else { return Ok(None) };
    let by = ActionId::from_bytes(action);
    let state = match (state, receipt) {
        (RESERVED, None) => KeyState::Reserved(by),
        (IN_DOUBT, None) => KeyState::InDoubt(by),
        (CONSUMED, Some(receipt)) => KeyState::Consumed { by, receipt: EntryId::from_bytes(receipt) },
        (FREE, None) => return Ok(None),
        _ => return Err(damaged("an effect key")),
    };
    Ok(Some(KeyRow { state, fingerprint: digest_of(&fingerprint)? }))
}

/// What an action sees at its key.
pub(crate) fn look(tx: &Tx<'_>, me: ActionId, claim: &KeyClaim) -> Result<KeyLook> {
    Ok(look_at_key(read(tx, &claim.key)?.as_ref(), me, &claim.fingerprint))
}

/// Reserves a free key under the unique constraint.
pub(crate) fn reserve(tx: &Tx<'_>, scope: Scope, me: ActionId, claim: &KeyClaim) -> Result<()> {
    let n = tx.run(
        "INSERT INTO effect_keys (key, reseller_id, tenant_id, mode, state, action, fingerprint) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)
         ON CONFLICT (key) DO UPDATE SET state = 0, action = excluded.action, fingerprint = excluded.fingerprint WHERE state = 3",
        params![
            claim.key.0,
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int(),
            me.as_bytes(),
            claim.fingerprint.0
        ],
    )?;
    if n == 1 { Ok(()) } else { Err(StoreError::Conflict("the effect key is held by another action".to_owned())) }
}

/// Lists an action as waiting for a key.
pub(crate) fn wait(tx: &Tx<'_>, key: &Digest, me: ActionId, run: RunId) -> Result<()> {
    tx.run(
        "INSERT INTO key_waiters (key, action, run_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![key.0, me.as_bytes(), run.as_bytes()],
    )?;
    Ok(())
}

/// Settles a key that this action reserved, and wakes who waits when it is consumed or free.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    scope: Scope,
    key: &Digest,
    me: ActionId,
    change: KeyChange,
    receipt: EntryId,
    generation: Generation,
) -> Result<()> {
    let mine = params![key.0, me.as_bytes()];
    match change {
        KeyChange::None => return Ok(()),
        KeyChange::Consume => {
            let n = tx.run(
                "UPDATE effect_keys SET state = 2, receipt = ?3 WHERE key = ?1 AND action = ?2 AND state <> 2",
                params![key.0, me.as_bytes(), receipt.as_bytes()],
            )?;
            if n != 1 {
                return Err(damaged("the effect key of an applied action"));
            }
        }
        KeyChange::Free => return give_back(tx, scope, key, me, generation),
        KeyChange::Doubt => {
            tx.run("UPDATE effect_keys SET state = 1 WHERE key = ?1 AND action = ?2 AND state = 0", mine)?;
            return Ok(());
        }
    }
    wake_waiters(tx, scope, key)
}

/// Gives back the key of an action that waits after attempts which did not happen. Another of this key may hold the lane in event order and
/// wait for it, and this one would wait for the lane.
pub(crate) fn let_go(tx: &mut Tx<'_>, a: &ActionHead) -> Result<()> {
    match &a.key {
        Some(c) => give_back(tx, a.scope, &c.key, a.id, Generation { next: a.generation, began: a.attempts.generation_began }),
        None => Ok(()),
    }
}

/// Makes a key free again that this action reserved, if it did: it is known that nothing happened under it.
fn give_back(tx: &mut Tx<'_>, scope: Scope, key: &Digest, me: ActionId, generation: Generation) -> Result<()> {
    tx.run(
        "UPDATE effect_keys SET state = 3, generation = ?3, began = ?4 WHERE key = ?1 AND action = ?2 AND state <> 2",
        params![key.0, me.as_bytes(), generation.next, generation.began.as_micros()],
    )?;
    wake_waiters(tx, scope, key)
}

fn wake_waiters(tx: &mut Tx<'_>, scope: Scope, key: &Digest) -> Result<()> {
    let waiters: Vec<([u8; 16], [u8; 16])> = tx
        .sql("SELECT action, run_id FROM key_waiters WHERE key = ?1 ORDER BY action")?
        .query_map([key.0], |r| Ok((r.get(0)?, r.get(1)?)))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()?;
    if waiters.is_empty() {
        return Ok(());
    }
    tx.run("DELETE FROM key_waiters WHERE key = ?1", [key.0])?;
    for (action, run) in waiters {
        wake_action(tx, scope, RunId::from_bytes(run), ActionId::from_bytes(action), ActionState::WaitingKey)?;
    }
    Ok(())
}
