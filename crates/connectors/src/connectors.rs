//! The connectors of one bundle, compiled: the ports that workers call.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::{
    BoxFuture, CallRequest, RenderError, Rendered, SecretLease, ToolCaller, VerifiedWebhook, VerifyAnswer, WebhookError, WebhookVerifier,
};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{ConnectorSpec, ToolSpec};
use tollgate_core::time::Timestamp;
use tollgate_expr::{Expression, Inputs};

use crate::compile;
use crate::egress::SystemLookup;
use crate::fault::ConnectorFault;
use crate::files::{self, Cleaned, FilesTool, Operation};
use crate::http::{self, HttpConnector, HttpTool, Parts};
use crate::schema::Schema;
use crate::undo::Undo;
use crate::verify::VerifyingRead;
use crate::webhook::Webhook;

/// Every connector and tool of one bundle, ready to call. Cheap to share behind an `Arc`.
pub struct Connectors {
    pub(crate) connectors: BTreeMap<String, Connector>,
    pub(crate) tools: BTreeMap<String, Tool>,
    pub(crate) cleaned: Arc<Cleaned>,
}

/// One connector, compiled.
pub(crate) struct Connector {
    pub http: Option<HttpConnector>,
    pub webhook: Option<Webhook>,
}

/// One tool, compiled.
pub(crate) struct Tool {
    pub connector: String,
    pub timeout: std::time::Duration,
    pub input: Schema,
    pub verify: Option<VerifyingRead>,
    pub undo: Option<Undo>,
    pub limit_key: Option<Expression>,
    pub request: Request,
}

/// How a tool is performed.
pub(crate) enum Request {
    Http(Box<HttpTool>),
    Files(Box<FilesTool>),
}

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connectors")
            .field("connectors", &self.connectors.keys().collect::<Vec<_>>())
            .field("tools", &self.tools.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Connectors {
    /// Compiles the connectors and tools of a bundle. Relative roots of `files` connectors start at the project's folder.
    ///
    /// # Errors
    /// All faults of all connectors and tools.
    pub fn compile(
        connectors: &BTreeMap<String, ConnectorSpec>,
        tools: &BTreeMap<String, ToolSpec>,
        project_root: &Path,
    ) -> Result<Self, Vec<ConnectorFault>> {
        compile::compile(connectors, tools, project_root, &(Arc::new(SystemLookup) as _))
    }

    fn render_tool(&self, tool: &str, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        let found = self.tools.get(tool).ok_or_else(|| RenderError { place: "tool".into(), message: no_tool(tool) })?;
        match &found.request {
            Request::Http(http) => http.render(mode, args),
            Request::Files(files) => files.render(mode, args),
        }
    }

    async fn call_tool(&self, request: CallRequest<'_>) -> AttemptOutcome {
        let Some(tool) = self.tools.get(request.tool) else { return refused(no_tool(request.tool)) };
        match (request.rendered, &tool.request) {
            (Rendered::Stub { .. }, _) if request.mode == Mode::Test => stub(request.tool),
            (Rendered::Stub { .. }, _) => refused("nothing was sent: a stub is for test mode only".into()),
            (Rendered::Http { method, url, headers, body }, Request::Http(http)) => {
                let connector = self.connectors.get(&tool.connector).and_then(|c| c.http.as_ref());
                let Some(connector) = connector else { return refused(no_tool(request.tool)) };
                let parts = Parts { method, url, headers, body: body.as_deref() };
                http::call(connector, http, &parts, &request).await
            }
            (Rendered::Files { op, path, content }, Request::Files(files)) => {
                let Some(operation) = Operation::from_rendered(op, path, content.as_deref()).filter(|o| o.name() == files.op()) else {
                    return refused("nothing was done: the call was rendered for another operation than the tool's".into());
                };
                let Some(root) = files.root(request.mode) else {
                    return refused(
                        "nothing was done: the connector has no `test_config.root`, and test mode never touches the live root".into(),
                    );
                };
                let left = request.deadline_at.since(request.now);
                let outcome = files::call(root.clone(), operation, left, self.cleaned.clone()).await;
                files::fit(outcome, files)
            }
            _ => refused("nothing was sent: the call was rendered for another transport than the tool's".into()),
        }
    }

    async fn verify_tool(&self, tool: &str, mode: Mode, args: &Value, secret: Option<SecretLease>, now: Timestamp) -> VerifyAnswer {
        let Some(verify) = self.tools.get(tool).and_then(|t| t.verify.as_ref()) else {
            return VerifyAnswer::NoAnswer(format!("`{tool}` has no verifying read"));
        };
        let read_args = match verify.args(args) {
            Ok(read_args) => read_args,
            Err(message) => return VerifyAnswer::NoAnswer(message),
        };
        if let Err(faults) = self.validate(&verify.tool, &read_args) {
            return VerifyAnswer::NoAnswer(format!("verify.args do not fit `{}`: {}", verify.tool, faults.join("; ")));
        }
        let rendered = match self.render_tool(&verify.tool, mode, &read_args) {
            Ok(Rendered::Stub { .. }) => return VerifyAnswer::NoAnswer("test mode has no transport to ask".into()),
            Ok(rendered) => rendered,
            Err(error) => return VerifyAnswer::NoAnswer(error.to_string()),
        };
        let timeout = self.tools.get(&verify.tool).map(|t| t.timeout).unwrap_or_default();
        let request =
            CallRequest { tool: &verify.tool, mode, rendered: &rendered, remote_key: None, secret, deadline_at: now.plus(timeout), now };
        verify.answer(self.call_tool(request).await, args)
    }
}

impl ToolCaller for Connectors {
    fn validate(&self, tool: &str, args: &Value) -> Result<(), Vec<String>> {
        self.tools.get(tool).ok_or_else(|| vec![no_tool(tool)])?.input.check(args)
    }

    fn render(&self, tool: &str, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        self.render_tool(tool, mode, args)
    }

    fn secret_of(&self, tool: &str) -> Option<&str> {
        let connector = self.connectors.get(&self.tools.get(tool)?.connector)?;
        connector.http.as_ref()?.auth.secret()
    }

    fn concurrency_key(&self, tool: &str, args: &Value) -> Option<String> {
        let key = self.tools.get(tool)?.limit_key.as_ref()?;
        key.eval(&Inputs::new().with("args", args)).ok().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    }

    fn call<'a>(&'a self, request: CallRequest<'a>) -> BoxFuture<'a, AttemptOutcome> {
        Box::pin(self.call_tool(request))
    }

    fn undo_tool(&self, tool: &str) -> Option<&str> {
        Some(&self.tools.get(tool)?.undo.as_ref()?.tool)
    }

    fn undo_args(&self, tool: &str, args: &Value, output: &Value) -> Result<Value, RenderError> {
        let undo = self.tools.get(tool).and_then(|t| t.undo.as_ref());
        let none = || RenderError { place: "undo".into(), message: format!("`{}` has no `undo`", tool.escape_debug()) };
        undo.ok_or_else(none)?.args(args, output)
    }

    fn verify_secret_of(&self, tool: &str) -> Option<&str> {
        self.secret_of(&self.tools.get(tool)?.verify.as_ref()?.tool)
    }

    fn verify<'a>(
        &'a self,
        tool: &'a str,
        mode: Mode,
        args: &'a Value,
        secret: Option<SecretLease>,
        now: Timestamp,
    ) -> BoxFuture<'a, VerifyAnswer> {
        Box::pin(self.verify_tool(tool, mode, args, secret, now))
    }
}

impl WebhookVerifier for Connectors {
    fn webhook_secret_of(&self, connector: &str) -> Option<&str> {
        self.connectors.get(connector)?.webhook.as_ref().map(Webhook::secret)
    }

    fn verify_webhook(
        &self,
        connector: &str,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        secret: &SecretLease,
        now: Timestamp,
    ) -> Result<VerifiedWebhook, WebhookError> {
        let webhook = self.connectors.get(connector).and_then(|c| c.webhook.as_ref());
        webhook.ok_or_else(|| WebhookError::UnknownConnector(connector.to_owned()))?.verify(headers, body, secret, now)
    }
}

fn no_tool(tool: &str) -> String {
    format!("there is no tool `{}` in this deployment", tool.escape_debug())
}

fn refused(message: String) -> AttemptOutcome {
    AttemptOutcome::NotSent { message, retryable: false }
}

fn stub(tool: &str) -> AttemptOutcome {
    let note = "test mode without a test transport: nothing was called";
    AttemptOutcome::Applied { output: json!({ "stub": true, "tool": tool, "note": note }), status: None }
}
