//! Stored events: the list and the single one. The stream is a file of its own.

use axum::extract::State as AxumState;
use serde::Deserialize;
use tollgate_core::event::check_event_type;
use tollgate_core::id::EventId;
use tollgate_core::ports::EventFilter;
use utoipa::IntoParams;

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::App;
use crate::docs::{ListErrors, ReadErrors};
use crate::error::ApiError;
use crate::extract::{Id, Params};
use crate::view::{EventView, OwnedEvent, event_json};

use super::reply::{Reply, json_bytes, no_such, ok};

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Exactly this type.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_:/-]+(\\.[A-Za-z0-9_:/-]+)*$")]
    event_type: Option<String>,
    /// Exactly this source.
    source: Option<String>,
    /// Exactly this subject.
    subject: Option<String>,
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// List events. Needs `events:read`.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventQuery), security(("api_key" = [])),
    responses((status = 200, description = "Events, newest first", body = List<EventView>), ListErrors))]
pub(crate) async fn list_events(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::EVENTS_READ }>,
    Params(q): Params<EventQuery>,
) -> Reply {
    let scope = caller.scope();
    if let Some(t) = &q.event_type {
        check_event_type(t).map_err(|m| ApiError::invalid(format!("`event_type`: {m}")))?;
    }
    let filters = [q.event_type.as_deref(), q.source.as_deref(), q.subject.as_deref()];
    let asked = Asked::new("/v1/events", &scope, &filters, q.limit.as_deref(), q.cursor.as_deref())?;
    let filter = EventFilter { event_type: q.event_type.clone(), source: q.source.clone(), subject: q.subject.clone() };
    let rows = app.deps.lists.list_events(scope, filter, asked.page()).await?;
    Ok(ok(&asked.list(rows, OwnedEvent)))
}

/// An event. Needs `events:read`.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events", params(("id" = String, Path, description = "An event's id", pattern = "^ev_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The event", body = EventView), ReadErrors))]
pub(crate) async fn get_event(AxumState(app): AxumState<App>, caller: Caller<{ perm::EVENTS_READ }>, Id(id): Id<EventId>) -> Reply {
    let event = app.deps.events.event(caller.scope(), id).await?.ok_or_else(|| no_such("event", id))?;
    Ok(json_bytes(http::StatusCode::OK, event_json(&event).into()))
}
