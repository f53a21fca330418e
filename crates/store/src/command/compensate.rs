//! Compensations: stored with the end of what they undo, parked while the gate does not let them pass, woken when what governs them
//! changes. Must not know why a gate says no.

use rusqlite::params;
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{Block, Claimed, Compensation, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, scope};
use crate::command::begin::{is_strict, park};
use crate::command::ingest::check_rev;
use crate::command::plan::insert_action;
use crate::command::runs::{load_run, set_state};
use crate::command::{dispatch, keys, lanes};
use crate::error::{OrStore, Result};
use crate::query::heads::{ActionHead, load_head};
use crate::tx::Tx;

/// Appends what takes an action's effect back to its run, if the run is being cancelled: the action's attempt had begun before that, for
/// no attempt begins after. It takes over the action's place in the lane, so that nobody acts on the entity in between.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    of: &ActionHead,
    c: &Compensation,
    at: Timestamp,
    claim: Option<tollgate_core::id::SessionId>,
) -> Result<Option<Claimed>> {
    if !load_run(tx, of.scope, of.run)?.cancelling {
        return Ok(None);
    }
    let (id, run) = (c.action.id, of.run);
    let seq: i64 = tx.sql("SELECT actions FROM runs WHERE id = ?1")?.query_row([run.as_bytes()], |r| r.get(0)).or_store()?;
    let seq = usize::try_from(seq).unwrap_or_default();
    insert_action(tx, of.scope, run, seq, &c.action, false, at)?;
    tx.run("UPDATE actions SET compensates = ?2 WHERE id = ?1", params![id.as_bytes(), of.id.as_bytes()])?;
    tx.run("UPDATE runs SET actions = actions + 1, updated_at = ?2 WHERE id = ?1", params![run.as_bytes(), at.as_micros()])?;
    set_state(tx, id, ActionState::Proposed, Trigger::Callable)?;
    if let Some((reason, detail)) = &c.fault {
        // Specs are pinned: no deployment changes what it lacks, so that nothing wakes it.
        set_state(tx, id, ActionState::Ready, Trigger::Blocked)?;
        note(tx, id, Some(reason), Some(detail))?;
        return Ok(None);
    }
    if let (Some(lane), true) = (&c.action.lane, c.action.lane == of.lane) {
        tx.run("UPDATE lanes SET step = ?3 WHERE lane = ?1 AND step = ?2", params![lane.0, of.id.as_bytes(), id.as_bytes()])?;
    }
    dispatch::make_ready(tx, of.scope, run, Step::Action(id), 0, claim)
}

fn note(tx: &Tx<'_>, id: ActionId, reason: Option<&String>, detail: Option<&String>) -> Result<()> {
    tx.run("UPDATE actions SET reason = ?2, detail = ?3 WHERE id = ?1", params![id.as_bytes(), reason, detail])?;
    Ok(())
}

/// Parks a compensation. Nothing holds a lane, a key or a lease while it waits.
pub(crate) fn block(tx: &mut Tx<'_>, c: &Block) -> Result<()> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    // Judged under another policy or status, it would sleep through the change that allows it.
    check_rev(tx, c.rev)?;
    let a = load_head(tx.connection(), c.scope, c.action)?.ok_or(StoreError::NotFound)?;
    if !a.compensates || a.state.on(Trigger::Blocked).is_none() || a.open.is_some() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot be blocked", a.state)));
    }
    park(tx, c.action, a.state, Trigger::Blocked, c.lease)?;
    note(tx, c.action, Some(&c.reason), c.detail.as_ref())?;
    tx.run(
        "INSERT INTO blocked (action, run_id, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![c.action.as_bytes(), c.run.as_bytes(), c.scope.reseller_id.as_bytes(), c.scope.tenant_id.as_bytes(), c.scope.mode.as_int()],
    )?;
    dispatch::release(tx, c.run, Step::Action(c.action))?;
    keys::let_go(tx, &a)?;
    if let (Some(lane), false) = (&a.lane, is_strict(tx, c.action)?) {
        lanes::leave(tx, c.scope, lane, *c.action.as_bytes())?;
    }
    Ok(())
}

/// Forgets that an action is blocked: it was given up.
pub(crate) fn unblock(tx: &Tx<'_>, action: ActionId) -> Result<()> {
    tx.run("DELETE FROM blocked WHERE action = ?1", [action.as_bytes()])?;
    Ok(())
}

/// Sends what is blocked through the gate again, in one tenant and mode or everywhere.
pub(crate) fn wake(tx: &mut Tx<'_>, of: Option<Scope>) -> Result<u32> {
    let mut found: Vec<(ActionId, RunId, Scope)> = Vec::new();
    {
        let mut sql = tx.sql("SELECT * FROM blocked ORDER BY action")?;
        let mut rows = sql.query([]).or_store()?;
        while let Some(r) = rows.next().or_store()? {
            found.push((ActionId::from_bytes(col(r, "action")?), RunId::from_bytes(col(r, "run_id")?), scope(r)?));
        }
    }
    found.retain(|(.., s)| of.is_none_or(|of| of == *s));
    for (action, run, scope) in &found {
        unblock(tx, *action)?;
        note(tx, *action, None, None)?;
        lanes::wake_action(tx, *scope, *run, *action, ActionState::Blocked)?;
    }
    Ok(u32::try_from(found.len()).unwrap_or(u32::MAX))
}
