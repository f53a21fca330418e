//! Plans and actions as an operator proposes them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most actions in one plan.
pub const PLAN_ACTIONS_MAX: usize = 64;
/// Longest entity key and idempotency key, in bytes.
pub const KEY_MAX: usize = 512;

/// The value at stake in an action, in the smallest unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionValue {
    /// Integer of the smallest unit: cents, tokens, rows.
    pub amount_minor: i64,
    /// The unit, such as `EUR`.
    pub unit: String,
}

/// One action as proposed: data, not yet checked against anything.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProposedAction {
    /// Full name of the tool, capabilities already resolved.
    pub tool: String,
    /// The capability that was asked for, where one was: it stands for the tool in the key's fingerprint, so that a swapped
    /// connector does not repeat effects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Arguments.
    pub args: Value,
    /// Entity whose lane a write takes.
    pub entity_key: Option<String>,
    /// The key under which a write takes effect once, for ever.
    pub idempotency_key: Option<String>,
    /// The value at stake.
    pub value: Option<ActionValue>,
    /// Runs beside the others, not after them.
    #[serde(default)]
    pub independent: bool,
    /// A non-success of this action does not skip the rest.
    #[serde(default)]
    pub continue_on_failure: bool,
    /// 0 to 9; that of its operator or tool when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// What an operator proposed for one offering.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ProposedPlan {
    /// In order.
    pub actions: Vec<ProposedAction>,
}

/// Why an operator could not propose: the reason goes on the run, the event is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ProposalError {
    /// The expression or template that failed, such as `propose[0].args.issue`.
    pub place: String,
    /// What was wrong.
    pub message: String,
}
