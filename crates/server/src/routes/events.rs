//! `POST /v1/events`: one event, a CloudEvent, or a batch as JSON lines.

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tollgate_core::id::EventId;
use tollgate_core::scope::Scope;
use utoipa::ToSchema;

use crate::auth::{Caller, perm};
use crate::body::{essence, read_body, unsupported};
use crate::deps::{App, State};
use crate::docs::WriteErrors;
use crate::error::{ApiError, Code};
use crate::intake::{Keyed, Line, Outcome, RawEnvelope, check_key, draft, json_fault, read_lines, store_all};
use crate::view::{CloudEventIn, EventIn, EventView, event_json};

use super::reply::{json, json_bytes};

const TAKEN: &str = "application/json";

/// An event as stored, or what became of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "names the answers for the description of the API")]
pub(crate) enum StoredView<'a> {
    Event(EventView<'a>),
    Batch(BatchView),
}

/// Store an event, or a batch of events as JSON lines. Needs `events:write`.
///
/// With a key the same event again answers 200 and the first one; the same key with another body is `idempotency_conflict`. In a batch
/// each line may hold its own `idempotency_key`; one bad line refuses the whole batch, and nothing of it is stored.
#[utoipa::path(post, path = "/v1/events", tag = "events", security(("api_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters, kept 24 h", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")),
    request_body(content((EventIn = "application/json"), (CloudEventIn = "application/cloudevents+json"), (String = "application/x-ndjson"), (String = "application/jsonl"))),
    responses((status = 201, description = "Stored: the event, or of a batch at least one", body = StoredView),
        (status = 200, description = "Seen before: the first event, or what each line of a batch stands for", body = StoredView), WriteErrors))]
pub(crate) async fn post_event(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::EVENTS_WRITE }>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let key = idempotency_key(&parts.headers)?;
    let kind = essence(&parts.headers);
    match kind.as_deref() {
        Some("application/json" | "application/cloudevents+json") => {
            if parts.headers.contains_key("ce-specversion") {
                return Err(ApiError::invalid(
                    "the binary mode of CloudEvents is not taken: send the event in structured mode, as `application/cloudevents+json`",
                ));
            }
            let bytes = read_body(&parts.headers, body, app.options.max_body, app.options.body_timeout).await?;
            one(&app, caller.scope(), &bytes, key).await
        }
        Some("application/x-ndjson" | "application/jsonl") => {
            let bytes = read_body(&parts.headers, body, app.options.max_batch, app.options.body_timeout).await?;
            let lines = read_lines(&bytes, app.options.max_body, app.options.max_batch_events)?;
            many(&app, caller.scope(), lines, key).await
        }
        other => Err(unsupported(other, TAKEN)),
    }
}

/// The header `Idempotency-Key`.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiError::invalid("the header `Idempotency-Key` holds bytes beyond ASCII"))?;
    check_key(text)?;
    Ok(Some(text))
}

async fn one(app: &State, scope: Scope, bytes: &[u8], key: Option<&str>) -> Result<Response, ApiError> {
    let raw: RawEnvelope = serde_json::from_slice(bytes).map_err(|e| json_fault(&e, None))?;
    let keyed = [Keyed::new(app, scope, draft(raw, None)?, key)?];
    let outcome = store_all(app, scope, &keyed).await?;
    let [Keyed { event, .. }] = &keyed;
    answer(app, scope, outcome.first().copied().unwrap_or(Outcome::Stored), event).await
}

/// The answer for one event: as stored, or the one that its key stands for.
pub(crate) async fn answer(app: &State, scope: Scope, outcome: Outcome, event: &tollgate_core::event::Event) -> Result<Response, ApiError> {
    match outcome {
        Outcome::Stored => Ok(json_bytes(StatusCode::CREATED, event_json(event).into())),
        Outcome::Repeated(id) => {
            let gone = || ApiError::not_found(format!("the event `{id}` of this idempotency key was deleted"));
            let first = app.deps.events.event(scope, id).await?.ok_or_else(gone)?;
            Ok(json_bytes(StatusCode::OK, event_json(&first).into()))
        }
        Outcome::Conflict(id) => Err(ApiError::new(
            Code::IdempotencyConflict,
            format!("this idempotency key was used with another body, which made `{id}`: use a new key for a new event"),
        )),
    }
}

/// What became of a line.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineView {
    /// Its number, from 1.
    pub line: usize,
    /// `stored`, `repeated` or `conflict`.
    pub status: &'static str,
    /// The event of the line; with `conflict` the event that its key stands for.
    #[schema(value_type = String)]
    pub id: EventId,
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchView {
    /// Always `event_batch`.
    pub object: &'static str,
    /// How many were stored.
    pub stored: usize,
    /// How many had been stored before under the same key and body.
    pub repeated: usize,
    /// How many were refused: their key stands for another body.
    pub conflicts: usize,
    /// In the order of the lines.
    pub data: Vec<LineView>,
}

async fn many(app: &State, scope: Scope, lines: Vec<Line>, key: Option<&str>) -> Result<Response, ApiError> {
    let mut numbers = Vec::with_capacity(lines.len());
    let mut batch = Vec::with_capacity(lines.len());
    for Line { number, draft } in lines {
        // A key of the whole request stands for each line by its number, so that the batch repeats as a whole.
        let of_line = match (key, &draft.key) {
            (Some(k), None) => Some(tollgate_core::hash::Digest::of_parts("line", &[k.as_bytes(), number.to_string().as_bytes()]).to_hex()),
            _ => None,
        };
        numbers.push(number);
        batch.push(Keyed::new(app, scope, draft, of_line.as_deref())?);
    }
    let outcomes = store_all(app, scope, &batch).await?;
    let mut view = BatchView { object: "event_batch", stored: 0, repeated: 0, conflicts: 0, data: Vec::with_capacity(batch.len()) };
    for ((line, keyed), outcome) in numbers.into_iter().zip(&batch).zip(outcomes) {
        let (status, id) = match outcome {
            Outcome::Stored => ("stored", keyed.event.id),
            Outcome::Repeated(id) => ("repeated", id),
            Outcome::Conflict(id) => ("conflict", id),
        };
        match outcome {
            Outcome::Stored => view.stored += 1,
            Outcome::Repeated(_) => view.repeated += 1,
            Outcome::Conflict(_) => view.conflicts += 1,
        }
        view.data.push(LineView { line, status, id });
    }
    let status = if view.stored > 0 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &view))
}
