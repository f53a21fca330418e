//! A static graph as an author writes it: plain data, every default filled in. Knows no YAML, no CEL and no run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::stable_text;
use crate::hash::Digest;
use crate::spec::{RetrySpec, ValueTemplate};
use crate::time::Span;

/// Most steps of one graph.
pub const STEPS_MAX: usize = 1000;
/// Longest name of a graph or a step, in bytes.
pub const NAME_MAX: usize = 64;
/// Longest expression, in bytes.
pub const EXPRESSION_MAX: usize = 2048;
/// Longest template of a key or a unit, in bytes.
pub const TEMPLATE_MAX: usize = 16 * 1024;

/// A graph of steps. Its digest is its name for runs, which are pinned to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// Its name.
    pub name: String,
    /// Its steps, in any order; everywhere else a step is its place in this list.
    pub steps: Vec<StepSpec>,
}

/// One step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Its name; expressions read its output as `steps.NAME.output`.
    pub name: String,
    /// Names of the steps that must have succeeded before it starts.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// What it does.
    pub kind: StepKind,
    /// When and how often it runs again after a failure that may pass. The calls of an action follow its tool's own `retry`.
    #[serde(default)]
    pub retry: RetrySpec,
    /// How long one attempt may take; no limit of its own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// What a step does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Evaluates an expression: no effect outside.
    Compute(ComputeStep),
    /// Proposes an action, which passes the gate.
    Action(Box<ActionStep>),
}

impl StepKind {
    /// The stable word, which request hashes bind.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Compute(_) => "compute",
            Self::Action(_) => "action",
        }
    }
}

/// A step that evaluates.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeStep {
    /// CEL over `input` and `steps.NAME.output`. Its value is the step's output.
    pub expression: String,
}

/// A step that acts. Templates read what a compute step's expression reads, and are rendered when the step starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionStep {
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
    /// Steps that depend on it start also after its failure, and then find no output. The run still counts as failed.
    #[serde(default, rename = "continue")]
    pub continue_on_failure: bool,
}

/// A source inside a step that `expr` compiles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Source<'a> {
    /// A CEL expression.
    Expression(&'a str),
    /// A text with `${…}` in it.
    Text(&'a str),
    /// A JSON value whose strings are such texts.
    Json(&'a Value),
}

impl GraphSpec {
    /// The content address: runs are pinned to it, and every request of theirs binds it.
    pub fn digest(&self) -> Digest {
        let value = serde_json::to_value(self).unwrap_or_default();
        Digest::of(stable_text(&value).as_bytes())
    }
}

impl StepSpec {
    /// Every source of the step, each with its place inside the step.
    pub fn sources(&self) -> Vec<(&'static str, Source<'_>)> {
        match &self.kind {
            StepKind::Compute(c) => vec![("kind.compute.expression", Source::Expression(&c.expression))],
            StepKind::Action(a) => {
                let mut out = vec![("kind.action.args", Source::Json(&a.args))];
                out.extend(a.entity_key.iter().map(|t| ("kind.action.entity_key", Source::Text(t))));
                out.extend(a.idempotency_key.iter().map(|t| ("kind.action.idempotency_key", Source::Text(t))));
                if let Some(v) = &a.value {
                    out.push(("kind.action.value.amount_minor", Source::Json(&v.amount_minor)));
                    out.push(("kind.action.value.unit", Source::Text(&v.unit)));
                }
                out
            }
        }
    }

    /// Whether its failure lets the steps go on that depend on it.
    pub const fn continues(&self) -> bool {
        match &self.kind {
            StepKind::Compute(_) => false,
            StepKind::Action(a) => a.continue_on_failure,
        }
    }
}
