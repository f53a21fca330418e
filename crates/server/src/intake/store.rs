//! Storing: the event with its runs under the revision that routed it, again when that moved on, and a look when an answer was lost.

use std::time::Duration;

use tollgate_core::event::Event;
use tollgate_core::hash::Digest;
use tollgate_core::id::EventId;
use tollgate_core::ports::{Active, ConfigRev, Dedupe, IngestEvent, Ingested, StoreError};
use tollgate_core::route::offers;
use tollgate_core::scope::Scope;

use crate::deps::State;
use crate::error::ApiError;

use super::Draft;

/// How often what governs routing may move on under one request.
const TRIES: u32 = 8;
/// How long an idempotency key of this route is kept.
pub(crate) const KEY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The route that keys of events are for.
const ROUTE: &str = "POST /v1/events";
/// The route of keys that are a CloudEvent's source and id.
const CLOUD_ROUTE: &str = "POST /v1/events cloudevents";

/// An event with its idempotency.
pub(crate) struct Keyed {
    pub event: Event,
    pub dedupe: Option<Dedupe>,
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Stored,
    Repeated(EventId),
    Conflict(EventId),
}

impl Keyed {
    /// The event of a draft. `key` is the one of the request, which counts before the draft's own.
    pub fn new(app: &State, scope: Scope, draft: Draft, key: Option<&str>) -> Result<Self, ApiError> {
        let now = app.deps.ids.now();
        let dedupe = match (key.or(draft.key.as_deref()), &draft.cloud_id) {
            (Some(key), _) => Some((ROUTE, key.to_owned())),
            (None, Some(id)) => Some((CLOUD_ROUTE, Digest::of_parts("cloudevents", &[draft.source.as_bytes(), id.as_bytes()]).to_hex())),
            (None, None) => None,
        };
        let dedupe = match dedupe {
            Some((route, key)) => {
                Some(Dedupe { route: route.to_owned(), key, fingerprint: fingerprint(&draft)?, expires_at: now.plus(KEY_KEPT) })
            }
            None => None,
        };
        let event = Event {
            id: EventId::from_bytes(app.deps.ids.uuid()),
            scope,
            source: draft.source,
            event_type: draft.event_type,
            subject: draft.subject,
            time: draft.time.unwrap_or(now),
            received_at: now,
            correlation_id: draft.correlation_id,
            agent_id: draft.agent_id,
            session_id: draft.session_id,
            traceparent: draft.traceparent,
            payload: draft.payload,
        };
        Ok(Self { event, dedupe })
    }
}

/// What makes two bodies the same: every field, and the payload by value.
fn fingerprint(draft: &Draft) -> Result<Digest, ApiError> {
    let value: serde_json::Value = serde_json::from_str(draft.payload.get()).map_err(|e| super::json_fault(&e, None))?;
    let payload = tollgate_core::canon::canonical(&value).map_err(|e| ApiError::invalid(e.to_string()))?;
    let time = draft.time.map_or(String::new(), |t| t.as_micros().to_string());
    let text = |t: &'_ Option<String>| t.as_deref().unwrap_or_default().as_bytes().to_vec();
    let parts = [
        draft.source.as_bytes(),
        draft.event_type.as_bytes(),
        &payload,
        &text(&draft.subject),
        time.as_bytes(),
        &text(&draft.correlation_id),
        &text(&draft.agent_id),
        &text(&draft.session_id),
        &text(&draft.traceparent),
    ];
    Ok(Digest::of_parts("event", &parts))
}

/// Stores events, all or none.
///
/// # Errors
/// `service_unavailable` when the store cannot, or when it cannot be told whether it did.
pub(crate) async fn store_all(app: &State, scope: Scope, batch: &[Keyed]) -> Result<Vec<Outcome>, ApiError> {
    for _ in 0..TRIES {
        let active = app.deps.bundles.active(scope);
        let rev = match &active {
            Some(a) => a.rev,
            None => app.deps.registry.config_rev().await?,
        };
        match ingest(app, scope, rev, active.as_deref(), batch).await {
            Ok(outcomes) => {
                count(&outcomes);
                app.stored.send_modify(|n| *n = n.wrapping_add(1));
                return Ok(outcomes);
            }
            Err(StoreError::Stale) => app.deps.bundles.refresh(scope).await?,
            Err(StoreError::AnswerLost) => return after_lost_answer(app, scope, batch).await,
            Err(e) => return Err(e.into()),
        }
    }
    Err(StoreError::Stale.into())
}

async fn ingest(app: &State, scope: Scope, rev: ConfigRev, active: Option<&Active>, batch: &[Keyed]) -> Result<Vec<Outcome>, StoreError> {
    let with_runs = |k: &Keyed| IngestEvent {
        event: k.event.clone(),
        dedupe: k.dedupe.clone(),
        runs: active.map(|a| offers(a, &k.event, None, &app.deps.ids)).unwrap_or_default(),
    };
    let stored = app.deps.events.ingest(scope, rev, batch.iter().map(with_runs).collect(), None).await?;
    if stored.len() != batch.len() {
        return Err(StoreError::Corrupt(format!("{} events were sent and {} answered", batch.len(), stored.len())));
    }
    Ok(stored.into_iter().map(Outcome::from).collect())
}

impl From<Ingested> for Outcome {
    fn from(i: Ingested) -> Self {
        match i {
            Ingested::Stored { .. } => Self::Stored,
            Ingested::Repeated(id) => Self::Repeated(id),
            Ingested::Conflict(id) => Self::Conflict(id),
        }
    }
}

/// Looks whether a commit whose answer was lost happened. A batch is one commit: all of it did, or nothing.
async fn after_lost_answer(app: &State, scope: Scope, batch: &[Keyed]) -> Result<Vec<Outcome>, ApiError> {
    let mut out = Vec::with_capacity(batch.len());
    for k in batch {
        let there = app.deps.events.event(scope, k.event.id).await?;
        if there.is_some() {
            out.push(Outcome::Stored);
            continue;
        }
        let seen = match &k.dedupe {
            Some(d) => app.deps.events.seen(scope, d).await?,
            None => None,
        };
        match seen {
            Some(i) => out.push(i.into()),
            None => return Err(StoreError::AnswerLost.into()),
        }
    }
    app.stored.send_modify(|n| *n = n.wrapping_add(1));
    count(&out);
    Ok(out)
}

fn count(outcomes: &[Outcome]) {
    let (mut stored, mut repeated, mut conflicts) = (0, 0, 0);
    for o in outcomes {
        match o {
            Outcome::Stored => stored += 1,
            Outcome::Repeated(_) => repeated += 1,
            Outcome::Conflict(_) => conflicts += 1,
        }
    }
    for (n, outcome) in [(stored, "stored"), (repeated, "repeated"), (conflicts, "conflict")] {
        if n > 0 {
            metrics::counter!("tollgate_events_total", "outcome" => outcome).increment(n);
        }
    }
}
