//! The outside world with an await before and after each call: the remote and the vault. Calls keep their deadline as a connector does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::{
    BoxFuture, CallRequest, Clock, RenderError, Rendered, Sealed, Sealer, SecretCiphertext, SecretLease, SubjectKeyRow, ToolCaller,
    VaultError, VerifyAnswer,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::time::Timestamp;

use crate::clock::SimClock;
use crate::fates::Fates;

/// Tools, interrupted.
pub struct PausedTools {
    inner: Arc<dyn ToolCaller>,
    fates: Arc<Fates>,
    clock: Arc<SimClock>,
}

impl PausedTools {
    /// Over the real ones. The clock is the world's, whatever the worker's own says.
    pub fn new(inner: Arc<dyn ToolCaller>, fates: Arc<Fates>, clock: Arc<SimClock>) -> Self {
        Self { inner, fates, clock }
    }
}

fn timed_out() -> AttemptOutcome {
    AttemptOutcome::Ambiguous { message: "no answer before the deadline".to_owned(), status: None }
}

impl ToolCaller for PausedTools {
    fn validate(&self, tool: &str, args: &Value) -> Result<(), Vec<String>> {
        self.inner.validate(tool, args)
    }
    fn render(&self, tool: &str, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        self.inner.render(tool, mode, args)
    }
    fn secret_of(&self, tool: &str) -> Option<&str> {
        self.inner.secret_of(tool)
    }
    fn concurrency_key(&self, tool: &str, args: &Value) -> Option<String> {
        self.inner.concurrency_key(tool, args)
    }
    fn undo_tool(&self, tool: &str) -> Option<&str> {
        self.inner.undo_tool(tool)
    }
    fn undo_args(&self, tool: &str, args: &Value, output: &Value) -> Result<Value, RenderError> {
        self.inner.undo_args(tool, args, output)
    }
    fn verify_secret_of(&self, tool: &str) -> Option<&str> {
        self.inner.verify_secret_of(tool)
    }

    fn call<'a>(&'a self, request: CallRequest<'a>) -> BoxFuture<'a, AttemptOutcome> {
        Box::pin(async move {
            // A timer runs by its span: it does not care what the worker's clock shows.
            let span: Duration = request.deadline_at.since(request.now);
            let ends = self.clock.now().plus(span);
            if !self.fates.point("call").await || self.clock.now() >= ends {
                return timed_out();
            }
            let request = CallRequest { now: self.clock.now(), deadline_at: ends, ..request };
            let out = self.inner.call(request).await;
            if !self.fates.point("called").await || self.clock.now() >= ends { timed_out() } else { out }
        })
    }

    fn verify<'a>(
        &'a self,
        tool: &'a str,
        mode: Mode,
        args: &'a Value,
        secret: Option<SecretLease>,
        _: Timestamp,
    ) -> BoxFuture<'a, VerifyAnswer> {
        Box::pin(async move {
            let lost = || VerifyAnswer::NoAnswer("no answer".to_owned());
            if !self.fates.point("verify").await {
                return lost();
            }
            let out = self.inner.verify(tool, mode, args, secret, self.clock.now()).await;
            if self.fates.point("verified").await { out } else { lost() }
        })
    }
}

/// A vault, interrupted where it leases.
pub struct PausedSealer {
    inner: Arc<dyn Sealer>,
    fates: Arc<Fates>,
}

impl PausedSealer {
    /// Over the real one.
    pub fn new(inner: Arc<dyn Sealer>, fates: Arc<Fates>) -> Self {
        Self { inner, fates }
    }
}

impl Sealer for PausedSealer {
    fn lease<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<SecretLease, VaultError>> {
        Box::pin(async move {
            let lost = || VaultError::Unavailable("it did not answer".to_owned());
            if !self.fates.point("lease").await {
                return Err(lost());
            }
            let out = self.inner.lease(scope, name).await;
            if self.fates.point("leased").await { out } else { Err(lost()) }
        })
    }
    fn encrypt_secret(&self, scope: Scope, name: &str, version: u32, plaintext: &[u8]) -> Result<SecretCiphertext, VaultError> {
        self.inner.encrypt_secret(scope, name, version, plaintext)
    }
    fn secret_changed(&self, scope: Scope, name: &str) {
        self.inner.secret_changed(scope, name);
    }
    fn seal(&self, scope: Scope, subject: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        self.inner.seal(scope, subject, plaintext)
    }
    fn key_stored(&self, scope: Scope, key: &SubjectKeyRow) {
        self.inner.key_stored(scope, key);
    }
    fn open(&self, scope: Scope, sealed: &[u8], key: Option<&SubjectKeyRow>) -> Result<Vec<u8>, VaultError> {
        self.inner.open(scope, sealed, key)
    }
}
