//! A person's word on an `unknown`: the key is consumed or free, the lane is passed on, the run moves.

use rusqlite::params;
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{Disposed, KeyChange, Resolve, Step, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::keys::Generation;
use crate::command::plan::leave_reason_lane;
use crate::command::runs::{advance_run, load_run, set_state};
use crate::command::{compensate, dispatch, keys, lanes};
use crate::error::{OrStore, Result};
use crate::query::heads::load_head;
use crate::tx::Tx;

/// Resolves an `unknown`, once.
pub(crate) fn resolve(tx: &mut Tx<'_>, c: &Resolve) -> Result<Disposed> {
    let a = load_head(tx.connection(), c.scope, c.action)?.ok_or(StoreError::NotFound)?;
    if a.state != ActionState::Unknown {
        return Err(StoreError::Conflict(format!("the action is {}, not unknown", a.state)));
    }
    if !c.applied && a.deadline_at.is_some_and(|d| d > tx.now()) {
        let message = "the call may still be under way: whether it did not happen can be said when its deadline has passed";
        return Err(StoreError::Conflict(message.to_owned()));
    }
    tx.append(c.scope, &c.entry)?;
    set_state(tx, c.action, ActionState::Unknown, Trigger::Resolved)?;
    tx.run("UPDATE actions SET resolved = ?2 WHERE id = ?1", params![c.action.as_bytes(), c.applied])?;
    if let Some(claim) = &a.key {
        let change = if c.applied { KeyChange::Consume } else { KeyChange::Free };
        // The remote keeps what it knows of this generation: should the person be wrong, it still recognises the repetition.
        let generation = Generation { next: a.generation, began: a.attempts.generation_began };
        keys::settle(tx, c.scope, &claim.key, c.action, change, c.entry.id, generation)?;
    }
    if let (Some(undo), true) = (&c.compensation, c.applied) {
        compensate::append(tx, &a, undo, c.at, None)?;
    }
    if let Some(lane) = &a.lane {
        lanes::leave(tx, c.scope, lane, *c.action.as_bytes())?;
    }
    advance_run(tx, c.scope, a.run, c.at, &c.spare, None)
}

/// Marks a run as being cancelled; lists its actions that wait and can be disposed at once.
pub(crate) fn cancel_run(tx: &mut Tx<'_>, scope: Scope, run: RunId, at: Timestamp) -> Result<Vec<ActionId>> {
    let row = load_run(tx, scope, run)?;
    if row.state.is_final() {
        return Err(StoreError::Conflict(format!("the run is {} already", row.state)));
    }
    if row.state == RunState::Queued {
        unask(tx, scope, run, at)?;
        return Ok(Vec::new());
    }
    tx.run("UPDATE runs SET cancelling = 1, updated_at = ?2 WHERE id = ?1", params![run.as_bytes(), at.as_micros()])?;
    let mut sql = tx.sql(
        "SELECT id FROM actions WHERE run_id = ?1 AND CASE WHEN compensates IS NULL THEN state IN (?2, ?3, ?4, ?5) ELSE state = ?6 END ORDER BY seq",
    )?;
    let states =
        [ActionState::Proposed, ActionState::WaitingKey, ActionState::WaitingLane, ActionState::WaitingApproval].map(ActionState::as_int);
    let found = sql
        .query_map(params![run.as_bytes(), states[0], states[1], states[2], states[3], ActionState::Blocked.as_int()], |r| {
            r.get(0).map(ActionId::from_bytes)
        })
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()?;
    Ok(found)
}

/// Ends a run that has no plan yet. Its operator is not asked any more, and what a worker that asks it just now brings home is thrown
/// away with the worker's claim: a plan stored after this would wait for ever.
fn unask(tx: &mut Tx<'_>, scope: Scope, run: RunId, at: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE runs SET state = ?2, cancelling = 1, updated_at = ?3 WHERE id = ?1",
        params![run.as_bytes(), RunState::Cancelled.as_int(), at.as_micros()],
    )?;
    dispatch::forget(tx, run, Step::Reason)?;
    dispatch::release(tx, run, Step::Reason)?;
    leave_reason_lane(tx, scope, run)
}
