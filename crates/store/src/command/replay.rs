//! Replays: a new offering number, and runs for it slice by slice.

use serde_json::json;
use tollgate_core::id::{EventId, ReplayId};
use tollgate_core::ports::{NewRun, ReplayRange, ReplayState, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::command::epoch;
use crate::command::ingest::insert_run;
use crate::error::{Result, damaged};
use crate::row::Row;
use crate::tx::{Query, Statement, Tx, fetch_one};
use crate::value::values;

/// Records a replay of what is stored by now: everything before the position `end`.
pub(crate) fn begin(tx: &mut dyn Tx, s: Scope, range: &ReplayRange, end: u64, at: Timestamp) -> Result<ReplayState> {
    epoch::check(tx)?;
    let last = Query {
        text: "SELECT COALESCE(MAX(offering), 0) AS last FROM replays WHERE tenant_id = $1 AND mode = $2".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| r.at::<u64>(0),
    };
    let offering = fetch_one(tx, &last)?.unwrap_or(0) + 1;
    let text = json!({
        "from": range.from.map(Timestamp::as_micros), "to": range.to.map(Timestamp::as_micros),
        "operator": range.operator, "event_type": range.event_type,
    })
    .to_string();
    tx.execute(Statement {
        text: "INSERT INTO replays (id, reseller_id, tenant_id, mode, range, offering, next, end_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)",
        values: values![
            range.id.as_bytes(),
            s.reseller_id.as_bytes(),
            s.tenant_id.as_bytes(),
            s.mode.as_int(),
            text,
            int(offering),
            int(end),
            at,
        ],
    })?;
    Ok(ReplayState { range: range.clone(), offering, next: 0, end, runs: 0 })
}

/// One replay of this tenant and mode.
pub(crate) fn one(s: Scope, id: ReplayId) -> Query<(Scope, ReplayState)> {
    Query {
        text: "SELECT * FROM replays WHERE id = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()],
        read,
    }
}

/// Replays that are not finished, in every tenant and mode.
pub(crate) fn open() -> Query<(Scope, ReplayState)> {
    Query { text: "SELECT * FROM replays WHERE next < end_at ORDER BY id".into(), values: Vec::new(), read }
}

/// Reads a row of `replays`.
pub(crate) fn read(r: Row<'_>) -> Result<(Scope, ReplayState)> {
    let text: String = r.get("range")?;
    let v: serde_json::Value = serde_json::from_str(&text).map_err(|_| damaged("a replay's range"))?;
    let instant = |k: &str| v.get(k).and_then(serde_json::Value::as_i64).map(Timestamp::from_micros);
    let word = |k: &str| v.get(k).and_then(serde_json::Value::as_str).map(str::to_owned);
    let range = ReplayRange {
        id: ReplayId::from_bytes(r.get("id")?),
        from: instant("from"),
        to: instant("to"),
        operator: word("operator"),
        event_type: word("event_type"),
    };
    let state = ReplayState { range, offering: r.get("offering")?, next: r.get("next")?, end: r.get("end_at")?, runs: r.get("runs")? };
    Ok((r.scope()?, state))
}

/// Creates the runs of one slice and moves the replay on.
pub(crate) fn advance(
    tx: &mut dyn Tx,
    s: Scope,
    id: ReplayId,
    expected: u64,
    next: u64,
    runs: &[(EventId, NewRun)],
) -> Result<ReplayState> {
    epoch::check(tx)?;
    let (_, state) = fetch_one(tx, &one(s, id))?.ok_or(StoreError::NotFound)?;
    if state.next != expected {
        return Err(StoreError::Conflict("the replay was moved on by someone else".to_owned()));
    }
    let now = tx.now();
    for (event, run) in runs {
        insert_run(tx, s, *event, run, state.offering, now, None)?;
    }
    let runs = state.runs + runs.len() as u64;
    tx.execute(Statement {
        text: "UPDATE replays SET next = $1, runs = $2 WHERE id = $3",
        values: values![int(next), int(runs), id.as_bytes()],
    })?;
    Ok(ReplayState { next, runs, ..state })
}
