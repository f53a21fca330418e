//! Events in: the event, its idempotency key and its runs, in one transaction.

use tollgate_core::gate::lane_key;
use tollgate_core::hash::Digest;
use tollgate_core::id::{EventId, SessionId};
use tollgate_core::ports::{Claimed, ConfigRev, Dedupe, IngestEvent, Ingested, NewRun, Step, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::{dispatch, epoch, lanes};
use crate::error::Result;
use crate::tx::{NewRunRow, StepRow, Tx};

/// Stores a batch.
pub(crate) fn ingest(
    tx: &mut dyn Tx,
    scope: Scope,
    rev: ConfigRev,
    events: &[IngestEvent],
    claim: Option<SessionId>,
) -> Result<Vec<Ingested>> {
    check_rev(tx, rev)?;
    events.iter().map(|e| one(tx, scope, e, claim)).collect()
}

/// Refuses what was decided under another configuration, and everything while an epoch holds all writes.
pub(crate) fn check_rev(tx: &mut dyn Tx, rev: ConfigRev) -> Result<()> {
    epoch::check(tx)?;
    if tx.config_rev()? == rev { Ok(()) } else { Err(StoreError::Stale) }
}

fn one(tx: &mut dyn Tx, scope: Scope, new: &IngestEvent, claim: Option<SessionId>) -> Result<Ingested> {
    if let Some(d) = &new.dedupe {
        if let Some((id, same)) = seen(tx, scope, d)? {
            let id = EventId::from_bytes(id);
            return Ok(if same { Ingested::Repeated(id) } else { Ingested::Conflict(id) });
        }
        tx.remember(scope, d, *new.event.id.as_bytes())?;
    }
    tx.insert_event(&new.event)?;
    let mut claimed = Vec::new();
    for run in &new.runs {
        if let Some(c) = insert_run(tx, scope, new.event.id, run, 0, new.event.received_at, claim)? {
            claimed.push(c);
        }
    }
    Ok(Ingested::Stored { claimed })
}

/// What a key stands for, and whether the body is the same. A lapsed key stands for nothing.
pub(crate) fn seen(tx: &mut dyn Tx, scope: Scope, d: &Dedupe) -> Result<Option<([u8; 16], bool)>> {
    let found = tx.remembered(scope, d)?.filter(|r| r.expires_at > tx.now());
    Ok(found.map(|r| (r.reference, r.fingerprint == d.fingerprint)))
}

/// The lane in which a strict operator is asked, one event after the other.
pub(crate) fn reason_lane(scope: &Scope, operator: &str) -> Digest {
    lane_key(scope, &format!("\u{0}reason:{operator}"))
}

/// Creates a run and its reasoning step; `None` when the same offering was made before, or it is not claimed.
pub(crate) fn insert_run(
    tx: &mut dyn Tx,
    scope: Scope,
    event: EventId,
    run: &NewRun,
    offering: u64,
    at: Timestamp,
    claim: Option<SessionId>,
) -> Result<Option<Claimed>> {
    let created = tx.insert_run(&NewRunRow {
        id: run.id,
        scope,
        event: Some(event),
        operator: Some(run.operator.clone()),
        offering,
        principal: format!("operator:{}", run.operator),
        bundle: run.bundle,
        strict: run.strict,
        state: RunState::Queued,
        actions: 0,
        graph: None,
        terms: run.terms,
        planned_at: None,
        at,
    })?;
    if !created {
        return Ok(None);
    }
    if run.strict && !lanes::take(tx, scope, &reason_lane(&scope, &run.operator), *run.id.as_bytes(), run.id)? {
        return Ok(None);
    }
    dispatch::make_ready(tx, &StepRow { scope, run: run.id, step: Step::Reason, fence: 0, terms: run.terms }, claim)
}
