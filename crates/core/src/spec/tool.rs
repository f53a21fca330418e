//! What an agent can do: a tool, its effect and its effect grade.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DispatchSpec;
use crate::hash::Digest;
use crate::time::Span;

/// Whether a tool changes the outside world. `write` unless the operator says `read`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Changes nothing outside: needs no key and no lane.
    Read,
    /// Changes something outside.
    #[default]
    Write,
}

impl Effect {
    /// The word in specs and receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What can be done after an attempt whose outcome is not known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The remote honours an idempotency key for `key_ttl`: the same bytes go again with the same key.
    Keyed,
    /// A read tool tells whether it happened: ask it after `settle`, then conclude or call.
    Verifiable,
    /// Neither: the disposition is `unknown` and a person resolves it.
    #[default]
    AtMostOnce,
}

impl Grade {
    /// The word in specs and receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Verifiable => "verifiable",
            Self::AtMostOnce => "at_most_once",
        }
    }
}

/// What an `unknown` disposition does to its lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// The lane stays held until a person resolves it.
    #[default]
    Hold,
    /// The lane is passed on; the effect key stays in doubt.
    Release,
}

/// How a `verifiable` tool is asked whether its effect happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifySpec {
    /// The read tool, by full name or by its name inside the same connector.
    pub tool: String,
    /// Arguments of the read tool; templates over `args`. The write's own arguments when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// How long after the call's deadline the remote may still apply it.
    pub settle: Span,
    /// CEL over `output` and `args` of the read tool's answer: true when the effect happened. `output == true` when left out.
    #[serde(default = "default_happened")]
    pub happened: String,
}

/// The write that takes a write's effect back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoSpec {
    /// The write tool, by full name or by its name inside the same connector. It has no `undo` itself.
    pub tool: String,
    /// Its arguments; templates over `args` and `output` of the write. The write's own arguments when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
}

fn default_happened() -> String {
    "output == true".to_owned()
}

/// When and how often an attempt that did not happen is made again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// Attempts in all that may end `rejected` or `not_sent` before the action is `failed`.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u32,
    /// Wait before the second attempt; doubles each time.
    #[serde(default = "default_base")]
    pub base: Span,
    /// The longest wait.
    #[serde(default = "default_cap")]
    pub cap: Span,
}

const fn default_max_attempts() -> u32 {
    5
}
const fn default_base() -> Span {
    Span(std::time::Duration::from_millis(200))
}
const fn default_cap() -> Span {
    Span::secs(60)
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self { max_attempts: default_max_attempts(), base: default_base(), cap: default_cap() }
    }
}

/// An HTTP call, as templates over `args` and `config`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequestSpec {
    /// GET, HEAD, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// Template of the URL. Interpolated arguments are percent-encoded as one path segment or query value.
    pub url: String,
    /// Extra headers, as templates. Authentication does not belong here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters, as templates; null and missing values are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Value>,
    /// JSON body with templates in its strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The deadline of one attempt.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Header that carries the remote idempotency key of a `keyed` tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
    /// Statuses that mean the effect is applied. Any 2xx when left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub applied: BTreeSet<u16>,
    /// Statuses by which the remote declares that nothing happened. 4xx except 408, 409 and 425 when left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rejected: BTreeSet<u16>,
    /// Of the rejected ones, those that may be tried again. 401 (once, with a newer secret), 429 and 503 when left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retryable: BTreeSet<u16>,
    /// Mapping of the answer to the output: a template over `body`, `status` and `headers`. The JSON body when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The longest answer read, in bytes.
    #[serde(default = "default_max_response")]
    pub max_response_bytes: u32,
}

const fn default_timeout() -> Span {
    Span::secs(10)
}
const fn default_max_response() -> u32 {
    256 * 1024
}

/// What a `files` tool does, under the connector's root. Templates over `args`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum FilesOp {
    /// Replaces a whole file, atomically and durably.
    Write {
        /// Path below the root.
        path: String,
        /// The whole content: text, or any other JSON value, which is written as JSON.
        content: Value,
    },
    /// Reads a file of up to the response cap.
    Read {
        /// Path below the root.
        path: String,
    },
    /// Tells whether a file has exactly this content: `{exists, sha256, matches}`.
    Check {
        /// Path below the root.
        path: String,
        /// The content looked for, as in `write`.
        content: Value,
    },
}

/// How a tool is performed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolRequest {
    /// Over HTTP.
    Http(Box<HttpRequestSpec>),
    /// On local files.
    Files(FilesOp),
}

/// A tool with every default filled in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `connector.tool`.
    pub name: String,
    /// The connector it belongs to.
    pub connector: String,
    /// For people and agents.
    pub description: String,
    /// Whether it changes the outside world.
    pub effect: Effect,
    /// What may be done when the outcome is not known.
    pub grade: Grade,
    /// How long the remote honours an idempotency key. `keyed` only.
    pub key_ttl: Option<Span>,
    /// How to ask whether it happened.
    pub verify: Option<VerifySpec>,
    /// What takes its effect back when its run is cancelled meanwhile. Left out when there is none, so that digests stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoSpec>,
    /// The arguments that make it the same operation.
    pub identity: Vec<String>,
    /// `destructive`, `financial`, `customer_facing`, or a word of the author's.
    pub classes: BTreeSet<String>,
    /// JSON Schema of the arguments.
    pub input: Value,
    /// JSON Schema of the output.
    pub output: Option<Value>,
    /// What an `unknown` does to the lane.
    pub on_unknown: OnUnknown,
    /// Retries of attempts that did not happen.
    pub retry: RetrySpec,
    /// How its actions wait for a worker.
    #[serde(default, skip_serializing_if = "DispatchSpec::is_plain")]
    pub dispatch: DispatchSpec,
    /// How it is performed.
    pub request: ToolRequest,
}

impl ToolSpec {
    /// The content address of the tool: approvals bind it, receipts cite it.
    pub fn digest(&self) -> Digest {
        super::bundle::digest_of(self)
    }

    /// The deadline of one attempt.
    pub fn timeout(&self) -> std::time::Duration {
        match &self.request {
            ToolRequest::Http(h) => h.timeout.0,
            ToolRequest::Files(_) => std::time::Duration::from_secs(10),
        }
    }
}
