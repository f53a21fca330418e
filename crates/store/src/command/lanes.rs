//! Lanes: the lowest ticket holds, and is passed on in the transaction that ends the holder.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;

use crate::command::dispatch::make_ready;
use crate::error::Result;
use crate::tx::{StepRow, Ticket, Tx};

/// Takes a ticket unless the step has one already; answers whether it holds the lane.
pub(crate) fn take(tx: &mut dyn Tx, scope: Scope, lane: &Digest, step: [u8; 16], run: RunId) -> Result<bool> {
    let ticket = Ticket { step, run };
    match tx.lane_head(lane)? {
        Some(t) if t.step == step => return Ok(true),
        Some(_) => {}
        None => {
            tx.push_ticket(scope, lane, ticket)?;
            return Ok(true);
        }
    }
    if !tx.has_ticket(lane, step)? {
        tx.push_ticket(scope, lane, ticket)?;
    }
    Ok(false)
}

/// Gives a ticket back. If it held the lane, the next in it is made ready.
pub(crate) fn leave(tx: &mut dyn Tx, scope: Scope, lane: &Digest, step: [u8; 16]) -> Result<()> {
    leave_for(tx, scope, lane, step, Terms::default())
}

/// The same; a reasoning step that is next waits on these terms.
pub(crate) fn leave_for(tx: &mut dyn Tx, scope: Scope, lane: &Digest, step: [u8; 16], terms: Terms) -> Result<()> {
    let held = tx.lane_head(lane)?.is_some_and(|t| t.step == step);
    tx.drop_ticket(lane, step)?;
    if held {
        pass_on(tx, scope, lane, terms)?;
    }
    Ok(())
}

/// Wakes whoever holds the lane now, if it waits for that.
fn pass_on(tx: &mut dyn Tx, scope: Scope, lane: &Digest, terms: Terms) -> Result<()> {
    let Some(next) = tx.lane_head(lane)? else { return Ok(()) };
    if next.step == *next.run.as_bytes() {
        // A reasoning step: it had no dispatch row while it waited.
        make_ready(tx, &StepRow { scope, run: next.run, step: Step::Reason, fence: 0, terms }, None)?;
        return Ok(());
    }
    wake_action(tx, scope, next.run, ActionId::from_bytes(next.step), ActionState::WaitingLane)
}

/// Makes an action ready that waits in this state; leaves it alone in any other.
pub(crate) fn wake_action(tx: &mut dyn Tx, scope: Scope, run: RunId, action: ActionId, waits: ActionState) -> Result<()> {
    let Some(to) = waits.on(Trigger::Woken) else { return Ok(()) };
    let (fence, terms) = tx.waiting(scope, action)?.ok_or(StoreError::NotFound)?;
    // Kept on its row while it waits, so that fences never repeat.
    if tx.move_action((scope, run), action, waits, to)? {
        make_ready(tx, &StepRow { scope, run, step: Step::Action(action), fence, terms }, None)?;
    }
    Ok(())
}
