//! Actions and approval requests as clients see them.

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, EventId, PlanId, RunId};
use tollgate_core::ports::{ActionRecord, ApprovalRecord};
use tollgate_core::time::Timestamp;
use utoipa::ToSchema;

use super::raw_json;

/// The value at stake in an action.
#[derive(Serialize, ToSchema)]
#[schema(as = Value)]
pub(crate) struct ValueView {
    /// Integer of the smallest unit.
    pub amount_minor: i64,
    /// The unit, such as `EUR`.
    pub unit: String,
}

/// An action.
#[derive(Serialize, ToSchema)]
#[schema(as = Action)]
pub(crate) struct ActionView {
    /// Its id.
    #[schema(value_type = String, example = "act_01hzy0000000000000000000000")]
    pub id: ActionId,
    /// Always `action`.
    pub object: &'static str,
    /// Its run.
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// Its plan.
    #[schema(value_type = String)]
    pub plan_id: PlanId,
    /// The event that led to it; null for a direct action.
    #[schema(value_type = Option<String>)]
    pub event_id: Option<EventId>,
    /// Who acts, such as `operator:triage`.
    pub principal: String,
    /// Its place in the plan, from 0.
    pub seq: u32,
    /// The tool.
    pub tool: String,
    /// The capability that was asked for, where one was.
    pub capability: Option<String>,
    /// `read` or `write`.
    pub effect: &'static str,
    /// Arguments.
    pub args: serde_json::Value,
    /// The entity whose lane it takes.
    pub entity_key: Option<String>,
    /// The key under which it takes effect once.
    pub idempotency_key: Option<String>,
    /// The value at stake.
    pub value: Option<ValueView>,
    /// Where it stands.
    #[schema(example = "done")]
    pub state: &'static str,
    /// How it ended; null while it has not.
    #[schema(example = "applied")]
    pub disposition: Option<&'static str>,
    /// Why, in a stable word.
    pub reason: Option<String>,
    /// Why, for people.
    pub detail: Option<String>,
    /// What the tool returned.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Box<RawValue>>,
    /// Attempts begun.
    pub attempts: u32,
    /// Its latest approval request.
    #[schema(value_type = Option<String>)]
    pub approval_id: Option<ApprovalId>,
    /// The action whose effect it takes back, after its run was cancelled.
    #[schema(value_type = Option<String>)]
    pub compensates: Option<ActionId>,
    /// Its receipt.
    #[schema(value_type = Option<String>)]
    pub receipt_id: Option<EntryId>,
    /// When its last attempt is given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deadline_at: Option<Timestamp>,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<ActionRecord> for ActionView {
    fn from(a: ActionRecord) -> Self {
        let p = a.proposal;
        Self {
            id: a.id,
            object: "action",
            run_id: a.run,
            plan_id: a.plan,
            event_id: a.event,
            principal: a.principal.label(),
            seq: a.seq,
            tool: p.tool,
            capability: p.capability,
            effect: a.effect.as_str(),
            args: p.args,
            entity_key: p.entity_key,
            idempotency_key: p.idempotency_key,
            value: p.value.map(|v| ValueView { amount_minor: v.amount_minor, unit: v.unit }),
            state: a.state.as_str(),
            disposition: a.disposition.map(tollgate_core::ledger::Disposition::as_str),
            reason: a.reason,
            detail: a.detail,
            output: a.output.as_deref().and_then(raw_json),
            attempts: a.attempts.count,
            approval_id: a.approval,
            compensates: a.compensates,
            receipt_id: a.receipt,
            deadline_at: a.deadline_at,
            created_at: a.created_at,
            updated_at: a.updated_at,
        }
    }
}

/// Whether a denial stood and was lifted.
#[derive(Serialize, ToSchema)]
#[schema(as = LiftedDenial)]
pub(crate) struct LiftedView {
    /// The action.
    #[schema(value_type = String)]
    pub id: ActionId,
    /// `false`: none stood.
    pub lifted: bool,
}

/// A queue of an approval request.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// Its name.
    pub name: String,
    /// Who said yes; null while nobody did.
    pub approved_by: Option<String>,
}

/// An approval request.
#[derive(Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalView {
    /// Its id.
    #[schema(value_type = String, example = "apr_01hzy0000000000000000000000")]
    pub id: ApprovalId,
    /// Always `approval`.
    pub object: &'static str,
    /// The action.
    #[schema(value_type = String)]
    pub action_id: ActionId,
    /// The run.
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// `open`, `approved`, `denied`, `expired` or `withdrawn`.
    pub status: String,
    /// Every queue that must say yes.
    pub queues: Vec<QueueView>,
    /// Digest of what is asked: send it with an answer, so that the answer is to what was seen.
    #[schema(value_type = String)]
    pub binding: Digest,
    /// Exactly what is asked.
    #[schema(value_type = serde_json::Value)]
    pub shown: Option<Box<RawValue>>,
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it lapses.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl From<ApprovalRecord> for ApprovalView {
    fn from(a: ApprovalRecord) -> Self {
        Self {
            id: a.id,
            object: "approval",
            action_id: a.action,
            run_id: a.run,
            status: a.status,
            queues: a.queues.into_iter().map(|(name, approved_by)| QueueView { name, approved_by }).collect(),
            binding: a.binding,
            shown: raw_json(&a.shown),
            created_at: a.created_at,
            expires_at: a.expires_at,
        }
    }
}
