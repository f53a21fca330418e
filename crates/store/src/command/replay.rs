//! Replays: a new offering number, and runs for it slice by slice.

use rusqlite::{OptionalExtension, params};
use serde_json::json;
use tollgate_core::id::{EventId, ReplayId};
use tollgate_core::ports::{NewRun, ReplayRange, ReplayState, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, id16, int, scope};
use crate::command::ingest::insert_run;
use crate::error::{OrStore, Result, damaged};
use crate::tx::Tx;

/// Records a replay of what is stored by now.
pub(crate) fn begin(tx: &Tx<'_>, s: Scope, range: &ReplayRange, at: Timestamp) -> Result<ReplayState> {
    let offering: i64 = tx
        .sql("SELECT COALESCE(MAX(offering), 0) + 1 FROM replays WHERE tenant_id = ?1 AND mode = ?2")?
        .query_row(params![s.tenant_id.as_bytes(), s.mode.as_int()], |r| r.get(0))
        .or_store()?;
    let end: i64 = tx.sql("SELECT COALESCE(MAX(pos), 0) + 1 FROM events")?.query_row([], |r| r.get(0)).or_store()?;
    let text = json!({
        "from": range.from.map(Timestamp::as_micros), "to": range.to.map(Timestamp::as_micros),
        "operator": range.operator, "event_type": range.event_type,
    })
    .to_string();
    tx.run(
        "INSERT INTO replays (id, reseller_id, tenant_id, mode, range, offering, next, end, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)",
        params![range.id.as_bytes(), s.reseller_id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int(), text, offering, end, at.as_micros()],
    )?;
    get(tx, s, range.id)
}

fn get(tx: &Tx<'_>, s: Scope, id: ReplayId) -> Result<ReplayState> {
    tx.sql("SELECT * FROM replays WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")?
        .query_row(params![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()], |r| Ok(read(r)))
        .optional()
        .or_store()?
        .ok_or(StoreError::NotFound)?
        .map(|(_, state)| state)
}

/// Reads a row of `replays`.
pub(crate) fn read(r: &rusqlite::Row<'_>) -> Result<(Scope, ReplayState)> {
    let text: String = col(r, "range")?;
    let v: serde_json::Value = serde_json::from_str(&text).map_err(|_| damaged("a replay's range"))?;
    let instant = |k: &str| v.get(k).and_then(serde_json::Value::as_i64).map(Timestamp::from_micros);
    let word = |k: &str| v.get(k).and_then(serde_json::Value::as_str).map(str::to_owned);
    let number = |k: &str| Ok(u64::try_from(col::<i64>(r, k)?).unwrap_or(0));
    let range = ReplayRange {
        id: ReplayId::from_bytes(id16(r, "id")?),
        from: instant("from"),
        to: instant("to"),
        operator: word("operator"),
        event_type: word("event_type"),
    };
    Ok((scope(r)?, ReplayState { range, offering: number("offering")?, next: number("next")?, end: number("end")?, runs: number("runs")? }))
}

/// Creates the runs of one slice and moves the replay on.
pub(crate) fn advance(
    tx: &mut Tx<'_>,
    s: Scope,
    id: ReplayId,
    expected: u64,
    next: u64,
    runs: &[(EventId, NewRun)],
) -> Result<ReplayState> {
    let state = get(tx, s, id)?;
    if state.next != expected {
        return Err(StoreError::Conflict("the replay was moved on by someone else".to_owned()));
    }
    let now = tx.now();
    for (event, run) in runs {
        insert_run(tx, s, *event, run, state.offering, now, None)?;
    }
    tx.run("UPDATE replays SET next = ?2, runs = runs + ?3 WHERE id = ?1", params![id.as_bytes(), int(next), int(runs.len() as u64)])?;
    get(tx, s, id)
}
