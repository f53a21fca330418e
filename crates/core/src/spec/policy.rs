//! Policies as sources, and the limits that stand beside them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// One `.cedar` file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicySource {
    /// Path inside the project, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A Policy spec: what Cedar has no words for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// How long an approval request waits for a person. 72 h when no Policy spec says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_expires: Option<Span>,
    /// The approval queues this setting is for; all when empty.
    #[serde(default)]
    pub queues: Vec<String>,
}
