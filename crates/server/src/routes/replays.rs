//! Replays: offer recorded events again.

use axum::extract::State as AxumState;
use http::StatusCode;
use serde::Deserialize;
use tollgate_core::id::ReplayId;
use tollgate_core::ports::ReplayRange;
use tollgate_core::time::Timestamp;
use utoipa::{IntoParams, ToSchema};

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::App;
use crate::docs::{ListErrors, ReadErrors, WriteErrors};
use crate::error::ApiError;
use crate::extract::{Id, MaybeJson, Params, glob};
use crate::view::ReplayView;

use super::reply::{Reply, json, no_such, ok};

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// List replays. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/replays", tag = "replays", params(PageQuery), security(("api_key" = [])),
    responses((status = 200, description = "Replays, newest first", body = List<ReplayView>), ListErrors))]
pub(crate) async fn list_replays(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    Params(q): Params<PageQuery>,
) -> Reply {
    let scope = caller.scope();
    let asked = Asked::new("/v1/replays", &scope, &[], q.limit.as_deref(), q.cursor.as_deref())?;
    let rows = app.deps.lists.list_replays(scope, asked.page()).await?;
    Ok(ok(&asked.list(rows, ReplayView::from)))
}

/// A replay and how far it is. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/replays/{id}", tag = "replays", params(("id" = String, Path, description = "A replay's id", pattern = "^rpl_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The replay", body = ReplayView), ReadErrors))]
pub(crate) async fn get_replay(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_READ }>, Id(id): Id<ReplayId>) -> Reply {
    let replay = app.deps.lists.replay(caller.scope(), id).await?.ok_or_else(|| no_such("replay", id))?;
    Ok(ok(&ReplayView::from(replay)))
}

/// A range of recorded events. Everything when nothing is given.
#[derive(Deserialize, ToSchema, Default)]
#[serde(expecting = "an object")]
pub(crate) struct ReplayIn {
    /// Received at or after.
    #[schema(format = DateTime, min_length = 20)]
    from: Option<String>,
    /// Received before.
    #[schema(format = DateTime, min_length = 20)]
    to: Option<String>,
    /// Only this operator.
    #[schema(min_length = 1, max_length = 200)]
    operator: Option<String>,
    /// Only events whose type matches this glob.
    #[schema(min_length = 1, max_length = 200)]
    event_type: Option<String>,
}

/// Offer recorded events again, through the gate as it is now: what ran before is deduplicated, what never ran gets its chance.
/// Needs `runs:write`.
#[utoipa::path(post, path = "/v1/replays", tag = "replays", request_body = Option<ReplayIn>, security(("api_key" = [])),
    responses((status = 201, description = "The replay as it begins", body = ReplayView), WriteErrors))]
pub(crate) async fn post_replay(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_WRITE }>,
    MaybeJson(body): MaybeJson<ReplayIn>,
) -> Reply {
    let time = |name: &str, text: &Option<String>| {
        let bad = |t: &String| {
            ApiError::invalid(format!("`{name}`: `{}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z", t.escape_debug()))
        };
        text.as_ref().map(|t| Timestamp::parse(t).ok_or_else(|| bad(t))).transpose()
    };
    let (from, to) = (time("from", &body.from)?, time("to", &body.to)?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(ApiError::invalid("`from` lies after `to`"));
    }
    glob("event_type", body.event_type.as_deref())?;
    if let Some(name) = &body.operator {
        let known = app.deps.bundles.active(caller.scope()).is_some_and(|a| a.bundle.spec.operators.contains_key(name));
        if !known {
            return Err(no_such("operator", name.escape_debug()));
        }
    }
    let id = ReplayId::from_bytes(app.deps.ids.uuid());
    let range = ReplayRange { id, from, to, operator: body.operator, event_type: body.event_type };
    let state = app.deps.desk.replay(&caller.actor(), range).await?;
    Ok(json(StatusCode::CREATED, &ReplayView::from(state)))
}
