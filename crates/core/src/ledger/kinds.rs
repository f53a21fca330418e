//! What each kind of ledger entry says. Field names and words are part of the leaf format: never renamed, only added under a new `v`.
//!
//! Knows no JSON layout of the frame and no hashing. Plain text here is never the customer's: that is committed to.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptResult;
use crate::hash::Digest;
use crate::id::{ActionId, ApprovalId, DeploymentId, EntryId, EventId, PlanId, RunId};
use crate::spec::Effect;
use crate::time::Timestamp;
use crate::verdict::{DecisionReason, Verdict};

/// Declares an enum of stable words, with `as_str`, `parse`, `ALL` and serde by the word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every word there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),* } }

            /// Reads the stable word.
            pub fn parse(text: &str) -> Option<Self> { match text { $($word => Some(Self::$variant),)* _ => None } }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// The kinds of entries.
    Kind {
        /// Written before an outside call.
        Intent = "intent",
        /// How a call ended.
        Attempt = "attempt",
        /// How an action ended.
        Receipt = "receipt",
        /// A step in the life of an approval request.
        Approval = "approval",
        /// A person's word on an `unknown`.
        Resolution = "resolution",
        /// The late answer of a worker that had lost its lease.
        Evidence = "evidence",
        /// A change of policy, specs, secrets or status.
        Change = "change",
        /// Values made unreadable for ever.
        Erasure = "erasure",
    }
}

words! {
    /// How an action ended.
    Disposition {
        /// It took effect.
        Applied = "applied",
        /// Another action had taken the same effect.
        Deduplicated = "deduplicated",
        /// The gate said BLOCK.
        Refused = "refused",
        /// It did not take effect and will not be tried again.
        Failed = "failed",
        /// Not known; a person resolves it.
        Unknown = "unknown",
        /// A person said no.
        Denied = "denied",
        /// Nobody answered in time.
        Expired = "expired",
        /// Whoever proposed it took it back.
        Withdrawn = "withdrawn",
        /// Its run was cancelled.
        Cancelled = "cancelled",
        /// An earlier action of its plan did not succeed.
        Skipped = "skipped",
        /// Its arguments, tool or keys are not valid.
        Invalid = "invalid",
    }
}

words! {
    /// Fields that are committed to. An entry commits only to those it has.
    Field {
        /// Arguments, canonical JSON.
        Args = "args",
        /// A person's comment, text.
        Comment = "comment",
        /// Entity key, text.
        EntityKey = "entity_key",
        /// Idempotency key, text.
        Key = "key",
        /// What the remote or the service said went wrong, text.
        Message = "message",
        /// Output of the tool, canonical JSON.
        Output = "output",
        /// The payload of the event, raw bytes.
        Payload = "payload",
        /// The key sent to the remote, text.
        RemoteKey = "remote_key",
        /// The rendered outside call without secrets, canonical JSON.
        Rendered = "rendered",
        /// The exact bytes a person was shown.
        Shown = "shown",
        /// The value at stake, canonical JSON.
        Value = "value",
    }
}

words! {
    /// Steps of an approval request.
    ApprovalStep {
        /// A person is asked.
        Requested = "requested",
        /// Yes.
        Approved = "approved",
        /// No.
        Denied = "denied",
        /// Nobody answered in time.
        Expired = "expired",
        /// The action no longer asks.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// What a change is about.
    Subject {
        /// A connector: paused, active.
        Connector = "connector",
        /// A person's no that stands for a key, by the action it was said to: lifted.
        Denial = "denial",
        /// A restored store: an epoch began or ended, or a person said of a step that was open whether it was carried out.
        Epoch = "epoch",
        /// A deployment made a bundle active.
        Deployment = "deployment",
        /// An API key.
        Key = "key",
        /// An operator's status.
        Operator = "operator",
        /// The policy set.
        Policy = "policy",
        /// A secret's version; never its value.
        Secret = "secret",
        /// A spec.
        Spec = "spec",
        /// The tenant: suspended, removed.
        Tenant = "tenant",
    }
}

/// Commitments by field.
pub type Committed = BTreeMap<Field, Digest>;

/// The action an entry is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRef {
    /// The action.
    pub action: ActionId,
    /// Its run.
    pub run: RunId,
    /// Its plan.
    pub plan: PlanId,
    /// The event that led to it; none for direct actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Who acts, such as `operator:triage`.
    pub principal: String,
    /// The tool's full name as proposed.
    pub tool: String,
    /// The content address of the tool; none when there is no such tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_digest: Option<Digest>,
    /// Whether it changes the outside world.
    pub effect: Effect,
}

/// What policy said, with all that recomputing it needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// ALLOW, REQUIRE_APPROVAL or BLOCK.
    pub verdict: Verdict,
    /// Why, in a stable word.
    pub reason: DecisionReason,
    /// Ids of the determining policies, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub determining: Vec<String>,
    /// The queues that must approve, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Content address of the policy artifact.
    pub policy_version: Digest,
    /// Digest of the text of the determining policies.
    pub determining_text: Digest,
    /// Commitment to the request as evaluated, canonical JSON, under the name `request`.
    pub request: Digest,
}

/// Written durably before an outside call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The action.
    pub of: ActionRef,
    /// Counts up from 1 within the action.
    pub attempt: u32,
    /// Generation of the remote key, from 1.
    pub generation: u32,
    /// The gate's last word, inside the lane.
    pub decision: Decided,
    /// The `approval` entries (step `approved`) that allow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<EntryId>,
    /// When the call is given up.
    pub deadline_at: Timestamp,
    /// Commitments.
    pub committed: Committed,
}

/// Closes an intent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptEnd {
    /// The action.
    pub of: ActionRef,
    /// As in the intent.
    pub attempt: u32,
    /// As in the intent.
    pub generation: u32,
    /// The intent that this closes.
    pub intent: EntryId,
    /// How it ended.
    pub result: AttemptResult,
    /// HTTP status, where one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Who concluded it, when not the worker that called: a word such as `recovery` or `sweeper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded_by: Option<String>,
    /// Commitments.
    pub committed: Committed,
}

/// What a receipt rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refs {
    /// The last intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<EntryId>,
    /// The attempt result that decided it; none when a verifying read did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<EntryId>,
    /// The approval entry that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<EntryId>,
    /// The receipt or resolution of the action that took the effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<EntryId>,
}

/// How an action ended: one per action.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The action.
    pub of: ActionRef,
    /// How it ended.
    pub disposition: Disposition,
    /// The gate's answer, which may be stricter than policy's; none when the gate was never asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, in a stable word such as `key_conflict`.
    pub reason: String,
    /// What policy said last; none when it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// Attempts begun in all.
    pub attempts: u32,
    /// What it rests on.
    pub refs: Refs,
    /// A duplicate whose arguments differ from the first's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub args_differ: bool,
    /// Performed by a stub, which only test mode has.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stub: bool,
    /// Commitments.
    pub committed: Committed,
}

/// Tagged evidence of who answered; a passkey's signature fits here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What kind of proof, such as `api_key`.
    pub kind: String,
    /// Its data, in the form its kind says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// A step of an approval request in one queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The action.
    pub of: ActionRef,
    /// The request.
    pub approval: ApprovalId,
    /// The queue that is asked.
    pub queue: String,
    /// What happened to it.
    pub step: ApprovalStep,
    /// Who did it; none where the service did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How they proved who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// When the request lapses.
    pub expires_at: Timestamp,
    /// Commitments: `shown`, `comment`.
    pub committed: Committed,
}

/// A person's word on an `unknown`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The action.
    pub of: ActionRef,
    /// The receipt that said `unknown`.
    pub receipt: EntryId,
    /// `applied` or `failed`.
    pub resolved: Disposition,
    /// Who says so.
    pub by: String,
    /// Late evidence that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EntryId>,
    /// Commitments.
    pub committed: Committed,
}

/// The late answer of a worker that had lost its lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The action.
    pub of: ActionRef,
    /// As in the intent.
    pub attempt: u32,
    /// As in the intent.
    pub generation: u32,
    /// The intent of the call.
    pub intent: EntryId,
    /// How the call ended after all.
    pub result: AttemptResult,
    /// HTTP status, where one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Commitments.
    pub committed: Committed,
}

/// A change of what governs actions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it is about.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub by: String,
    /// What it is now, in a word such as `set`, `removed`, `active`, `paused`.
    pub status: String,
    /// Its content address now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its content address before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// Its version now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The deployment that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
}

/// Values made unreadable by destroying their key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// The id of the destroyed key, in lower-case hex: sealed values name it.
    pub key_id: String,
    /// Why, in a stable word.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
}

const fn is_false(b: &bool) -> bool {
    !*b
}
