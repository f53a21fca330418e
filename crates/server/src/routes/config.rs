//! What is active: operators, connectors, policies; pausing and activating.

use std::sync::Arc;

use axum::extract::State as AxumState;
use tollgate_core::ports::Active;
use tollgate_core::scope::Scope;
use tollgate_core::spec::OperatorSpec;

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::{App, State};
use crate::docs::{ChangeErrors, ListErrors, ReadErrors};
use crate::error::ApiError;
use crate::extract::{Params, Segment};
use crate::view::{ConnectorView, OperatorView, PoliciesView};

use super::replays::PageQuery;
use super::reply::{Reply, no_such, ok};

/// Statuses that were ever set, by kind and name.
type Statuses = Vec<(String, String, String)>;

fn operator_view(active: &Active, o: &OperatorSpec, statuses: &Statuses) -> OperatorView {
    let activated = || statuses.iter().any(|(kind, name, status)| kind == "operator" && *name == o.name && status == "active");
    let status = if active.paused_operators.contains(&o.name) {
        "paused"
    } else if o.draft && !activated() {
        "draft"
    } else {
        "active"
    };
    OperatorView::new(o, status)
}

/// List the operators of the active bundle. Needs `config:read`.
#[utoipa::path(get, path = "/v1/operators", tag = "config", params(PageQuery), security(("api_key" = [])),
    responses((status = 200, description = "Operators by name", body = List<OperatorView>), ListErrors))]
pub(crate) async fn list_operators(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::CONFIG_READ }>,
    Params(q): Params<PageQuery>,
) -> Reply {
    let scope = caller.scope();
    let asked = Asked::new("/v1/operators", &scope, &[], q.limit.as_deref(), q.cursor.as_deref())?;
    let statuses = app.deps.registry.statuses(scope).await?;
    let active = app.deps.bundles.active(scope);
    let all: Vec<OperatorView> =
        active.iter().flat_map(|a| a.bundle.spec.operators.values().map(|o| operator_view(a, o, &statuses))).collect();
    Ok(ok(&asked.list(asked.of_all(all), |o| o)))
}

async fn operator(app: &State, scope: Scope, name: &str) -> Result<OperatorView, ApiError> {
    let none = || no_such("operator", name.escape_debug());
    let active = app.deps.bundles.active(scope).ok_or_else(none)?;
    let spec = active.bundle.spec.operators.get(name).ok_or_else(none)?;
    let statuses = app.deps.registry.statuses(scope).await?;
    Ok(operator_view(&active, spec, &statuses))
}

/// An operator of the active bundle. Needs `config:read`.
#[utoipa::path(get, path = "/v1/operators/{name}", tag = "config", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 200, description = "The operator", body = OperatorView), ReadErrors))]
pub(crate) async fn get_operator(AxumState(app): AxumState<App>, caller: Caller<{ perm::CONFIG_READ }>, Segment(name): Segment) -> Reply {
    Ok(ok(&operator(&app, caller.scope(), &name).await?))
}

/// Pause an operator: events that come meanwhile wait for a replay. Needs `config:write`.
#[utoipa::path(post, path = "/v1/operators/{name}/pause", tag = "config", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 200, description = "The operator as it is now", body = OperatorView), ChangeErrors))]
pub(crate) async fn pause_operator(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::CONFIG_WRITE }>,
    Segment(name): Segment,
) -> Reply {
    set_operator(&app, caller, name, "paused").await
}

/// Activate an operator that is paused or a draft. Needs `config:write`.
#[utoipa::path(post, path = "/v1/operators/{name}/activate", tag = "config", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 200, description = "The operator as it is now", body = OperatorView), ChangeErrors))]
pub(crate) async fn activate_operator(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::CONFIG_WRITE }>,
    Segment(name): Segment,
) -> Reply {
    set_operator(&app, caller, name, "active").await
}

async fn set_operator(app: &State, caller: Caller<{ perm::CONFIG_WRITE }>, name: String, status: &str) -> Reply {
    let scope = caller.scope();
    // Looked at first: the desk cannot tell "no such operator" from "nothing is deployed yet".
    operator(app, scope, &name).await?;
    app.deps.desk.set_status(&caller.actor(), "operator".to_owned(), name.clone(), status.to_owned()).await?;
    app.deps.bundles.refresh(scope).await?;
    Ok(ok(&operator(app, scope, &name).await?))
}

fn connector_view(active: &Arc<Active>, name: &str) -> Option<ConnectorView> {
    let spec = &active.bundle.spec;
    let tools = spec.tools.values().filter(|t| t.connector == name);
    spec.connectors.get(name).map(|c| ConnectorView::new(c, active.paused_connectors.contains(name), tools))
}

/// List the connectors of the active bundle. Needs `config:read`.
#[utoipa::path(get, path = "/v1/connectors", tag = "config", params(PageQuery), security(("api_key" = [])),
    responses((status = 200, description = "Connectors by name", body = List<ConnectorView>), ListErrors))]
pub(crate) async fn list_connectors(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::CONFIG_READ }>,
    Params(q): Params<PageQuery>,
) -> Reply {
    let scope = caller.scope();
    let asked = Asked::new("/v1/connectors", &scope, &[], q.limit.as_deref(), q.cursor.as_deref())?;
    let active = app.deps.bundles.active(scope);
    let all: Vec<ConnectorView> =
        active.iter().flat_map(|a| a.bundle.spec.connectors.keys().filter_map(|name| connector_view(a, name))).collect();
    Ok(ok(&asked.list(asked.of_all(all), |c| c)))
}

/// A connector of the active bundle, with its tools. Needs `config:read`.
#[utoipa::path(get, path = "/v1/connectors/{name}", tag = "config", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 200, description = "The connector", body = ConnectorView), ReadErrors))]
pub(crate) async fn get_connector(AxumState(app): AxumState<App>, caller: Caller<{ perm::CONFIG_READ }>, Segment(name): Segment) -> Reply {
    let active = app.deps.bundles.active(caller.scope());
    let view = active.and_then(|a| connector_view(&a, &name)).ok_or_else(|| no_such("connector", name.escape_debug()))?;
    Ok(ok(&view))
}

/// The active policies. Needs `config:read`.
#[utoipa::path(get, path = "/v1/policies", tag = "config", security(("api_key" = [])),
    responses((status = 200, description = "The policies", body = PoliciesView), ListErrors))]
pub(crate) async fn get_policies(AxumState(app): AxumState<App>, caller: Caller<{ perm::CONFIG_READ }>) -> Reply {
    Ok(ok(&PoliciesView::new(app.deps.bundles.active(caller.scope()).as_deref())))
}
