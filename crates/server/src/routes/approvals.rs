//! Approval requests: look, say yes, say no.

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use tollgate_core::hash::Digest;
use tollgate_core::id::ApprovalId;
use tollgate_core::ports::{Answer, Answered, ApprovalFilter};
use utoipa::{IntoParams, ToSchema};

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::App;
use crate::docs::{ListErrors, ReadErrors, WriteErrors};
use crate::error::{ApiError, Code};
use crate::extract::{Id, MaybeJson, Params, word};
use crate::view::{ActionView, ApprovalView};

use super::reply::{Reply, no_such, ok};

const STATUSES: &[&str] = &["open", "approved", "denied", "expired", "withdrawn"];
const COMMENT_MAX: usize = 2000;

/// Which approval requests.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalQuery {
    /// How they stand.
    #[param(pattern = "^(open|approved|denied|expired|withdrawn)$")]
    status: Option<String>,
    /// That ask this queue.
    queue: Option<String>,
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// List approval requests. Needs `approvals:read`.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(ApprovalQuery), security(("api_key" = [])),
    responses((status = 200, description = "Requests, newest first", body = List<ApprovalView>), ListErrors))]
pub(crate) async fn list_approvals(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::APPROVALS_READ }>,
    Params(q): Params<ApprovalQuery>,
) -> Reply {
    let scope = caller.scope();
    let status = word("status", q.status.as_deref(), |t| STATUSES.contains(&t).then(|| t.to_owned()), STATUSES)?;
    let filters = [q.status.as_deref(), q.queue.as_deref()];
    let asked = Asked::new("/v1/approvals", &scope, &filters, q.limit.as_deref(), q.cursor.as_deref())?;
    let rows = app.deps.lists.list_approvals(scope, ApprovalFilter { status, queue: q.queue.clone() }, asked.page()).await?;
    Ok(ok(&asked.list(rows, ApprovalView::from)))
}

/// An approval request, with exactly what is asked. Needs `approvals:read`.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "approvals", params(("id" = String, Path, description = "An approval's id", pattern = "^apr_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The request", body = ApprovalView), ReadErrors))]
pub(crate) async fn get_approval(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::APPROVALS_READ }>,
    Id(id): Id<ApprovalId>,
) -> Reply {
    let approval = app.deps.effects.approval(caller.scope(), id).await?.ok_or_else(|| no_such("approval", id))?;
    Ok(ok(&ApprovalView::from(approval)))
}

/// An answer to an approval request. May be left out altogether.
#[derive(Deserialize, ToSchema, Default)]
#[serde(expecting = "an object")]
pub(crate) struct AnswerIn {
    /// The queue that answers; may be left out when exactly one is open.
    #[schema(min_length = 1, max_length = 200)]
    queue: Option<String>,
    /// `binding` of the request as it was seen: the answer is refused when it asks for something else by now.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    binding: Option<String>,
    /// Why, for the record.
    #[schema(max_length = 2000)]
    comment: Option<String>,
}

/// Comments are for people, and go into the ledger sealed.
pub(super) fn check_comment(comment: Option<&str>) -> Result<(), ApiError> {
    match comment.map(|c| c.chars().count()) {
        Some(n) if n > COMMENT_MAX => Err(ApiError::invalid(format!("`comment` has {n} characters: at most {COMMENT_MAX} are taken"))),
        _ => Ok(()),
    }
}

impl AnswerIn {
    fn into_answer(self, approval: ApprovalId) -> Result<Answer, ApiError> {
        check_comment(self.comment.as_deref())?;
        if self.queue.as_ref().is_some_and(|q| q.is_empty() || q.len() > 200) {
            return Err(ApiError::invalid("`queue` has 1 to 200 bytes"));
        }
        let digest = |text: &String| {
            Digest::from_hex(text)
                .ok_or_else(|| ApiError::invalid("`binding` is not 64 characters of lower-case hex: copy it from the request"))
        };
        let binding = self.binding.as_ref().map(digest).transpose()?;
        Ok(Answer { approval, queue: self.queue, binding, comment: self.comment })
    }
}

/// What came of a yes.
#[derive(Serialize, ToSchema)]
#[schema(as = Approved)]
pub(crate) struct ApprovedView {
    /// The request as it stands now.
    pub approval: ApprovalView,
    /// Whether every queue said yes, so that the action goes on.
    pub complete: bool,
    /// Queues that are still open.
    pub still_open: Vec<String>,
}

/// Say yes. Needs `approvals:write`.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", tag = "approvals", request_body = Option<AnswerIn>, security(("api_key" = [])),
    params(("id" = String, Path, description = "An approval's id", pattern = "^apr_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 200, description = "Taken", body = ApprovedView), WriteErrors))]
pub(crate) async fn approve(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::APPROVALS_WRITE }>,
    Id(id): Id<ApprovalId>,
    MaybeJson(body): MaybeJson<AnswerIn>,
) -> Reply {
    let conflict = |m: String| Err(ApiError::new(Code::StateConflict, m));
    let (complete, still_open) = match app.deps.desk.approve(&caller.actor(), body.into_answer(id)?).await? {
        Answered::Approved => (true, Vec::new()),
        Answered::StillOpen(queues) => (false, queues),
        Answered::Expired => return conflict(format!("the approval request `{id}` has lapsed: nobody answered in time")),
        Answered::AlreadyEnded(how) => return conflict(format!("the approval request `{id}` was answered before: it is {how}")),
        Answered::WrongBinding => {
            return conflict(format!("the approval request `{id}` asks for something else than you saw: read it again"));
        }
    };
    let approval = app.deps.effects.approval(caller.scope(), id).await?.ok_or_else(|| no_such("approval", id))?;
    Ok(ok(&ApprovedView { approval: approval.into(), complete, still_open }))
}

/// Say no: the action ends `denied`. Needs `approvals:write`.
#[utoipa::path(post, path = "/v1/approvals/{id}/deny", tag = "approvals", request_body = Option<AnswerIn>, security(("api_key" = [])),
    params(("id" = String, Path, description = "An approval's id", pattern = "^apr_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 200, description = "The action as it stands now", body = ActionView), WriteErrors))]
pub(crate) async fn deny(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::APPROVALS_WRITE }>,
    Id(id): Id<ApprovalId>,
    MaybeJson(body): MaybeJson<AnswerIn>,
) -> Reply {
    let action = app.deps.desk.deny(&caller.actor(), body.into_answer(id)?).await?;
    Ok(ok(&ActionView::from(action)))
}
