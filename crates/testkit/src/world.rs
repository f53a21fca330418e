//! A small project as the engine sees it: one operator, tools of every grade, a policy that the test changes at will.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::canon::canonical;
use tollgate_core::event::Event;
use tollgate_core::hash::Digest;
use tollgate_core::id::{EventId, ResellerId, TenantId};
use tollgate_core::ledger::RecomputedVerdict;
use tollgate_core::plan::{ProposalError, ProposedAction, ProposedPlan};
use tollgate_core::ports::{
    Active, BoxFuture, Bundle, Bundles, ConfigRev, PolicyEngine, Reasoner, Registry, SecretLease, StoreError, ToolCaller, VerifiedWebhook,
    WebhookError, WebhookVerifier, is_suspended,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::spec::{
    BundleSpec, Effect, Grade, OnUnknown, OperatorSpec, Ordering, RetrySpec, ToolRequest, ToolSpec, UndoSpec, VerifySpec,
};
use tollgate_core::time::{Span, Timestamp};
use tollgate_core::verdict::{Decision, DecisionReason, PolicyRequest, Verdict};

use crate::remote::TAKE_BACK;

/// The one tenant of a test.
pub fn scope() -> Scope {
    Scope { reseller_id: ResellerId::from_bytes([1; 16]), tenant_id: TenantId::from_bytes([2; 16]), mode: Mode::Live }
}

/// An event whose payload lists the actions that the fake operator proposes.
pub fn event(id: [u8; 16], at: Timestamp, payload: &Value) -> Event {
    Event {
        id: EventId::from_bytes(id),
        scope: scope(),
        source: "test".to_owned(),
        event_type: "test.happened".to_owned(),
        subject: None,
        time: at,
        received_at: at,
        correlation_id: None,
        agent_id: None,
        session_id: None,
        traceparent: None,
        payload: serde_json::value::to_raw_value(payload).unwrap_or_default(),
    }
}

/// A write tool of the fake remote.
pub fn write_tool(name: &str, grade: Grade) -> ToolSpec {
    let http = json!({"method": "POST", "url": "http://remote/", "timeout": "10s"});
    ToolSpec {
        dispatch: Default::default(),
        name: name.to_owned(),
        connector: name.split('.').next().unwrap_or_default().to_owned(),
        description: String::new(),
        effect: Effect::Write,
        grade,
        key_ttl: (grade == Grade::Keyed).then_some(Span::secs(3600)),
        verify: (grade == Grade::Verifiable).then(|| VerifySpec {
            tool: "remote.look".to_owned(),
            args: None,
            settle: Span::secs(30),
            happened: "true".to_owned(),
        }),
        undo: name.ends_with("_undo").then(|| UndoSpec { tool: TAKE_BACK.to_owned(), args: None }),
        identity: vec!["id".to_owned()],
        classes: BTreeSet::new(),
        input: json!({"type": "object"}),
        output: None,
        on_unknown: OnUnknown::Hold,
        retry: RetrySpec::default(),
        request: serde_json::from_value(http).map_or_else(|_| files(), |h| ToolRequest::Http(Box::new(h))),
    }
}

fn files() -> ToolRequest {
    ToolRequest::Files(tollgate_core::spec::FilesOp::Read { path: String::new() })
}

/// The one operator.
pub fn operator(ordering: Ordering) -> OperatorSpec {
    OperatorSpec {
        dispatch: Default::default(),
        name: "op".to_owned(),
        description: String::new(),
        on: vec!["**".to_owned()],
        when: None,
        propose: Vec::new(),
        ordering,
        draft: false,
    }
}

/// A bundle of one operator and a tool of each grade: `remote.keyed`, `remote.verifiable`, `remote.once`, `remote.keyed_secret`; those
/// with an `undo` have its name at their end, and are taken back by `remote.take_back`.
pub fn spec(ordering: Ordering) -> BundleSpec {
    let tools = [
        write_tool("remote.keyed", Grade::Keyed),
        write_tool("remote.verifiable", Grade::Verifiable),
        write_tool("remote.once", Grade::AtMostOnce),
        write_tool("remote.keyed_secret", Grade::Keyed),
        write_tool("remote.keyed_undo", Grade::Keyed),
        write_tool("remote.verifiable_undo", Grade::Verifiable),
        write_tool("remote.once_undo", Grade::AtMostOnce),
        write_tool(TAKE_BACK, Grade::Keyed),
    ];
    BundleSpec {
        concurrency: None,
        tools: tools.into_iter().map(|t| (t.name.clone(), t)).collect(),
        operators: BTreeMap::from([("op".to_owned(), operator(ordering))]),
        ..BundleSpec::default()
    }
}

/// Proposes what the event's payload lists.
struct Echo;

impl Reasoner for Echo {
    fn propose<'a>(&'a self, _: &'a str, event: &'a Event) -> BoxFuture<'a, Result<Option<ProposedPlan>, ProposalError>> {
        let actions = serde_json::from_str::<Vec<ProposedAction>>(event.payload.get());
        let out = actions
            .map(|actions| Some(ProposedPlan { actions }))
            .map_err(|e| ProposalError { place: "payload".to_owned(), message: e.to_string() });
        Box::pin(std::future::ready(out))
    }
}

/// A policy that says what the test says.
pub struct FakePolicy {
    verdict: Mutex<Verdict>,
    artifact: Value,
}

impl Default for FakePolicy {
    fn default() -> Self {
        Self { verdict: Mutex::new(Verdict::Allow), artifact: json!({"policies": []}) }
    }
}

impl FakePolicy {
    /// From now on.
    pub fn set(&self, verdict: Verdict) {
        *self.verdict.lock() = verdict;
    }

    /// Decides again from what was recorded, as whoever verifies an export does.
    ///
    /// # Errors
    /// When the request is none of this policy's.
    pub fn recompute(_: &Value, request: &Value) -> Result<RecomputedVerdict, String> {
        let said = request.get("says").and_then(Value::as_str);
        let all = [Verdict::Allow, Verdict::RequireApproval, Verdict::Block];
        let verdict = all.into_iter().find(|v| said == Some(v.as_str())).ok_or("the request does not hold what policy said")?;
        let (reason, queues) = grounds(verdict);
        Ok(RecomputedVerdict { verdict, reason, determining: vec!["p".to_owned()], queues, determining_text: Some(Digest::of(b"p")) })
    }
}

fn grounds(verdict: Verdict) -> (DecisionReason, Vec<String>) {
    match verdict {
        Verdict::Allow | Verdict::Dedup => (DecisionReason::Permitted, Vec::new()),
        Verdict::RequireApproval => (DecisionReason::ApprovalRequired, vec!["ops".to_owned()]),
        Verdict::Block => (DecisionReason::Forbidden, Vec::new()),
    }
}

impl PolicyEngine for FakePolicy {
    fn decide(&self, request: &PolicyRequest<'_>) -> Decision {
        let verdict = *self.verdict.lock();
        let (reason, queues) = grounds(verdict);
        Decision {
            verdict,
            determining: vec!["p".to_owned()],
            reason,
            detail: None,
            queues,
            policy_version: self.version(),
            determining_text: Digest::of(b"p"),
            request: json!({"action": request.tool.name, "says": verdict.as_str()}),
        }
    }

    fn version(&self) -> Digest {
        Digest::of(&canonical(&self.artifact).unwrap_or_default())
    }

    fn artifact(&self) -> &Value {
        &self.artifact
    }
}

/// No connector takes webhooks.
struct NoWebhooks;

impl WebhookVerifier for NoWebhooks {
    fn webhook_secret_of(&self, _: &str) -> Option<&str> {
        None
    }

    fn verify_webhook(
        &self,
        connector: &str,
        _: &dyn Fn(&str) -> Option<String>,
        _: &[u8],
        _: &SecretLease,
        _: Timestamp,
    ) -> Result<VerifiedWebhook, WebhookError> {
        Err(WebhookError::UnknownConnector(connector.to_owned()))
    }
}

/// One bundle, whatever is asked for; the revision is the store's.
pub struct FakeBundles {
    bundle: Mutex<Bundle>,
    policy: Arc<FakePolicy>,
    rev: Mutex<ConfigRev>,
    paused: Mutex<BTreeSet<String>>,
    suspended: Mutex<bool>,
    registry: Arc<dyn Registry>,
}

impl FakeBundles {
    /// Over a spec, a remote and a policy.
    pub fn new(spec: BundleSpec, tools: Arc<dyn ToolCaller>, policy: Arc<FakePolicy>, registry: Arc<dyn Registry>) -> Self {
        let bundle =
            Bundle { digest: spec.digest(), spec: Arc::new(spec), reasoner: Arc::new(Echo), tools, webhooks: Arc::new(NoWebhooks) };
        Self {
            bundle: Mutex::new(bundle),
            policy,
            rev: Mutex::new(ConfigRev(0)),
            paused: Mutex::default(),
            suspended: Mutex::default(),
            registry,
        }
    }

    /// Pauses a connector.
    pub fn pause(&self, connector: &str) {
        self.paused.lock().insert(connector.to_owned());
    }

    /// The bundle's content address.
    pub fn digest(&self) -> Digest {
        self.bundle.lock().digest
    }

    /// What the bundle says.
    pub fn spec(&self) -> Arc<BundleSpec> {
        Arc::clone(&self.bundle.lock().spec)
    }

    /// From now on it says something else.
    pub fn change(&self, spec: BundleSpec) {
        let mut bundle = self.bundle.lock();
        bundle.digest = spec.digest();
        bundle.spec = Arc::new(spec);
    }
}

impl Bundles for FakeBundles {
    fn active(&self, _: Scope) -> Option<Arc<Active>> {
        Some(Arc::new(Active {
            rev: *self.rev.lock(),
            bundle: self.bundle.lock().clone(),
            policy: Arc::clone(&self.policy) as Arc<dyn PolicyEngine>,
            suspended: *self.suspended.lock(),
            paused_operators: BTreeSet::new(),
            paused_connectors: self.paused.lock().clone(),
            approval_expires: Duration::from_secs(72 * 3600),
        }))
    }

    fn refresh(&self, scope: Scope) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let rev = self.registry.config_rev().await?;
            *self.suspended.lock() = is_suspended(&self.registry.statuses(scope).await?);
            *self.rev.lock() = rev;
            Ok(())
        })
    }

    fn pinned(&self, _: Digest) -> BoxFuture<'_, Result<Option<Bundle>, StoreError>> {
        Box::pin(std::future::ready(Ok(Some(self.bundle.lock().clone()))))
    }
}
