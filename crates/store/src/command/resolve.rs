//! A person's word on an `unknown`: the key is consumed or free, the lane is passed on, the run moves.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::graph::Outcome;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{Disposed, KeyChange, Resolve, Step, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::keys::Generation;
use crate::command::plan::leave_reason_lane;
use crate::command::runs::{advance_run, load_action, load_run, set_state};
use crate::command::{compensate, graph, keys, lanes};
use crate::error::Result;
use crate::tx::{ActionChange, RunChange, RunRow, Tx};

/// Resolves an `unknown`, once.
pub(crate) fn resolve(tx: &mut dyn Tx, c: &Resolve) -> Result<Disposed> {
    let a = load_action(tx, c.scope, c.action)?;
    if a.state != ActionState::Unknown {
        return Err(StoreError::Conflict(format!("the action is {}, not unknown", a.state)));
    }
    if !c.applied && a.deadline_at.is_some_and(|d| d > tx.now()) {
        let message = "the call may still be under way: whether it did not happen can be said when its deadline has passed";
        return Err(StoreError::Conflict(message.to_owned()));
    }
    tx.append(c.scope, &c.entry)?;
    set_state(tx, (c.scope, a.run), c.action, ActionState::Unknown, Trigger::Resolved)?;
    tx.change_action(c.action, &ActionChange::Resolved(c.applied))?;
    if let Some(claim) = &a.key {
        let change = if c.applied { KeyChange::Consume } else { KeyChange::Free };
        // The remote keeps what it knows of this generation: should the person be wrong, it still recognises the repetition.
        keys::settle(tx, &a, claim, change, c.entry.id, Generation::of(&a))?;
    }
    if let (Some(undo), true) = (&c.compensation, c.applied) {
        compensate::append(tx, &a, undo, c.at, None)?;
    }
    if let Some(lane) = &a.lane {
        lanes::leave(tx, c.scope, lane, *c.action.as_bytes())?;
    }
    let Some(node) = a.node else { return advance_run(tx, c.scope, a.run, c.at, &c.spare, None) };
    let outcome = if c.applied { Outcome::Succeeded } else { Outcome::Failed };
    graph::end_action(tx, &a, node, &graph::ActionEnd { outcome, reason: "resolved_not_applied", output: None }, c.at, None)
}

/// Marks a run as being cancelled; lists its actions that wait and can be disposed at once.
pub(crate) fn cancel_run(tx: &mut dyn Tx, scope: Scope, run: RunId, at: Timestamp) -> Result<Vec<ActionId>> {
    let row = load_run(tx, scope, run)?;
    if row.state.is_final() {
        return Err(StoreError::Conflict(format!("the run is {} already", row.state)));
    }
    if row.state == RunState::Queued {
        unask(tx, scope, run, &row, at)?;
        return Ok(Vec::new());
    }
    if row.graph.is_some() {
        graph::cancel(tx, scope, run, &row, at)?;
    }
    tx.change_run(scope, run, &RunChange::Cancelling, at)?;
    let waits = |s: ActionState| {
        matches!(s, ActionState::Proposed | ActionState::WaitingKey | ActionState::WaitingLane | ActionState::WaitingApproval)
    };
    let views = tx.views(scope, run)?.into_iter();
    let found = views.filter(|v| if v.compensates { v.view.state == ActionState::Blocked } else { waits(v.view.state) });
    Ok(found.map(|v| v.id).collect())
}

/// Ends a run that has no plan yet. Its operator is not asked any more, and what a worker that asks it just now brings home is thrown
/// away with the worker's claim: a plan stored after this would wait for ever.
fn unask(tx: &mut dyn Tx, scope: Scope, run: RunId, row: &RunRow, at: Timestamp) -> Result<()> {
    tx.change_run(scope, run, &RunChange::Unasked, at)?;
    tx.forget(run, Step::Reason)?;
    tx.release(run, Step::Reason)?;
    leave_reason_lane(tx, scope, run, row)
}
