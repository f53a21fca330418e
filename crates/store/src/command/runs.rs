//! The run machine inside the store: after a change in one action, what becomes callable, what is skipped, how the run stands.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::entries::{Committer, action_ref, new_entry};
use tollgate_core::id::{ActionId, EntryId, RunId, SessionId};
use tollgate_core::ledger::{Body, Disposition, Receipt, Refs};
use tollgate_core::ports::{Disposed, Step, StoreError};
use tollgate_core::run::{ActionView, advance};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::{dispatch, graph, lanes};
use crate::error::{Result, damaged};
use crate::tx::{ActionChange, ActionHead, RunChange, RunRow, StepRow, Tx};

/// A run of this tenant and mode.
pub(crate) fn load_run(tx: &mut dyn Tx, scope: Scope, run: RunId) -> Result<RunRow> {
    tx.run(scope, run)?.ok_or(StoreError::NotFound)
}

/// An action of this tenant and mode.
pub(crate) fn load_action(tx: &mut dyn Tx, scope: Scope, action: ActionId) -> Result<ActionHead> {
    tx.head(scope, action)?.ok_or(StoreError::NotFound)
}

/// Moves a run on.
pub(crate) fn advance_run(
    tx: &mut dyn Tx,
    scope: Scope,
    run: RunId,
    at: Timestamp,
    spare: &[EntryId],
    claim: Option<SessionId>,
) -> Result<Disposed> {
    let row = load_run(tx, scope, run)?;
    if row.graph.is_some() {
        return graph::look_again(tx, scope, run, &row, at);
    }
    let views = tx.views(scope, run)?;
    let plain: Vec<ActionView> = views.iter().map(|v| v.view).collect();
    let step = advance(&plain, row.cancelling);
    let mut claimed = Vec::new();
    let mut woken = 0;
    for i in &step.ready {
        let Some(v) = views.get(*i) else { continue };
        set_state(tx, (scope, run), v.id, ActionState::Proposed, Trigger::Callable)?;
        match dispatch::make_ready(tx, &StepRow { scope, run, step: Step::Action(v.id), fence: 0, terms: v.terms }, claim)? {
            Some(c) => claimed.push(c),
            None => woken += 1,
        }
    }
    for i in &step.skip {
        let (Some(v), Some(id)) = (views.get(*i), spare.get(*i)) else { return Err(damaged("the length of a plan")) };
        skip(tx, scope, v.id, *id, at)?;
    }
    let state = step.state.unwrap_or(row.state);
    if state != row.state {
        tx.change_run(scope, run, &RunChange::State(state), at)?;
    }
    Ok(Disposed { claimed, woken, run: state })
}

/// Moves an action by the table; anything else is damage, for commands check before they write.
pub(crate) fn set_state(tx: &mut dyn Tx, of: (Scope, RunId), action: ActionId, from: ActionState, trigger: Trigger) -> Result<ActionState> {
    let to = from.on(trigger).ok_or_else(|| StoreError::Conflict(format!("an action that is {from} cannot take `{trigger:?}`")))?;
    if tx.move_action(of, action, from, to)? { Ok(to) } else { Err(StoreError::Conflict(format!("the action is no longer {from}"))) }
}

/// Disposes an action that will never be callable. Its receipt needs nothing but what the row holds.
fn skip(tx: &mut dyn Tx, scope: Scope, action: ActionId, id: EntryId, at: Timestamp) -> Result<()> {
    let record = tx.record(scope, action)?.ok_or(StoreError::NotFound)?;
    let receipt = Receipt {
        of: action_ref(&record),
        disposition: Disposition::Skipped,
        verdict: None,
        reason: "earlier_action_failed".to_owned(),
        decision: None,
        attempts: 0,
        refs: Refs::default(),
        args_differ: false,
        stub: false,
        committed: Committer::new(record.salt).proposal(&record.proposal),
    };
    let entry = new_entry(id, scope, at, Body::Receipt(Box::new(receipt))).map_err(|e| StoreError::Conflict(e.to_string()))?;
    tx.append(scope, &entry)?;
    set_state(tx, (scope, record.run), action, ActionState::Proposed, Trigger::Disposed)?;
    let reason = "earlier_action_failed";
    let change = ActionChange::Disposed { disposition: Disposition::Skipped, reason, detail: None, receipt: id, output: None };
    tx.change_action(action, &change)?;
    if let Some(lane) = &record.lane {
        lanes::leave(tx, scope, lane, *action.as_bytes())?;
    }
    Ok(())
}
