//! The disposition: attempt result, receipt, key, step, lane and next steps, in one transaction.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::attempt::AttemptResult;
use tollgate_core::gate::KeyLook;
use tollgate_core::graph::Outcome;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ApprovalEnd, Authority, Dispose, Disposed, KeyChange, KeyClaim, Step, StoreError};
use tollgate_core::spec::OnUnknown;
use tollgate_core::time::Timestamp;

use crate::command::defer::{check_close, close_attempt};
use crate::command::keys::Generation;
use crate::command::runs::{advance_run, load_action, set_state};
use crate::command::{approval, compensate, dispatch, graph, keys, lanes};
use crate::error::Result;
use crate::tx::{ActionChange, ActionHead, Tx};

/// Disposes an action, once.
pub(crate) fn dispose(tx: &mut dyn Tx, c: &Dispose) -> Result<Disposed> {
    let a = load_action(tx, c.scope, c.action)?;
    let unknown = c.disposal.disposition == Disposition::Unknown;
    let trigger = if unknown { Trigger::DisposedUnknown } else { Trigger::Disposed };
    check_authority(tx, c, &a)?;
    if a.state.on(trigger).is_none() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot be disposed `{}`", a.state, c.disposal.disposition)));
    }
    check_close(&a, c.close.as_ref())?;

    if let Some(close) = &c.close {
        close_attempt(tx, &a, close)?;
    }
    for entry in &c.disposal.entries {
        tx.append(c.scope, entry)?;
    }
    tx.append(c.scope, &c.disposal.receipt)?;
    set_state(tx, (c.scope, a.run), c.action, a.state, trigger)?;
    write_disposal(tx, c)?;
    match c.authority {
        Authority::Lease(_) => tx.release(c.run, Step::Action(c.action))?,
        Authority::Parked(_) => {
            tx.forget(c.run, Step::Action(c.action))?;
            approval::withdraw(tx, c, &a)?;
        }
        Authority::Approval(id, end) => approval::end(tx, c, &a, id, end)?,
        Authority::Epoch => {
            tx.forget(c.run, Step::Action(c.action))?;
            tx.release(c.run, Step::Action(c.action))?;
            approval::withdraw(tx, c, &a)?;
        }
    }
    if a.state == ActionState::Blocked {
        compensate::unblock(tx, c.action)?;
    }
    if let Some(claim) = &a.key {
        if a.state == ActionState::WaitingKey {
            tx.drop_waiter(&claim.key, c.action)?;
        }
        let change = if c.authority == Authority::Epoch { carried_key(tx, c, claim)? } else { c.disposal.key };
        // What a later action of this key cites: the receipt, or the word of the person who knew.
        let word = c.disposal.entries.first().filter(|_| c.authority == Authority::Epoch);
        keys::settle(tx, &a, claim, change, word.map_or(c.disposal.receipt.id, |e| e.id), generation(&a, c))?;
    } else if c.disposal.key != KeyChange::None {
        return Err(StoreError::Conflict("the action has no effect key".to_owned()));
    }
    let undo = match (&c.compensation, c.disposal.disposition) {
        (Some(undo), Disposition::Applied) => compensate::append(tx, &a, undo, c.at, c.claim)?,
        _ => compensate::Appended::default(),
    };
    if let Some(lane) = &a.lane
        && !(unknown && c.disposal.on_unknown == OnUnknown::Hold)
    {
        lanes::leave(tx, c.scope, lane, *c.action.as_bytes())?;
    }
    let mut disposed = match a.node {
        Some(node) => {
            let end = graph::ActionEnd {
                outcome: Outcome::of_action(c.disposal.disposition),
                reason: &c.disposal.reason,
                output: c.disposal.output.as_deref(),
            };
            graph::end_action(tx, &a, node, &end, c.at, c.claim)?
        }
        None => advance_run(tx, c.scope, c.run, c.at, &c.spare, c.claim)?,
    };
    disposed.claimed.extend(undo.claimed);
    disposed.woken += undo.woken;
    Ok(disposed)
}

/// A definite rejection spends the generation: a remote may keep it under its key. What was not sent does not.
fn generation(a: &ActionHead, c: &Dispose) -> Generation {
    match &c.close {
        Some(close) if close.result == AttemptResult::Rejected => Generation { next: a.generation + 1, began: Timestamp::default() },
        _ => Generation::of(a),
    }
}

fn check_authority(tx: &mut dyn Tx, c: &Dispose, a: &ActionHead) -> Result<()> {
    match c.authority {
        Authority::Lease(lease) => dispatch::check(tx, c.run, Step::Action(c.action), lease),
        // Ready and backoff are no such states: a worker may hold the step already, and would find its action gone under it.
        Authority::Parked(state) if a.state == state && (state.is_waiting() || state == ActionState::Proposed) => Ok(()),
        Authority::Parked(_) => Err(StoreError::Conflict(format!("the action is {} by now", a.state))),
        // Nobody works while an epoch holds.
        Authority::Epoch if tx.epoch()? > 0 => Ok(()),
        Authority::Epoch => Err(StoreError::Conflict("no epoch holds writes".to_owned())),
        Authority::Approval(id, end) => {
            if a.state != ActionState::WaitingApproval || a.approval != Some(id) {
                return Err(StoreError::Conflict("the approval request is answered already".to_owned()));
            }
            approval::check_end(tx, c.scope, id, end == ApprovalEnd::Expired)
        }
    }
}

/// What becomes of the key of an action that was carried out in a time that the store forgot: it is taken, unless another action has it.
fn carried_key(tx: &mut dyn Tx, c: &Dispose, claim: &KeyClaim) -> Result<KeyChange> {
    match keys::look(tx, c.action, claim)? {
        KeyLook::Free => keys::reserve(tx, c.scope, c.action, claim).map(|()| KeyChange::Consume),
        KeyLook::Mine => Ok(KeyChange::Consume),
        _ => Ok(KeyChange::None),
    }
}

fn write_disposal(tx: &mut dyn Tx, c: &Dispose) -> Result<()> {
    let d = &c.disposal;
    let change = ActionChange::Disposed {
        disposition: d.disposition,
        reason: &d.reason,
        detail: d.detail.as_deref(),
        receipt: d.receipt.id,
        output: d.output.as_deref(),
    };
    tx.change_action(c.action, &change)
}
