//! Tools: rendering a call is pure; performing it is the outside world.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BoxFuture, SecretLease};
use crate::attempt::AttemptOutcome;
use crate::scope::Mode;
use crate::time::Timestamp;

/// A call as it will be made, without secrets: stored with the intent, resent byte for byte.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rendered {
    /// An HTTP request. Authentication is added when it is made.
    Http {
        /// The method.
        method: String,
        /// The whole URL.
        url: String,
        /// Headers without authentication and without the remote idempotency key.
        headers: Vec<(String, String)>,
        /// The body.
        body: Option<String>,
    },
    /// An operation on local files, as the connector wrote it.
    Files {
        /// `write`, `read` or `check`.
        op: String,
        /// Path below the root.
        path: String,
        /// The whole content.
        content: Option<String>,
    },
    /// Test mode without a test transport: nothing is called.
    Stub {
        /// The tool.
        tool: String,
    },
}

/// Why a call could not be rendered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct RenderError {
    /// The template, such as `request.url`.
    pub place: String,
    /// What was wrong.
    pub message: String,
}

/// One call to make.
#[derive(Debug)]
pub struct CallRequest<'a> {
    /// Full name of the tool.
    pub tool: &'a str,
    /// The partition: test mode never reaches production.
    pub mode: Mode,
    /// The call.
    pub rendered: &'a Rendered,
    /// What the tool's grade gives the remote to recognise a repetition by.
    pub remote_key: Option<&'a str>,
    /// The secret of the connector's auth, for this call only.
    pub secret: Option<SecretLease>,
    /// When to give up. The remaining time is computed from the caller's clock.
    pub deadline_at: Timestamp,
    /// Now, by the caller's clock.
    pub now: Timestamp,
}

/// What the verifying read said.
#[derive(Clone, PartialEq, Debug)]
pub enum VerifyAnswer {
    /// The effect is there; with the read's output.
    Happened(Value),
    /// It is not there.
    DidNotHappen(Value),
    /// The read itself failed or could not be understood.
    NoAnswer(String),
}

/// The tools of one bundle.
pub trait ToolCaller: Send + Sync {
    /// Checks arguments against the tool's input schema. All faults, each with a JSON pointer.
    fn validate(&self, tool: &str, args: &Value) -> Result<(), Vec<String>>;

    /// Renders a call. Pure.
    fn render(&self, tool: &str, mode: Mode, args: &Value) -> Result<Rendered, RenderError>;

    /// Name of the secret that a call of this tool leases.
    fn secret_of(&self, tool: &str) -> Option<&str>;

    /// The key of a tool's limit for these arguments; none when it has none, or they give none. Pure.
    fn concurrency_key(&self, _tool: &str, _args: &Value) -> Option<String> {
        None
    }

    /// Makes the call. Never fails: whatever happens is an outcome.
    fn call<'a>(&'a self, request: CallRequest<'a>) -> BoxFuture<'a, AttemptOutcome>;

    /// Full name of the tool that takes this one's effect back, if it has one.
    fn undo_tool(&self, tool: &str) -> Option<&str>;

    /// Arguments of that tool for a call with these arguments and this output; the output is null when nobody has seen it. Pure.
    fn undo_args(&self, tool: &str, args: &Value, output: &Value) -> Result<Value, RenderError>;

    /// Name of the secret that the verifying read of this tool leases.
    fn verify_secret_of(&self, tool: &str) -> Option<&str>;

    /// Asks the read tool of a `verifiable` tool whether the effect of these arguments happened.
    fn verify<'a>(
        &'a self,
        tool: &'a str,
        mode: Mode,
        args: &'a Value,
        secret: Option<SecretLease>,
        now: Timestamp,
    ) -> BoxFuture<'a, VerifyAnswer>;
}
