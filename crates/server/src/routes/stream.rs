//! Streams: stored events, changes of state, and one run until it is over, as server-sent events from a cursor on. Reads a log page by page;
//! keeps nothing else.

use axum::body::Body;
use axum::extract::State as AxumState;
use axum::response::IntoResponse as _;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;
use utoipa::IntoParams;

use crate::auth::{Caller, perm};
use crate::cursor::StreamCursors;
use crate::deps::App;
use crate::docs::{OneStreamErrors, StreamErrors};
use crate::error::{ApiError, Code};
use crate::extract::{Id, Params, glob};
use crate::follow::{Filter, Follower, Following, Source};
use crate::serve::Closing;

use super::reply::{Reply, no_such};

/// Which events, from where.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only events whose type matches this glob: `*` is one segment, `**` any number.
    #[param(min_length = 1, max_length = 200)]
    event_type: Option<String>,
    /// Exactly this source.
    source: Option<String>,
    /// Exactly this subject.
    subject: Option<String>,
    /// The `id` of the last event seen; everything from the first event on when left out. The header `Last-Event-ID` counts before it.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    after: Option<String>,
    /// `false`: end when all that is stored was sent.
    #[param(value_type = Option<bool>, default = true)]
    follow: Option<String>,
}

/// Which changes, from where.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangeQuery {
    /// Only changes whose type matches this glob: `action.*`, `run.failed`.
    #[serde(rename = "type")]
    #[param(min_length = 1, max_length = 200)]
    change_type: Option<String>,
    /// The `id` of the last change seen; everything that is kept when left out. The header `Last-Event-ID` counts before it.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    after: Option<String>,
    /// `false`: end when all that is stored was sent.
    #[param(value_type = Option<bool>, default = true)]
    follow: Option<String>,
}

/// From where.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FromQuery {
    /// The `id` of the last change seen; the run's first when left out. The header `Last-Event-ID` counts before it.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    after: Option<String>,
    /// `false`: end when all that is stored was sent.
    #[param(value_type = Option<bool>, default = true)]
    follow: Option<String>,
}

/// How a stream was asked for.
struct Asked<'a> {
    headers: &'a HeaderMap,
    after: Option<&'a str>,
    follow: Option<&'a str>,
}

/// Stream events, oldest first, as server-sent events. Needs `events:read`.
///
/// Each event's `id` is a cursor: come back with it in `Last-Event-ID` and nothing is missed or repeated. Lines that begin with a
/// colon only keep the connection open. The stream ends when the service stops and when its API key is revoked.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events", security(("api_key" = [])),
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event seen")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"), StreamErrors))]
pub(crate) async fn stream(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::EVENTS_READ }>,
    headers: HeaderMap,
    closing: Option<axum::Extension<Closing>>,
    Params(q): Params<StreamQuery>,
) -> Reply {
    let scope = caller.scope();
    glob("event_type", q.event_type.as_deref())?;
    let cursors = StreamCursors::new("/v1/events/stream", &scope, &[q.event_type.as_deref(), q.source.as_deref(), q.subject.as_deref()]);
    let asked = Asked { headers: &headers, after: q.after.as_deref(), follow: q.follow.as_deref() };
    let source = Source::Events(Filter { event_type: q.event_type, source: q.source, subject: q.subject });
    open(app, (scope, caller.digest), closing, cursors, source, &asked).await
}

/// Stream changes of state of runs, actions and steps, in the order in which they were committed, as server-sent events. Needs `runs:read`.
///
/// A change is told when its transaction is committed, and never otherwise. It holds ids, states, codes and times, no arguments or outputs.
/// Resuming and ending are as with the stream of events.
#[utoipa::path(get, path = "/v1/stream", tag = "runs", security(("api_key" = [])),
    params(ChangeQuery, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last change seen")),
    responses((status = 200, description = "Changes as JSON: `type`, `at`, `run_id`, `action_id`, `step`, `from`, `state`, `disposition`, `applied`, `reason`", body = String, content_type = "text/event-stream"), StreamErrors))]
pub(crate) async fn changes(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    headers: HeaderMap,
    closing: Option<axum::Extension<Closing>>,
    Params(q): Params<ChangeQuery>,
) -> Reply {
    let scope = caller.scope();
    glob("type", q.change_type.as_deref())?;
    let cursors = StreamCursors::new("/v1/stream", &scope, &[q.change_type.as_deref()]);
    let asked = Asked { headers: &headers, after: q.after.as_deref(), follow: q.follow.as_deref() };
    open(app, (scope, caller.digest), closing, cursors, Source::Changes(q.change_type), &asked).await
}

/// Follow a run: its changes and those of its actions and steps, from its first, until it is over. Needs `runs:read`.
///
/// When the run is over and everything was sent, an event named `end` follows, with the run's state, and the stream is closed. Resuming is as
/// with the stream of events.
#[utoipa::path(get, path = "/v1/runs/{id}/stream", tag = "runs", security(("api_key" = [])),
    params(("id" = String, Path, description = "A run's id", pattern = "^run_[0-7][0-9a-hjkmnp-tv-z]{25}$"), FromQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last change seen")),
    responses((status = 200, description = "Changes as JSON: `type`, `at`, `run_id`, `action_id`, `step`, `from`, `state`, `disposition`, `applied`, `reason`", body = String, content_type = "text/event-stream"), OneStreamErrors))]
pub(crate) async fn of_run(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    Id(run): Id<RunId>,
    headers: HeaderMap,
    closing: Option<axum::Extension<Closing>>,
    Params(q): Params<FromQuery>,
) -> Reply {
    let scope = caller.scope();
    let cursors = StreamCursors::new("/v1/runs/stream", &scope, &[Some(&run.to_string())]);
    let asked = Asked { headers: &headers, after: q.after.as_deref(), follow: q.follow.as_deref() };
    if app.deps.lists.run(scope, run).await?.is_none() {
        return Err(no_such("run", run));
    }
    open(app, (scope, caller.digest), closing, cursors, Source::run(run), &asked).await
}

async fn open(
    app: App,
    (scope, key): (Scope, Digest),
    closing: Option<axum::Extension<Closing>>,
    cursors: StreamCursors,
    source: Source,
    asked: &Asked<'_>,
) -> Reply {
    let follow = match asked.follow {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(ApiError::invalid(format!("`follow`: `{}` is not `true` or `false`", other.escape_debug()))),
    };
    // A browser that reconnects sends the header beside the first address, so that the header is the later word.
    let position = match last_event_id(asked.headers)?.or(asked.after) {
        Some(cursor) => cursors.read(cursor)?,
        None => 0,
    };
    let busy = |_| {
        let most = app.options.max_streams;
        ApiError::unavailable(format!("{most} streams are open, which is the most at once: close one or try again"))
    };
    let permit = app.streams.clone().try_acquire_owned().map_err(busy)?;
    let closing = closing.map(|c| c.0.0).unwrap_or_default();
    let following = Following { app, scope, key, source, cursors, follow, closing, permit };
    let follower = Follower::open(following, position).await?;
    let stream = futures_util::stream::unfold(follower, |mut f| async move { Some((f.next().await?, f)) });
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], Body::from_stream(stream)).into_response())
}

/// The header `Last-Event-ID`; an empty one is as good as none, as the standard has it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let bad = |_| ApiError::new(Code::InvalidCursor, "the header `Last-Event-ID` holds bytes beyond ASCII: use the `id` as it came");
    Ok(Some(value.to_str().map_err(bad)?.trim()).filter(|t| !t.is_empty()))
}
