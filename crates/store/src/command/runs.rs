//! The run machine inside the store: after a change in one action, what becomes callable, what is skipped, how the run stands.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::entries::{Committer, action_ref, new_entry};
use tollgate_core::id::{ActionId, EntryId, RunId, SessionId};
use tollgate_core::ledger::{Body, Disposition, Receipt, Refs};
use tollgate_core::ports::{Disposed, Step, StoreError};
use tollgate_core::run::{ActionView, RunState, advance};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, count};
use crate::command::{dispatch, lanes};
use crate::error::{OrStore, Result, damaged};
use crate::query::actions::load_action;
use crate::tx::Tx;

/// A run as commands need it.
pub(crate) struct RunRow {
    pub(crate) state: RunState,
    pub(crate) cancelling: bool,
}

/// Reads a run of this tenant and mode.
pub(crate) fn load_run(tx: &Tx<'_>, scope: Scope, run: RunId) -> Result<RunRow> {
    let row: Option<(i64, bool)> = tx
        .sql("SELECT state, cancelling FROM runs WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")?
        .query_row(params![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .or_store()?;
    let (state, cancelling) = row.ok_or(StoreError::NotFound)?;
    Ok(RunRow { state: RunState::from_int(state).ok_or_else(|| damaged("a run's state"))?, cancelling })
}

fn views(tx: &Tx<'_>, run: RunId) -> Result<Vec<(ActionId, ActionView)>> {
    let mut sql = tx.sql("SELECT id, state, disposition, resolved, proposal FROM actions WHERE run_id = ?1 ORDER BY seq")?;
    let mut rows = sql.query([run.as_bytes()]).or_store()?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().or_store()? {
        let disposition: Option<String> = col(row, "disposition")?;
        let proposal: Vec<u8> = col(row, "proposal")?;
        let proposal: tollgate_core::plan::ProposedAction =
            serde_json::from_slice(&proposal).map_err(|_| damaged("an action's proposal"))?;
        out.push((
            ActionId::from_bytes(col(row, "id")?),
            ActionView {
                state: ActionState::from_int(i64::from(count(row, "state")?)).ok_or_else(|| damaged("an action's state"))?,
                disposition: disposition.as_deref().map(|d| Disposition::parse(d).ok_or_else(|| damaged("a disposition"))).transpose()?,
                resolved_applied: col::<Option<i64>>(row, "resolved")? == Some(1),
                independent: proposal.independent,
                continue_on_failure: proposal.continue_on_failure,
            },
        ));
    }
    Ok(out)
}

/// Moves a run on.
pub(crate) fn advance_run(
    tx: &mut Tx<'_>,
    scope: Scope,
    run: RunId,
    at: Timestamp,
    spare: &[EntryId],
    claim: Option<SessionId>,
) -> Result<Disposed> {
    let row = load_run(tx, scope, run)?;
    let views = views(tx, run)?;
    let plain: Vec<ActionView> = views.iter().map(|(_, v)| *v).collect();
    let step = advance(&plain, row.cancelling);
    let mut claimed = Vec::new();
    let mut woken = 0;
    for i in &step.ready {
        let Some((action, _)) = views.get(*i) else { continue };
        set_state(tx, *action, ActionState::Proposed, Trigger::Callable)?;
        match dispatch::make_ready(tx, scope, run, Step::Action(*action), 0, claim)? {
            Some(c) => claimed.push(c),
            None => woken += 1,
        }
    }
    for i in &step.skip {
        let (Some((action, _)), Some(id)) = (views.get(*i), spare.get(*i)) else { return Err(damaged("the length of a plan")) };
        skip(tx, scope, *action, *id, at)?;
    }
    let state = step.state.unwrap_or(row.state);
    if state != row.state {
        tx.run("UPDATE runs SET state = ?2, updated_at = ?3 WHERE id = ?1", params![run.as_bytes(), state.as_int(), at.as_micros()])?;
    }
    Ok(Disposed { claimed, woken, run: state })
}

/// Moves an action by the table; anything else is damage, for commands check before they write.
pub(crate) fn set_state(tx: &Tx<'_>, action: ActionId, from: ActionState, trigger: Trigger) -> Result<ActionState> {
    let to = from.on(trigger).ok_or_else(|| StoreError::Conflict(format!("an action that is {from} cannot take `{trigger:?}`")))?;
    let n = tx.run(
        "UPDATE actions SET state = ?3, updated_at = ?4 WHERE id = ?1 AND state = ?2",
        params![action.as_bytes(), from.as_int(), to.as_int(), tx.now().as_micros()],
    )?;
    if n == 1 { Ok(to) } else { Err(StoreError::Conflict(format!("the action is no longer {from}"))) }
}

/// Disposes an action that will never be callable. Its receipt needs nothing but what the row holds.
fn skip(tx: &mut Tx<'_>, scope: Scope, action: ActionId, id: EntryId, at: Timestamp) -> Result<()> {
    let record = load_action(tx.connection(), scope, action)?.ok_or(StoreError::NotFound)?;
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
    set_state(tx, action, ActionState::Proposed, Trigger::Disposed)?;
    tx.run(
        "UPDATE actions SET disposition = 'skipped', reason = 'earlier_action_failed', receipt = ?2 WHERE id = ?1",
        params![action.as_bytes(), id.as_bytes()],
    )?;
    if let Some(lane) = &record.lane {
        lanes::leave(tx, scope, lane, *action.as_bytes())?;
    }
    Ok(())
}
