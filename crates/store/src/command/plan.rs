//! Plans in: once per offering, with their actions, and the first of them callable.

use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{Disposed, NewAction, PlanOutcome, Step, StoreError, StorePlan, SubmitAction, Submitted};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::spec::Ordering;
use tollgate_core::terms::Terms;

use crate::command::ingest::{reason_lane, seen};
use crate::command::runs::{advance_run, load_run};
use crate::command::{dispatch, epoch, lanes};
use crate::error::Result;
use crate::tx::{NewActionRow, NewRunRow, RunChange, RunRow, Tx};

/// Stores what came of asking an operator. A second result for the same run is thrown away by the lease and the state.
pub(crate) fn store_plan(tx: &mut dyn Tx, c: &StorePlan) -> Result<Disposed> {
    epoch::check(tx)?;
    dispatch::check(tx, c.run, Step::Reason, c.lease)?;
    let row = load_run(tx, c.scope, c.run)?;
    if row.state != RunState::Queued {
        return Err(StoreError::Conflict("the run has its plan already".to_owned()));
    }
    tx.release(c.run, Step::Reason)?;
    let (actions, state, reason): (&[NewAction], RunState, Option<String>) = match &c.outcome {
        PlanOutcome::Proposed(a) if a.is_empty() => (a, RunState::NoPlan, None),
        PlanOutcome::Proposed(a) => (a, RunState::Running, None),
        PlanOutcome::Draft(a) => (a, RunState::Draft, None),
        PlanOutcome::Nothing => (&[], RunState::NoPlan, None),
        PlanOutcome::Failed(e) => (&[], RunState::ProposalFailed, Some(e.to_string())),
    };
    let strict = c.ordering == Ordering::Strict;
    for (seq, action) in actions.iter().enumerate() {
        let seq = u32::try_from(seq).unwrap_or(u32::MAX);
        tx.insert_action(&NewActionRow { scope: c.scope, run: c.run, seq, action, strict, compensates: None, node: None, at: c.at })?;
        // A strict action is in its lane from now on, callable or not.
        if let (true, RunState::Running, Some(lane)) = (strict, state, &action.lane) {
            lanes::take(tx, c.scope, lane, *action.id.as_bytes(), c.run)?;
        }
    }
    let planned = RunChange::Planned { state, reason, actions: u32::try_from(actions.len()).unwrap_or(u32::MAX) };
    tx.change_run(c.scope, c.run, &planned, c.at)?;
    leave_reason_lane(tx, c.scope, c.run, &row)?;
    if state == RunState::Running {
        return advance_run(tx, c.scope, c.run, c.at, &[], c.claim);
    }
    Ok(Disposed { claimed: Vec::new(), woken: 0, run: state })
}

/// Lets the next event's run of a strict operator be asked.
pub(crate) fn leave_reason_lane(tx: &mut dyn Tx, scope: Scope, run: RunId, row: &RunRow) -> Result<()> {
    match &row.operator {
        // They are asked one at a time: whoever is next waits on the terms of the one before.
        Some(operator) if row.strict => lanes::leave_for(tx, scope, &reason_lane(&scope, operator), *run.as_bytes(), row.terms),
        _ => Ok(()),
    }
}

/// Stores a direct action with a run of its own.
pub(crate) fn submit(tx: &mut dyn Tx, c: &SubmitAction) -> Result<Submitted> {
    epoch::check(tx)?;
    if let Some(d) = &c.dedupe {
        if let Some((id, same)) = seen(tx, c.scope, d)? {
            let id = ActionId::from_bytes(id);
            return Ok(if same { Submitted::Repeated(id) } else { Submitted::Conflict(id) });
        }
        tx.remember(c.scope, d, *c.action.id.as_bytes())?;
    }
    tx.insert_run(&NewRunRow {
        id: c.run,
        scope: c.scope,
        event: None,
        operator: None,
        offering: 0,
        principal: c.principal.label(),
        bundle: c.bundle,
        strict: false,
        state: RunState::Running,
        actions: 1,
        graph: None,
        terms: Terms::default(),
        planned_at: Some(c.at),
        at: c.at,
    })?;
    tx.insert_action(&NewActionRow {
        scope: c.scope,
        run: c.run,
        seq: 0,
        action: &c.action,
        strict: false,
        compensates: None,
        node: None,
        at: c.at,
    })?;
    let moved = advance_run(tx, c.scope, c.run, c.at, &[], c.claim)?;
    Ok(Submitted::Stored(moved.claimed.first().copied()))
}
