//! Lists, newest first. A filter that nothing serves walks the list from its newest row: such reads run outside the async threads.

use tollgate_core::action::ActionState;
use tollgate_core::id::{EventId, ReplayId, RunId};
use tollgate_core::ports::{Page, QueueLine, ReplayState, RunFilter, RunRecord, RunStands};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;

use crate::codec::read_principal;
use crate::command::replay;
use crate::error::{Result, damaged};
use crate::row::Row;
use crate::tx::Query;
use crate::value::values;

/// The id before which a page lies, for lists ordered by UUIDv7.
pub(crate) fn before_id(page: Page) -> [u8; 16] {
    page.before.unwrap_or(u128::MAX).to_be_bytes()
}

fn read_run(r: Row<'_>) -> Result<RunRecord> {
    Ok(RunRecord {
        id: RunId::from_bytes(r.get("id")?),
        event: r.get::<Option<[u8; 16]>>("event_id")?.map(EventId::from_bytes),
        operator: r.get("operator")?,
        offering: r.get("offering")?,
        principal: read_principal(&r.get::<String>("principal")?)?,
        bundle: r.get("bundle")?,
        state: RunState::from_int(r.get("state")?).ok_or_else(|| damaged("a run's state"))?,
        cancelling: r.get("cancelling")?,
        reason: r.get("reason")?,
        actions: r.get("actions")?,
        created_at: r.get("created_at")?,
        planned_at: r.get("planned_at")?,
        updated_at: r.get("updated_at")?,
    })
}

/// Runs.
pub(crate) fn runs(s: Scope, f: &RunFilter, page: Page) -> Query<RunRecord> {
    let (event, state) = (f.event.map(|e| *e.as_bytes()), f.state.map(RunState::as_int));
    Query {
        text: "SELECT * FROM runs WHERE id < $1 AND tenant_id = $2 AND mode = $3 AND (operator = $4 OR $4 IS NULL)
         AND (state = $5 OR $5 IS NULL) AND (event_id = $6 OR $6 IS NULL) ORDER BY id DESC LIMIT $7"
            .into(),
        values: values![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.operator.clone(), state, event, page.limit],
        read: read_run,
    }
}

/// One run.
pub(crate) fn run(s: Scope, id: RunId) -> Query<RunRecord> {
    Query {
        text: "SELECT * FROM runs WHERE id = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()],
        read: read_run,
    }
}

/// Whose a run is.
pub(crate) fn scope_of(run: RunId) -> Query<Scope> {
    Query {
        text: "SELECT reseller_id, tenant_id, mode FROM runs WHERE id = $1".into(),
        values: values![run.as_bytes()],
        read: |r: Row<'_>| r.scope(),
    }
}

/// Reads how a run stands: its state, why, and whether a step of it waits.
pub(crate) fn read_stands(r: Row<'_>) -> Result<RunStands> {
    let state = RunState::from_int(r.at(0)?).ok_or_else(|| damaged("a run's state"))?;
    Ok(RunStands { state, reason: r.at(1)?, waits: r.at(2)? })
}

/// The stored form of a state's word: `Err(())` when there is no such state, and so nothing to list.
pub(crate) fn action_state(word: Option<&str>) -> std::result::Result<Option<i64>, ()> {
    let Some(word) = word else { return Ok(None) };
    ActionState::ALL.iter().find(|s| s.as_str() == word).map(|s| Some(s.as_int())).ok_or(())
}

/// Replays.
pub(crate) fn replays(s: Scope, page: Page) -> Query<(Scope, ReplayState)> {
    Query {
        text: "SELECT * FROM replays WHERE id < $1 AND tenant_id = $2 AND mode = $3 ORDER BY id DESC LIMIT $4".into(),
        values: values![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), page.limit],
        read: replay::read,
    }
}

/// One replay.
pub(crate) fn replay(s: Scope, id: ReplayId) -> Query<(Scope, ReplayState)> {
    replay::one(s, id)
}

/// How much waits for workers with the same labels.
pub(crate) fn read_line(r: Row<'_>) -> Result<QueueLine> {
    let labels: String = r.at(0)?;
    Ok(QueueLine {
        labels: labels.split(',').filter(|l| !l.is_empty()).map(str::to_owned).collect(),
        ready: r.at(1)?,
        parked: r.at(2)?,
        held: r.at(3)?,
        timers: r.at(4)?,
        oldest: r.at(5)?,
    })
}
