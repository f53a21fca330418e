//! A subscriber of events that proposes plans.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DispatchSpec;
use crate::hash::Digest;

/// In which order an operator's actions on one entity take their lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// A ticket is taken when the action is callable: an approval of one blocks no other.
    #[default]
    Relaxed,
    /// Tickets in event order: a waiting approval blocks its entity.
    Strict,
}

/// The optional value of an action, as templates.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueTemplate {
    /// Template that gives an integer of the smallest unit.
    pub amount_minor: Value,
    /// Template that gives the unit, such as `EUR`.
    pub unit: String,
}

/// One action an operator proposes, as templates over `event`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionTemplate {
    /// `connector.tool`, or a capability that the project binds to a tool.
    pub tool: String,
    /// Arguments, with templates in their strings.
    #[serde(default)]
    pub args: Value,
    /// Template of the entity whose lane the action takes. Required for writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_key: Option<String>,
    /// Template of the idempotency key. Required for writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The value at stake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueTemplate>,
    /// CEL: propose this action only when true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Runs beside the others, not after them.
    #[serde(default)]
    pub independent: bool,
    /// A non-success of this action does not skip the rest.
    #[serde(default, rename = "continue")]
    pub continue_on_failure: bool,
    /// 0 to 9; its operator's or tool's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// An operator of kind `rules`, with every default filled in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OperatorSpec {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Globs over event types.
    pub on: Vec<String>,
    /// CEL over `event`: propose only when true.
    pub when: Option<String>,
    /// What it proposes.
    pub propose: Vec<ActionTemplate>,
    /// How its actions queue for an entity.
    pub ordering: Ordering,
    /// `draft` in the spec: it proposes, and nothing is admitted until it is activated.
    pub draft: bool,
    /// How its steps wait for a worker.
    #[serde(default, skip_serializing_if = "DispatchSpec::is_plain")]
    pub dispatch: DispatchSpec,
}

impl OperatorSpec {
    /// The content address of the operator: runs are pinned to it.
    pub fn digest(&self) -> Digest {
        super::bundle::digest_of(self)
    }
}
