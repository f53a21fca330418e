//! `GET /v1/events/stream`: stored events as server-sent events, from a cursor on. Reads the event log page by page; keeps nothing else.

use axum::body::Body;
use axum::extract::State as AxumState;
use axum::response::IntoResponse as _;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::{Caller, perm};
use crate::cursor::StreamCursors;
use crate::deps::App;
use crate::docs::StreamErrors;
use crate::error::{ApiError, Code};
use crate::extract::{Params, glob};
use crate::follow::{Filter, Follower, Following};
use crate::serve::Closing;

use super::reply::Reply;

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
    let follow = match q.follow.as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(ApiError::invalid(format!("`follow`: `{}` is not `true` or `false`", other.escape_debug()))),
    };
    let cursors = StreamCursors::new("/v1/events/stream", &scope, &[q.event_type.as_deref(), q.source.as_deref(), q.subject.as_deref()]);
    // A browser that reconnects sends the header beside the first address, so that the header is the later word.
    let position = match last_event_id(&headers)?.or(q.after.as_deref()) {
        Some(cursor) => cursors.read(cursor)?,
        None => 0,
    };
    let busy = |_| {
        let most = app.options.max_streams;
        ApiError::new(Code::RateLimited, format!("{most} streams are open, which is the most at once: close one or try again"))
    };
    let permit = app.streams.clone().try_acquire_owned().map_err(busy)?;
    let filter = Filter { event_type: q.event_type, source: q.source, subject: q.subject };
    let closing = closing.map(|c| c.0.0).unwrap_or_default();
    let following = Following { app, scope, key: caller.digest, filter, cursors, follow, closing, permit };
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
