//! Actions: submit one directly, look, and say what became of an `unknown`.

use std::time::Duration;

use axum::extract::State as AxumState;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tollgate_core::hash::Digest;
use tollgate_core::id::ActionId;
use tollgate_core::ledger::Disposition;
use tollgate_core::plan::{ActionValue, KEY_MAX, ProposedAction};
use tollgate_core::ports::{ActionFilter, Dedupe, DirectAction};
use utoipa::{IntoParams, ToSchema};

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::{App, State};
use crate::docs::{ChangeErrors, ListErrors, ReadErrors, WriteErrors};
use crate::error::ApiError;
use crate::extract::{Id, Json, Params, id, maybe_whole, nearest, whole, word};
use crate::intake::{KEY_KEPT, check_value};
use crate::view::{ActionView, LiftedView};

use super::events::idempotency_key;
use super::reply::{Reply, json, no_such, ok};

/// Longest wait for a disposition, in milliseconds.
const WAIT_MAX_MS: i64 = 60_000;
/// Longest name of a tool.
const TOOL_MAX: usize = 200;

/// Which actions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActionQuery {
    /// Of this run.
    #[param(pattern = "^run_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    run: Option<String>,
    /// In this state, such as `waiting_approval`.
    #[param(pattern = "^(proposed|ready|waiting_key|waiting_lane|waiting_approval|calling|backoff|doubt|unknown|done|blocked)$")]
    state: Option<String>,
    /// Disposed like this, such as `applied`.
    #[param(pattern = "^(applied|deduplicated|refused|failed|unknown|denied|expired|withdrawn|cancelled|skipped|invalid)$")]
    disposition: Option<String>,
    /// Of this tool.
    tool: Option<String>,
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// List actions. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/actions", tag = "actions", params(ActionQuery), security(("api_key" = [])),
    responses((status = 200, description = "Actions, newest first", body = List<ActionView>), ListErrors))]
pub(crate) async fn list_actions(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    Params(q): Params<ActionQuery>,
) -> Reply {
    let states = tollgate_core::action::ActionState::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>();
    let dispositions = Disposition::ALL.iter().map(|d| d.as_str()).collect::<Vec<_>>();
    let filter = ActionFilter {
        run: id("run", q.run.as_deref())?,
        state: word("state", q.state.as_deref(), |t| states.contains(&t).then(|| t.to_owned()), &states)?,
        disposition: word("disposition", q.disposition.as_deref(), Disposition::parse, &dispositions)?,
        tool: q.tool.clone(),
    };
    let scope = caller.scope();
    let filters = [q.run.as_deref(), q.state.as_deref(), q.disposition.as_deref(), q.tool.as_deref()];
    let asked = Asked::new("/v1/actions", &scope, &filters, q.limit.as_deref(), q.cursor.as_deref())?;
    let rows = app.deps.lists.list_actions(scope, filter, asked.page()).await?;
    Ok(ok(&asked.list(rows, ActionView::from)))
}

/// An action. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/actions/{id}", tag = "actions", params(("id" = String, Path, description = "An action's id", pattern = "^act_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The action", body = ActionView), ReadErrors))]
pub(crate) async fn get_action(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_READ }>, Id(id): Id<ActionId>) -> Reply {
    let action = app.deps.effects.action(caller.scope(), id).await?.ok_or_else(|| no_such("action", id))?;
    Ok(ok(&ActionView::from(action)))
}

/// The value at stake.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object with `amount_minor` and `unit`")]
pub(crate) struct ValueIn {
    /// Integer of the smallest unit.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = -9007199254740992_i64, maximum = 9007199254740992_i64)]
    amount_minor: i64,
    /// The unit, such as `EUR`.
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    unit: String,
}

/// One action to take through the gate.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(crate) struct ActionIn {
    /// `connector.tool`, or a capability that is bound to a tool.
    #[schema(min_length = 1, max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    tool: String,
    /// Arguments, as the tool's input schema wants them. `{}` when left out.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    args: Option<Value>,
    /// The entity whose lane it takes. Writes need one.
    #[schema(min_length = 1, max_length = 512, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    entity_key: Option<String>,
    /// The key under which it takes effect once, for ever. Writes need one.
    #[schema(min_length = 1, max_length = 512, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    idempotency_key: Option<String>,
    /// The value at stake.
    value: Option<ValueIn>,
    /// How long to wait for its disposition, in milliseconds.
    #[serde(default, deserialize_with = "maybe_whole")]
    #[schema(minimum = 0, maximum = 60000)]
    wait_ms: Option<i64>,
}

impl ActionIn {
    fn check(&self) -> Result<(), ApiError> {
        let text = |name: &str, text: &str, max: usize| {
            if text.is_empty() || text.len() > max {
                return Err(ApiError::invalid(format!("`{name}` has {} bytes: it has 1 to {max}", text.len())));
            }
            if text.chars().any(char::is_control) {
                return Err(ApiError::invalid(format!("`{name}` holds a control character")));
            }
            Ok(())
        };
        text("tool", &self.tool, TOOL_MAX)?;
        self.entity_key.as_deref().map_or(Ok(()), |t| text("entity_key", t, KEY_MAX))?;
        self.idempotency_key.as_deref().map_or(Ok(()), |t| text("idempotency_key", t, KEY_MAX))?;
        self.value.as_ref().map_or(Ok(()), |v| text("value.unit", &v.unit, 32))?;
        if self.wait_ms.is_some_and(|ms| !(0..=WAIT_MAX_MS).contains(&ms)) {
            return Err(ApiError::invalid(format!("`wait_ms` is a whole number from 0 to {WAIT_MAX_MS}")));
        }
        match &self.args {
            Some(Value::Object(_)) | None => {}
            Some(_) => return Err(ApiError::invalid("`args` is not an object: arguments have names")),
        }
        self.args.as_ref().map_or(Ok(()), |args| check_value(args, "args"))
    }

    /// Everything but how long to wait makes two requests the same.
    fn fingerprint(&self) -> Result<Digest, ApiError> {
        let value = serde_json::json!({
            "tool": self.tool, "args": self.args, "entity_key": self.entity_key, "idempotency_key": self.idempotency_key,
            "value": self.value.as_ref().map(|v| serde_json::json!([v.amount_minor, v.unit])),
        });
        let bytes = tollgate_core::canon::canonical(&value).map_err(|e| ApiError::invalid(e.to_string()))?;
        Ok(Digest::of(&bytes))
    }

    fn into_proposal(self) -> ProposedAction {
        ProposedAction {
            priority: None,
            tool: self.tool,
            capability: None,
            args: self.args.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            entity_key: self.entity_key,
            idempotency_key: self.idempotency_key,
            value: self.value.map(|v| ActionValue { amount_minor: v.amount_minor, unit: v.unit }),
            independent: false,
            continue_on_failure: false,
        }
    }
}

/// A tool that is not there is refused here, with the name that was meant; the desk judges everything else.
fn known_tool(app: &State, caller: &Caller<{ perm::ACTIONS_WRITE }>, name: &str) -> Result<(), ApiError> {
    let Some(active) = app.deps.bundles.active(caller.scope()) else { return Ok(()) };
    let spec = &active.bundle.spec;
    if spec.resolve_tool(name).is_some() {
        return Ok(());
    }
    let names = spec.tools.keys().chain(spec.bindings.keys()).map(String::as_str);
    let hint =
        nearest(name, names).map_or_else(|| "`GET /v1/connectors` lists what there is".to_owned(), |n| format!("did you mean `{n}`?"));
    Err(ApiError::invalid(format!("`tool`: there is no tool or capability `{}`: {hint}", name.escape_debug())))
}

/// Take one action through the gate, and wait up to `wait_ms` for its disposition. Needs `actions:write`.
///
/// 201 says that the action is stored, not that it was applied: read `state` and `disposition`.
#[utoipa::path(post, path = "/v1/actions", tag = "actions", request_body = ActionIn, security(("api_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters, kept 24 h", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")),
    responses((status = 201, description = "The action as it stands", body = ActionView), WriteErrors))]
pub(crate) async fn post_action(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::ACTIONS_WRITE }>,
    headers: HeaderMap,
    Json(body): Json<ActionIn>,
) -> Reply {
    body.check()?;
    known_tool(&app, &caller, &body.tool)?;
    let dedupe = match idempotency_key(&headers)? {
        Some(key) => Some(Dedupe {
            route: "POST /v1/actions".to_owned(),
            key: key.to_owned(),
            fingerprint: body.fingerprint()?,
            expires_at: app.deps.ids.now().plus(KEY_KEPT),
        }),
        None => None,
    };
    let wait = Duration::from_millis(u64::try_from(body.wait_ms.unwrap_or(0)).unwrap_or(0));
    let action = DirectAction { proposal: body.into_proposal(), dedupe, wait };
    let record = app.deps.desk.submit(&caller.actor(), action).await?;
    Ok(json(StatusCode::CREATED, &ActionView::from(record)))
}

/// A person's word on an action whose outcome is not known.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(crate) struct ResolveIn {
    /// `true`: it happened. `false`: it did not, and its key is free again.
    applied: bool,
    /// Why, for the record.
    #[schema(max_length = 2000)]
    comment: Option<String>,
}

/// Say whether an action that ended `unknown` happened. Needs `approvals:write`.
#[utoipa::path(post, path = "/v1/actions/{id}/resolve", tag = "actions", request_body = ResolveIn, security(("api_key" = [])),
    params(("id" = String, Path, description = "An action's id", pattern = "^act_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 200, description = "The action as it stands now", body = ActionView), WriteErrors))]
pub(crate) async fn resolve_action(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::APPROVALS_WRITE }>,
    Id(id): Id<ActionId>,
    Json(body): Json<ResolveIn>,
) -> Reply {
    super::approvals::check_comment(body.comment.as_deref())?;
    let record = app.deps.desk.resolve(&caller.actor(), id, body.applied, body.comment).await?;
    Ok(ok(&ActionView::from(record)))
}

/// Lift the denial that stands for an action's key, so that it may be asked for again. Needs `approvals:write`.
#[utoipa::path(post, path = "/v1/actions/{id}/lift-denial", tag = "actions", security(("api_key" = [])),
    params(("id" = String, Path, description = "An action's id", pattern = "^act_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 200, description = "Whether one stood", body = LiftedView), ChangeErrors))]
pub(crate) async fn lift_denial(AxumState(app): AxumState<App>, caller: Caller<{ perm::APPROVALS_WRITE }>, Id(id): Id<ActionId>) -> Reply {
    let lifted = app.deps.desk.lift_denial(&caller.actor(), id).await?;
    Ok(ok(&LiftedView { id, lifted }))
}
