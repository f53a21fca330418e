//! Records that the effect protocol's decisions are made from.

use crate::action::ActionState;
use crate::attempt::Attempts;
use crate::event::Event;
use crate::hash::Digest;
use crate::id::{ActionId, ApprovalId, EntryId, EventId, PlanId, RunId, SessionId};
use crate::ledger::{Disposition, SALT_LEN};
use crate::plan::ProposedAction;
use crate::scope::Scope;
use crate::spec::Effect;
use crate::time::Timestamp;
use crate::verdict::Principal;

use super::KeyClaim;

/// The open attempt of an action.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenAttempt {
    /// Counts up from 1.
    pub attempt: u32,
    /// Its intent.
    pub intent: EntryId,
    /// The session that made it.
    pub session: SessionId,
}

/// An approval request as the store keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct ApprovalRecord {
    /// The request.
    pub id: ApprovalId,
    /// The action.
    pub action: ActionId,
    /// The run.
    pub run: RunId,
    /// `open`, `approved`, `denied`, `expired`, `withdrawn`.
    pub status: String,
    /// Every queue, and who said yes when.
    pub queues: Vec<(String, Option<String>)>,
    /// What the answer is bound to.
    pub binding: Digest,
    /// The exact bytes shown.
    pub shown: Vec<u8>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// The `approved` entries.
    pub entries: Vec<EntryId>,
}

/// An action with all that deciding its next step needs.
#[derive(Clone, PartialEq, Debug)]
pub struct ActionRecord {
    /// Its id.
    pub id: ActionId,
    /// Whose it is.
    pub scope: Scope,
    /// Its run.
    pub run: RunId,
    /// Its plan.
    pub plan: PlanId,
    /// The event that led to it.
    pub event: Option<EventId>,
    /// The subject of that event.
    pub subject: Option<String>,
    /// The bundle its run is pinned to.
    pub bundle: Digest,
    /// Who acts.
    pub principal: Principal,
    /// Its place in the plan.
    pub seq: u32,
    /// How many actions the plan has.
    pub plan_len: u32,
    /// What was proposed.
    pub proposal: ProposedAction,
    /// The content address of its tool when it was proposed; none when there was no such tool.
    pub tool_digest: Option<Digest>,
    /// Whether it changes the outside world.
    pub effect: Effect,
    /// The salt of its commitments.
    pub salt: [u8; SALT_LEN],
    /// Its lane.
    pub lane: Option<Digest>,
    /// Its key.
    pub key: Option<KeyClaim>,
    /// Where it stands.
    pub state: ActionState,
    /// How it ended.
    pub disposition: Option<Disposition>,
    /// Why, in a stable word.
    pub reason: Option<String>,
    /// For people.
    pub detail: Option<String>,
    /// The disposition receipt.
    pub receipt: Option<EntryId>,
    /// What the tool returned, as JSON.
    pub output: Option<Vec<u8>>,
    /// Counts of its attempts.
    pub attempts: Attempts,
    /// When the last attempt is given up.
    pub deadline_at: Option<Timestamp>,
    /// Generation of the remote key.
    pub generation: u32,
    /// The rendered request of the last attempt.
    pub rendered: Option<Vec<u8>>,
    /// Intent and end of the last attempt.
    pub last_intent: Option<EntryId>,
    /// The last closed attempt's entry.
    pub last_end: Option<EntryId>,
    /// An intent that no result closed yet.
    pub open: Option<OpenAttempt>,
    /// Its latest approval request.
    pub approval: Option<ApprovalId>,
    /// The action whose effect it takes back.
    pub compensates: Option<ActionId>,
    /// Someone cancels its run.
    pub cancelling: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A run's reasoning step with all that asking its operator needs.
#[derive(Clone, Debug)]
pub struct ReasonRecord {
    /// The run.
    pub run: RunId,
    /// The operator.
    pub operator: String,
    /// The bundle it is pinned to.
    pub bundle: Digest,
    /// The event that is offered.
    pub event: Event,
    /// The offering.
    pub offering: u64,
}
