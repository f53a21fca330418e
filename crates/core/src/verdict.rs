//! What policy says of an action, with its reasons.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::Digest;
use crate::plan::ActionValue;
use crate::spec::ToolSpec;

/// The gate's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// A person must say yes first.
    RequireApproval,
    /// It does not happen; no approval overrides this.
    Block,
    /// It happened already, under the same key.
    Dedup,
}

impl Verdict {
    /// The word in receipts and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::RequireApproval => "REQUIRE_APPROVAL",
            Self::Block => "BLOCK",
            Self::Dedup => "DEDUP",
        }
    }
}

/// Who acts: an operator, or a service account (API key) for direct actions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Principal {
    /// An operator, by name.
    Operator(String),
    /// A service account, by the name of its API key.
    ServiceAccount(String),
    /// The service itself, for sweeps and recoveries.
    System(String),
}

impl Principal {
    /// Kind and name, as receipts and lists show them: `operator:triage`.
    pub fn label(&self) -> String {
        match self {
            Self::Operator(n) => format!("operator:{n}"),
            Self::ServiceAccount(n) => format!("service_account:{n}"),
            Self::System(n) => format!("system:{n}"),
        }
    }
}

/// What policy is asked: one action, by one principal, on one entity.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRequest<'a> {
    /// Who acts.
    pub principal: &'a Principal,
    /// The tool that is called.
    pub tool: &'a ToolSpec,
    /// Its arguments, already valid against the input schema.
    pub args: &'a Value,
    /// The entity it acts on.
    pub entity_key: Option<&'a str>,
    /// The value at stake.
    pub value: Option<&'a ActionValue>,
}

/// A verdict with everything needed to recompute it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// ALLOW, REQUIRE_APPROVAL or BLOCK.
    pub verdict: Verdict,
    /// Ids of the determining policies, sorted. Empty on a default deny.
    pub determining: Vec<String>,
    /// Why, in a stable word: `permitted`, `approval_required`, `forbidden`, `not_permitted`, `policy_error`.
    pub reason: DecisionReason,
    /// For people: what went wrong, when something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The distinct queues that must approve, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Content address of the policy set's text.
    pub policy_version: Digest,
    /// Digest of the text of the determining policies, in order of their ids: what an approval is bound to.
    pub determining_text: Digest,
    /// The request as evaluated: `{principal, action, resource, context}`, from which the verdict can be recomputed.
    pub request: Value,
}

/// Why a verdict is what it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionReason {
    /// A permit matched and no forbid did.
    Permitted,
    /// A determining permit asks for approval.
    ApprovalRequired,
    /// A forbid matched.
    Forbidden,
    /// No permit matched.
    NotPermitted,
    /// A policy failed to evaluate, or the arguments do not fit Cedar: closed.
    PolicyError,
}

impl DecisionReason {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::ApprovalRequired => "approval_required",
            Self::Forbidden => "forbidden",
            Self::NotPermitted => "not_permitted",
            Self::PolicyError => "policy_error",
        }
    }
}
