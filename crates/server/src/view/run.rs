//! Runs, plans and replays as clients see them.

use serde::Serialize;
use tollgate_core::hash::Digest;
use tollgate_core::id::{EventId, PlanId, ReplayId, RunId};
use tollgate_core::ports::{ReplayState, RunRecord};
use tollgate_core::time::Timestamp;
use utoipa::ToSchema;

use super::{ActionView, HopView};

/// A run.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunView {
    /// Its id.
    #[schema(value_type = String, example = "run_01hzy0000000000000000000000")]
    pub id: RunId,
    /// Always `run`.
    pub object: &'static str,
    /// The event offered; null for a direct action.
    #[schema(value_type = Option<String>)]
    pub event_id: Option<EventId>,
    /// The operator asked; null for a direct action.
    pub operator: Option<String>,
    /// 0, or the number of the replay.
    pub offering: u64,
    /// Who acts.
    pub principal: String,
    /// The bundle it is pinned to.
    #[schema(value_type = String)]
    pub bundle: Digest,
    /// How it stands.
    #[schema(example = "succeeded")]
    pub state: &'static str,
    /// Someone cancelled it, and calls are still under way.
    pub cancelling: bool,
    /// Why its operator could not propose.
    pub reason: Option<String>,
    /// How many actions its plan has.
    pub action_count: u32,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its plan was stored.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub planned_at: Option<Timestamp>,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<RunRecord> for RunView {
    fn from(r: RunRecord) -> Self {
        Self {
            id: r.id,
            object: "run",
            event_id: r.event,
            operator: r.operator,
            offering: r.offering,
            principal: r.principal.label(),
            bundle: r.bundle,
            state: r.state.as_str(),
            cancelling: r.cancelling,
            reason: r.reason,
            action_count: r.actions,
            created_at: r.created_at,
            planned_at: r.planned_at,
            updated_at: r.updated_at,
        }
    }
}

/// An action of a run, with its way through the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = RunAction)]
pub(crate) struct RunActionView {
    /// The action.
    #[serde(flatten)]
    pub action: ActionView,
    /// Its hops, oldest first.
    pub hops: Vec<HopView>,
}

/// A run with its actions.
#[derive(Serialize, ToSchema)]
#[schema(as = RunDetail)]
pub(crate) struct RunDetailView {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// In the order of its plan.
    pub actions: Vec<RunActionView>,
}

/// A plan: what an operator proposed for one offering.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanView {
    /// Its id.
    #[schema(value_type = String, example = "pl_01hzy0000000000000000000000")]
    pub id: PlanId,
    /// Always `plan`.
    pub object: &'static str,
    /// Its run.
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// How its run stands; `draft`: kept, not carried out.
    pub state: &'static str,
    /// The event that it answers.
    #[schema(value_type = Option<String>)]
    pub event_id: Option<EventId>,
    /// The operator that proposed it.
    pub operator: Option<String>,
    /// When it was stored.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    /// In order.
    pub actions: Vec<ActionView>,
}

/// A replay and how far it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayView {
    /// Its id.
    #[schema(value_type = String, example = "rpl_01hzy0000000000000000000000")]
    pub id: ReplayId,
    /// Always `replay`.
    pub object: &'static str,
    /// The offering number that its runs carry.
    pub offering: u64,
    /// `running` or `finished`.
    pub status: &'static str,
    /// Events received at or after.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Events received before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Only this operator.
    pub operator: Option<String>,
    /// Only events whose type matches this glob.
    pub event_type: Option<String>,
    /// Positions of the event log left to look at.
    pub remaining: u64,
    /// Runs created.
    pub runs: u64,
}

impl From<ReplayState> for ReplayView {
    fn from(r: ReplayState) -> Self {
        let remaining = r.end.saturating_sub(r.next);
        Self {
            id: r.range.id,
            object: "replay",
            offering: r.offering,
            status: if remaining == 0 { "finished" } else { "running" },
            from: r.range.from,
            to: r.range.to,
            operator: r.range.operator,
            event_type: r.range.event_type,
            remaining,
            runs: r.runs,
        }
    }
}
