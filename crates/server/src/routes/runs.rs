//! Runs and plans: look, and cancel.

use axum::extract::State as AxumState;
use serde::Deserialize;
use tollgate_core::id::{PlanId, RunId};
use tollgate_core::ports::{ActionFilter, Listed, Page, RunFilter, RunRecord};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use utoipa::IntoParams;

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::{App, State};
use crate::docs::{ChangeErrors, ListErrors, ReadErrors};
use crate::error::ApiError;
use crate::extract::{Id, Params, id, word};
use crate::view::{HopView, PlanView, RunActionView, RunDetailView, RunView};

use super::reply::{Reply, no_such, ok};

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// Of this operator.
    operator: Option<String>,
    /// In this state.
    #[param(inline, value_type = Option<StateWord>)]
    state: Option<String>,
    /// Of this event.
    #[param(pattern = "^ev_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    event: Option<String>,
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// How a run stands.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the words for the description of the API")]
enum StateWord {
    Queued,
    Running,
    NeedsResolution,
    NoPlan,
    Draft,
    Succeeded,
    Failed,
    ProposalFailed,
    Cancelled,
}

impl RunQuery {
    fn read(&self, route: &str, scope: &Scope) -> Result<(RunFilter, Asked), ApiError> {
        let words = RunState::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>();
        let filter = RunFilter {
            operator: self.operator.clone(),
            state: word("state", self.state.as_deref(), RunState::parse, &words)?,
            event: id("event", self.event.as_deref())?,
        };
        let filters = [self.operator.as_deref(), self.state.as_deref(), self.event.as_deref()];
        Ok((filter, Asked::new(route, scope, &filters, self.limit.as_deref(), self.cursor.as_deref())?))
    }
}

/// List runs. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunQuery), security(("api_key" = [])),
    responses((status = 200, description = "Runs, newest first", body = List<RunView>), ListErrors))]
pub(crate) async fn list_runs(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    Params(query): Params<RunQuery>,
) -> Reply {
    let scope = caller.scope();
    let (filter, asked) = query.read("/v1/runs", &scope)?;
    let rows = app.deps.lists.list_runs(scope, filter, asked.page()).await?;
    Ok(ok(&asked.list(rows, RunView::from)))
}

/// A run with its actions and what the ledger says of each. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path, description = "A run's id", pattern = "^run_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The run", body = RunDetailView), ReadErrors))]
pub(crate) async fn get_run(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_READ }>, Id(run): Id<RunId>) -> Reply {
    let view = detail(&app, caller.scope(), run).await?;
    Ok(ok(&view))
}

async fn detail(app: &State, scope: Scope, id: RunId) -> Result<RunDetailView, ApiError> {
    let run = app.deps.lists.run(scope, id).await?.ok_or_else(|| no_such("run", id))?;
    let mut actions = Vec::new();
    for action in app.deps.lists.actions_of(scope, id).await? {
        let entries = app.deps.ledger.entries_of(scope, action.id).await?;
        actions.push(RunActionView { hops: entries.iter().filter_map(HopView::of).collect(), action: action.into() });
    }
    Ok(RunDetailView { run: run.into(), actions })
}

/// Cancel a run: what waits is cancelled, calls under way are awaited, and their effects taken back where a tool has an `undo`. Again:
/// what takes back and is blocked is given up. Needs `runs:write`.
#[utoipa::path(post, path = "/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path, description = "A run's id", pattern = "^run_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The run as it stands now", body = RunDetailView), ChangeErrors))]
pub(crate) async fn cancel_run(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_WRITE }>, Id(run): Id<RunId>) -> Reply {
    app.deps.desk.cancel(&caller.actor(), run).await?;
    Ok(ok(&detail(&app, caller.scope(), run).await?))
}

/// List plans: the runs whose operator proposed something. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/plans", tag = "runs", params(RunQuery), security(("api_key" = [])),
    responses((status = 200, description = "Plans, newest first", body = List<PlanView>), ListErrors))]
pub(crate) async fn list_plans(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RUNS_READ }>,
    Params(query): Params<RunQuery>,
) -> Reply {
    let scope = caller.scope();
    let (filter, asked) = query.read("/v1/plans", &scope)?;
    let mut found: Vec<Listed<PlanView>> = Vec::new();
    let mut page = asked.page();
    let wanted = page.limit as usize;
    // Runs without a plan are passed over, so that a page is full unless the list ends.
    loop {
        let runs = app.deps.lists.list_runs(scope, filter.clone(), page).await?;
        let last = runs.last().map(|l| l.row);
        let ended = runs.len() < page.limit as usize;
        for Listed { row, item } in runs.into_iter().filter(|l| l.item.actions > 0) {
            if found.len() < wanted
                && let Some(plan) = plan_of(&app, scope, item).await?
            {
                found.push(Listed { row, item: plan });
            }
        }
        match last {
            Some(row) if !ended && found.len() < wanted => page = Page { before: Some(row), ..page },
            _ => break,
        }
    }
    Ok(ok(&asked.list(found, |plan| plan)))
}

async fn plan_of(app: &State, scope: Scope, run: RunRecord) -> Result<Option<PlanView>, ApiError> {
    let actions = app.deps.lists.actions_of(scope, run.id).await?;
    let Some(id) = actions.first().map(|a| a.plan) else { return Ok(None) };
    Ok(Some(PlanView {
        id,
        object: "plan",
        run_id: run.id,
        state: run.state.as_str(),
        event_id: run.event,
        operator: run.operator,
        created_at: run.planned_at,
        actions: actions.into_iter().map(Into::into).collect(),
    }))
}

/// A plan. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/plans/{id}", tag = "runs", params(("id" = String, Path, description = "A plan's id", pattern = "^pl_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The plan", body = PlanView), ReadErrors))]
pub(crate) async fn get_plan(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_READ }>, Id(id): Id<PlanId>) -> Reply {
    let scope = caller.scope();
    let run = run_of_plan(&app, scope, id).await?.ok_or_else(|| no_such("plan", id))?;
    let run = app.deps.lists.run(scope, run).await?.ok_or_else(|| no_such("plan", id))?;
    let plan = plan_of(&app, scope, run).await?.ok_or_else(|| no_such("plan", id))?;
    Ok(ok(&plan))
}

/// How far the clocks of two processes may lie apart, in milliseconds.
const SKEW_MS: u64 = 5 * 60 * 1000;

/// The run of a plan. The ports know no way from a plan to its run, so the actions are walked from the newest; an id holds its time,
/// and nothing older need be looked at.
async fn run_of_plan(app: &State, scope: Scope, plan: PlanId) -> Result<Option<RunId>, ApiError> {
    let made_at = plan.as_bytes().iter().take(6).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let mut page = Page { before: None, limit: 100 };
    loop {
        let rows = app.deps.lists.list_actions(scope, ActionFilter::default(), page).await?;
        if let Some(found) = rows.iter().find(|l| l.item.plan == plan) {
            return Ok(Some(found.item.run));
        }
        match rows.last() {
            Some(last) if rows.len() == 100 && last.item.created_at.as_millis() + SKEW_MS >= made_at => page.before = Some(last.row),
            _ => return Ok(None),
        }
    }
}
