//! Events.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::value::RawValue;
use tollgate_core::event::Event;
use tollgate_core::id::{EventId, RunId};
use tollgate_core::ports::{Dedupe, Ingested, ReasonRecord};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, digest, id16, instant, int, scope};
use crate::error::{OrStore, Result, damaged};
use crate::tx::digest_of;

/// Reads a row of `events`.
pub(crate) fn read_event(r: &Row<'_>) -> Result<Event> {
    Ok(Event {
        id: EventId::from_bytes(id16(r, "id")?),
        scope: scope(r)?,
        source: col(r, "source")?,
        event_type: col(r, "event_type")?,
        subject: col(r, "subject")?,
        time: instant(r, "time")?,
        received_at: instant(r, "received_at")?,
        correlation_id: col(r, "correlation_id")?,
        agent_id: col(r, "agent_id")?,
        session_id: col(r, "session_id")?,
        traceparent: col(r, "traceparent")?,
        payload: RawValue::from_string(col(r, "payload")?).map_err(|_| damaged("an event's payload"))?,
    })
}

/// One event of this tenant and mode.
pub(crate) fn get(conn: &Connection, scope: Scope, id: EventId) -> Result<Option<Event>> {
    conn.prepare_cached("SELECT * FROM events WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")
        .or_store()?
        .query_row(params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok(read_event(r)))
        .optional()
        .or_store()?
        .transpose()
}

/// Events after a position.
pub(crate) fn after(conn: &Connection, scope: Scope, position: u64, limit: u32) -> Result<Vec<(u64, Event)>> {
    let mut sql =
        conn.prepare_cached("SELECT * FROM events WHERE pos > ?1 AND tenant_id = ?2 AND mode = ?3 ORDER BY pos LIMIT ?4").or_store()?;
    let mut rows = sql.query(params![int(position), scope.tenant_id.as_bytes(), scope.mode.as_int(), limit]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push((u64::try_from(col::<i64>(r, "pos")?).unwrap_or(0), read_event(r)?));
    }
    Ok(out)
}

/// What an idempotency key stands for.
pub(crate) fn seen(conn: &Connection, scope: Scope, d: &Dedupe, now: Timestamp) -> Result<Option<Ingested>> {
    let found: Option<([u8; 16], Vec<u8>, i64)> = conn
        .prepare_cached(
            "SELECT ref, fingerprint, expires_at FROM idempotency WHERE tenant_id = ?1 AND mode = ?2 AND route = ?3 AND key = ?4",
        )
        .or_store()?
        .query_row(params![scope.tenant_id.as_bytes(), scope.mode.as_int(), d.route, d.key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()
        .or_store()?;
    let Some((id, fingerprint, _)) = found.filter(|(_, _, expires)| *expires > now.as_micros()) else { return Ok(None) };
    let id = EventId::from_bytes(id);
    Ok(Some(if digest_of(&fingerprint)? == d.fingerprint { Ingested::Repeated(id) } else { Ingested::Conflict(id) }))
}

/// What asking an operator needs.
pub(crate) fn reason_step(conn: &Connection, scope: Scope, run: RunId) -> Result<Option<ReasonRecord>> {
    conn.prepare_cached(
        "SELECT e.*, r.operator, r.bundle, r.offering FROM runs r JOIN events e ON e.id = r.event_id WHERE r.id = ?1 AND r.tenant_id = ?2 AND r.mode = ?3",
    )
    .or_store()?
    .query_row(params![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| {
        Ok((|| {
            Ok(ReasonRecord {
                run,
                operator: col(r, "operator")?,
                bundle: digest(r, "bundle")?,
                event: read_event(r)?,
                offering: u64::try_from(col::<i64>(r, "offering")?).unwrap_or(0),
            })
        })())
    })
    .optional()
    .or_store()?
    .transpose()
}

/// An idempotency key whose time is over.
pub(crate) struct LapsedKey {
    pub(crate) tenant: [u8; 16],
    pub(crate) mode: i64,
    pub(crate) route: String,
    pub(crate) key: String,
}

/// Keys whose time is over. Walks the table: no index pays for a sweep of once an hour.
pub(crate) fn lapsed_keys(conn: &Connection, now: Timestamp, limit: u32) -> Result<Vec<LapsedKey>> {
    conn.prepare_cached("SELECT tenant_id, mode, route, key FROM idempotency WHERE expires_at <= ?1 LIMIT ?2")
        .or_store()?
        .query_map(params![now.as_micros(), limit], |r| {
            Ok(LapsedKey { tenant: r.get(0)?, mode: r.get(1)?, route: r.get(2)?, key: r.get(3)? })
        })
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()
}
