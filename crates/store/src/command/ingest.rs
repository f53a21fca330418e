//! Events in: the event, its idempotency key and its runs, in one transaction.

use rusqlite::{OptionalExtension, params};
use tollgate_core::event::Event;
use tollgate_core::gate::lane_key;
use tollgate_core::hash::Digest;
use tollgate_core::id::{EventId, SessionId};
use tollgate_core::ports::{Claimed, ConfigRev, Dedupe, IngestEvent, Ingested, NewRun, Step, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::command::{dispatch, lanes};
use crate::error::{OrStore, Result};
use crate::query::events::LapsedKey;
use crate::tx::{Tx, digest_of};

/// Stores a batch.
pub(crate) fn ingest(
    tx: &mut Tx<'_>,
    scope: Scope,
    rev: ConfigRev,
    events: &[IngestEvent],
    claim: Option<SessionId>,
) -> Result<Vec<Ingested>> {
    check_rev(tx, rev)?;
    events.iter().map(|e| one(tx, scope, e, claim)).collect()
}

/// Refuses what was decided under another configuration.
pub(crate) fn check_rev(tx: &Tx<'_>, rev: ConfigRev) -> Result<()> {
    if current_rev(tx)? == rev { Ok(()) } else { Err(StoreError::Stale) }
}

/// The configuration's revision.
pub(crate) fn current_rev(tx: &Tx<'_>) -> Result<ConfigRev> {
    let rev: Option<i64> = tx.sql("SELECT v FROM meta WHERE k = 'config_rev'")?.query_row([], |r| r.get(0)).optional().or_store()?;
    Ok(ConfigRev(u64::try_from(rev.unwrap_or(0)).unwrap_or(0)))
}

fn one(tx: &mut Tx<'_>, scope: Scope, new: &IngestEvent, claim: Option<SessionId>) -> Result<Ingested> {
    if let Some(d) = &new.dedupe {
        if let Some((id, same)) = seen(tx, scope, d)? {
            let id = EventId::from_bytes(id);
            return Ok(if same { Ingested::Repeated(id) } else { Ingested::Conflict(id) });
        }
        remember(tx, scope, d, new.event.id.as_bytes())?;
    }
    let position = insert_event(tx, &new.event)?;
    let mut claimed = Vec::new();
    for run in &new.runs {
        if let Some(c) = insert_run(tx, scope, new.event.id, run, 0, new.event.received_at, claim)? {
            claimed.push(c);
        }
    }
    Ok(Ingested::Stored { position, claimed })
}

/// What a key stands for, and whether the body is the same. A lapsed key stands for nothing.
pub(crate) fn seen(tx: &Tx<'_>, scope: Scope, d: &Dedupe) -> Result<Option<([u8; 16], bool)>> {
    let found: Option<([u8; 16], Vec<u8>, i64)> = tx
        .sql("SELECT ref, fingerprint, expires_at FROM idempotency WHERE tenant_id = ?1 AND mode = ?2 AND route = ?3 AND key = ?4")?
        .query_row(params![scope.tenant_id.as_bytes(), scope.mode.as_int(), d.route, d.key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()
        .or_store()?;
    match found {
        Some((reference, fingerprint, expires)) if expires > tx.now().as_micros() => {
            Ok(Some((reference, digest_of(&fingerprint)? == d.fingerprint)))
        }
        _ => Ok(None),
    }
}

/// Stores a key.
pub(crate) fn remember(tx: &Tx<'_>, scope: Scope, d: &Dedupe, reference: &[u8; 16]) -> Result<()> {
    tx.run(
        "INSERT INTO idempotency (tenant_id, mode, route, key, reseller_id, fingerprint, ref, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (tenant_id, mode, route, key) DO UPDATE SET fingerprint = excluded.fingerprint, ref = excluded.ref, expires_at = excluded.expires_at",
        params![
            scope.tenant_id.as_bytes(),
            scope.mode.as_int(),
            d.route,
            d.key,
            scope.reseller_id.as_bytes(),
            d.fingerprint.0,
            reference,
            d.expires_at.as_micros()
        ],
    )?;
    Ok(())
}

/// Forgets keys that lapsed; one that was given anew meanwhile stays.
pub(crate) fn forget(tx: &mut Tx<'_>, keys: &[LapsedKey]) -> Result<u32> {
    let mut n = 0;
    for key in keys {
        n += tx.run(
            "DELETE FROM idempotency WHERE tenant_id = ?1 AND mode = ?2 AND route = ?3 AND key = ?4 AND expires_at <= ?5",
            params![key.tenant, key.mode, key.route, key.key, tx.now().as_micros()],
        )?;
    }
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

fn insert_event(tx: &Tx<'_>, e: &Event) -> Result<u64> {
    let mut insert = tx.sql(
        "INSERT INTO events (id, reseller_id, tenant_id, mode, source, event_type, subject, time, received_at, correlation_id, agent_id, session_id, traceparent, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let row = insert
        .insert(params![
            e.id.as_bytes(),
            e.scope.reseller_id.as_bytes(),
            e.scope.tenant_id.as_bytes(),
            e.scope.mode.as_int(),
            e.source,
            e.event_type,
            e.subject,
            e.time.as_micros(),
            e.received_at.as_micros(),
            e.correlation_id,
            e.agent_id,
            e.session_id,
            e.traceparent,
            e.payload.get()
        ])
        .or_store()?;
    Ok(u64::try_from(row).unwrap_or(0))
}

/// The lane in which a strict operator is asked, one event after the other.
pub(crate) fn reason_lane(scope: &Scope, operator: &str) -> Digest {
    lane_key(scope, &format!("\u{0}reason:{operator}"))
}

/// Creates a run and its reasoning step; `None` when the same offering was made before, or it is not claimed.
pub(crate) fn insert_run(
    tx: &mut Tx<'_>,
    scope: Scope,
    event: EventId,
    run: &NewRun,
    offering: u64,
    at: Timestamp,
    claim: Option<SessionId>,
) -> Result<Option<Claimed>> {
    let created = tx.run(
        "INSERT INTO runs (id, reseller_id, tenant_id, mode, event_id, operator, offering, principal, bundle, strict, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12) ON CONFLICT DO NOTHING",
        params![
            run.id.as_bytes(),
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int(),
            event.as_bytes(),
            run.operator,
            int(offering),
            format!("operator:{}", run.operator),
            run.bundle.0,
            run.strict,
            RunState::Queued.as_int(),
            at.as_micros()
        ],
    )?;
    if created == 0 {
        return Ok(None);
    }
    if run.strict && !lanes::take(tx, &reason_lane(&scope, &run.operator), *run.id.as_bytes(), run.id)? {
        return Ok(None);
    }
    dispatch::make_ready(tx, scope, run.id, Step::Reason, 0, claim)
}
