//! Plans in: once per offering, with their actions, and the first of them callable.

use rusqlite::params;
use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::plan::ProposedAction;
use tollgate_core::ports::{Disposed, NewAction, PlanOutcome, Step, StoreError, StorePlan, SubmitAction, Submitted};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::spec::{Effect, Ordering};
use tollgate_core::time::Timestamp;

use crate::codec::{int, write_principal};
use crate::command::ingest::{reason_lane, remember, seen};
use crate::command::runs::{advance_run, load_run};
use crate::command::{dispatch, lanes};
use crate::error::{OrStore, Result, damaged};
use crate::tx::Tx;

/// Stores what came of asking an operator. A second result for the same run is thrown away by the lease and the state.
pub(crate) fn store_plan(tx: &mut Tx<'_>, c: &StorePlan) -> Result<Disposed> {
    dispatch::check(tx, c.run, Step::Reason, c.lease)?;
    let row = load_run(tx, c.scope, c.run)?;
    if row.state != RunState::Queued {
        return Err(StoreError::Conflict("the run has its plan already".to_owned()));
    }
    dispatch::release(tx, c.run, Step::Reason)?;
    let (actions, state, reason): (&[NewAction], RunState, Option<String>) = match &c.outcome {
        PlanOutcome::Proposed(a) if a.is_empty() => (a, RunState::NoPlan, None),
        PlanOutcome::Proposed(a) => (a, RunState::Running, None),
        PlanOutcome::Draft(a) => (a, RunState::Draft, None),
        PlanOutcome::Nothing => (&[], RunState::NoPlan, None),
        PlanOutcome::Failed(e) => (&[], RunState::ProposalFailed, Some(e.to_string())),
    };
    let strict = c.ordering == Ordering::Strict;
    for (seq, action) in actions.iter().enumerate() {
        insert_action(tx, c.scope, c.run, seq, action, strict, c.at)?;
        // A strict action is in its lane from now on, callable or not.
        if let (true, RunState::Running, Some(lane)) = (strict, state, &action.lane) {
            lanes::take(tx, lane, *action.id.as_bytes(), c.run)?;
        }
    }
    tx.run(
        "UPDATE runs SET state = ?2, reason = ?3, actions = ?4, planned_at = ?5, updated_at = ?5 WHERE id = ?1",
        params![c.run.as_bytes(), state.as_int(), reason, int(actions.len() as u64), c.at.as_micros()],
    )?;
    leave_reason_lane(tx, c.scope, c.run)?;
    if state == RunState::Running {
        return advance_run(tx, c.scope, c.run, c.at, &[], c.claim);
    }
    Ok(Disposed { claimed: Vec::new(), woken: 0, run: state })
}

/// Lets the next event's run of a strict operator be asked.
pub(crate) fn leave_reason_lane(tx: &mut Tx<'_>, scope: Scope, run: RunId) -> Result<()> {
    let (strict, operator): (bool, Option<String>) = tx
        .sql("SELECT strict, operator FROM runs WHERE id = ?1")?
        .query_row([run.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?)))
        .or_store()?;
    match operator {
        Some(operator) if strict => lanes::leave(tx, scope, &reason_lane(&scope, &operator), *run.as_bytes()),
        _ => Ok(()),
    }
}

/// Stores a direct action with a run of its own.
pub(crate) fn submit(tx: &mut Tx<'_>, c: &SubmitAction) -> Result<Submitted> {
    if let Some(d) = &c.dedupe {
        if let Some((id, same)) = seen(tx, c.scope, d)? {
            let id = ActionId::from_bytes(id);
            return Ok(if same { Submitted::Repeated(id) } else { Submitted::Conflict(id) });
        }
        remember(tx, c.scope, d, c.action.id.as_bytes())?;
    }
    tx.run(
        "INSERT INTO runs (id, reseller_id, tenant_id, mode, offering, principal, bundle, strict, state, actions, created_at, planned_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, 0, ?7, 1, ?8, ?8, ?8)",
        params![
            c.run.as_bytes(),
            c.scope.reseller_id.as_bytes(),
            c.scope.tenant_id.as_bytes(),
            c.scope.mode.as_int(),
            write_principal(&c.principal),
            c.bundle.0,
            RunState::Running.as_int(),
            c.at.as_micros()
        ],
    )?;
    insert_action(tx, c.scope, c.run, 0, &c.action, false, c.at)?;
    let moved = advance_run(tx, c.scope, c.run, c.at, &[], c.claim)?;
    Ok(Submitted::Stored(moved.claimed.first().copied()))
}

/// Stores an action that nothing has happened to yet.
pub(crate) fn insert_action(tx: &Tx<'_>, scope: Scope, run: RunId, seq: usize, a: &NewAction, strict: bool, at: Timestamp) -> Result<()> {
    let proposal = write_proposal(&a.proposal)?;
    tx.run(
        "INSERT INTO actions (id, run_id, seq, reseller_id, tenant_id, mode, tool, tool_digest, effect, proposal, salt, lane, key, fingerprint, strict, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17)",
        params![
            a.id.as_bytes(),
            run.as_bytes(),
            int(seq as u64),
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int(),
            a.proposal.tool,
            a.tool_digest.map(|d| d.0),
            a.effect == Effect::Write,
            proposal,
            a.salt,
            a.lane.map(|d| d.0),
            a.key.map(|k| k.key.0),
            a.key.map(|k| k.fingerprint.0),
            strict,
            ActionState::Proposed.as_int(),
            at.as_micros()
        ],
    )?;
    Ok(())
}

fn write_proposal(p: &ProposedAction) -> Result<Vec<u8>> {
    serde_json::to_vec(p).map_err(|_| damaged("a proposal"))
}
