//! Compensations: stored with the end of what they undo, parked while the gate does not let them pass, woken when what governs them
//! changes. Must not know why a gate says no.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::{Block, Claimed, Compensation, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::begin::{leave_lane, park};
use crate::command::ingest::check_rev;
use crate::command::runs::{load_action, load_run, set_state};
use crate::command::{dispatch, keys, lanes};
use crate::error::Result;
use crate::row::Row;
use crate::tx::{ActionChange, ActionHead, NewActionRow, Query, RunChange, Statement, StepRow, Tx, fetch};
use crate::value::values;

/// Appends what takes an action's effect back to its run, if the run is being cancelled: the action's attempt had begun before that, for
/// no attempt begins after. It takes over the action's place in the lane, so that nobody acts on the entity in between.
pub(crate) fn append(tx: &mut dyn Tx, of: &ActionHead, c: &Compensation, at: Timestamp, claim: Option<SessionId>) -> Result<Appended> {
    let run = load_run(tx, of.scope, of.run)?;
    if !run.cancelling {
        return Ok(Appended::default());
    }
    let (id, scope) = (c.action.id, of.scope);
    let compensates = Some(of.id);
    tx.insert_action(&NewActionRow {
        scope,
        run: of.run,
        seq: run.actions,
        action: &c.action,
        strict: false,
        compensates,
        node: None,
        at,
    })?;
    tx.change_run(scope, of.run, &RunChange::OneMore, at)?;
    set_state(tx, (scope, of.run), id, ActionState::Proposed, Trigger::Callable)?;
    if let Some((reason, detail)) = &c.fault {
        // Specs are pinned: no deployment changes what it lacks, so that nothing wakes it.
        set_state(tx, (scope, of.run), id, ActionState::Ready, Trigger::Blocked)?;
        tx.change_action(id, &ActionChange::Noted { reason: Some(reason), detail: Some(detail) })?;
        return Ok(Appended::default());
    }
    if let (Some(lane), true) = (&c.action.lane, c.action.lane == of.lane) {
        tx.hand_ticket(lane, *of.id.as_bytes(), *id.as_bytes())?;
    }
    let claimed =
        dispatch::make_ready(tx, &StepRow { scope, run: of.run, step: Step::Action(id), fence: 0, terms: c.action.terms }, claim)?;
    Ok(Appended { woken: u32::from(claimed.is_none()), claimed })
}

/// What became of a compensation that was to be appended.
#[derive(Default)]
pub(crate) struct Appended {
    /// Held by the session that asked.
    pub(crate) claimed: Option<Claimed>,
    /// Others may claim it.
    pub(crate) woken: u32,
}

/// Parks a compensation. Nothing holds a lane, a key or a lease while it waits.
pub(crate) fn block(tx: &mut dyn Tx, c: &Block) -> Result<()> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    // Judged under another policy or status, it would sleep through the change that allows it.
    check_rev(tx, c.rev)?;
    let a = load_action(tx, c.scope, c.action)?;
    if !a.compensates || a.state.on(Trigger::Blocked).is_none() || a.open.is_some() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot be blocked", a.state)));
    }
    park(tx, &a, Trigger::Blocked, c.lease)?;
    tx.change_action(c.action, &ActionChange::Noted { reason: Some(&c.reason), detail: c.detail.as_deref() })?;
    tx.execute(Statement {
        text: "INSERT INTO blocked (action, run_id, reseller_id, tenant_id, mode) VALUES ($1, $2, $3, $4, $5)",
        values: values![
            c.action.as_bytes(),
            c.run.as_bytes(),
            c.scope.reseller_id.as_bytes(),
            c.scope.tenant_id.as_bytes(),
            c.scope.mode.as_int(),
        ],
    })?;
    tx.release(c.run, Step::Action(c.action))?;
    keys::let_go(tx, &a)?;
    leave_lane(tx, &a)
}

/// Forgets that an action is blocked: it was given up.
pub(crate) fn unblock(tx: &mut dyn Tx, action: ActionId) -> Result<()> {
    tx.execute(Statement { text: "DELETE FROM blocked WHERE action = $1", values: values![action.as_bytes()] })
}

/// Sends what is blocked in one tenant and mode through the gate again.
pub(crate) fn wake(tx: &mut dyn Tx, scope: Scope) -> Result<u32> {
    let query = Query {
        text: "SELECT action, run_id FROM blocked WHERE tenant_id = $1 AND mode = $2 ORDER BY action".into(),
        values: values![scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: |r: Row<'_>| Ok((ActionId::from_bytes(r.at(0)?), RunId::from_bytes(r.at(1)?))),
    };
    let found = fetch(tx, &query)?;
    for (action, run) in &found {
        unblock(tx, *action)?;
        tx.change_action(*action, &ActionChange::Noted { reason: None, detail: None })?;
        lanes::wake_action(tx, scope, *run, *action, ActionState::Blocked)?;
    }
    Ok(u32::try_from(found.len()).unwrap_or(u32::MAX))
}

/// The tenants and modes in which something is blocked.
pub(crate) fn blocked_scopes() -> Query<Scope> {
    Query {
        text: "SELECT DISTINCT reseller_id, tenant_id, mode FROM blocked ORDER BY tenant_id, mode".into(),
        values: Vec::new(),
        read: |r: Row<'_>| r.scope(),
    }
}
