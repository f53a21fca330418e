//! Compiled bundles: the one a run is pinned to, and what is active now and never pinned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::hash::Digest;
use crate::scope::Scope;
use crate::spec::BundleSpec;

use super::{ConfigRev, PolicyEngine, Reasoner, ToolCaller, WebhookVerifier};

/// A bundle, compiled.
#[derive(Clone)]
pub struct Bundle {
    /// Its content address.
    pub digest: Digest,
    /// Its specs.
    pub spec: Arc<BundleSpec>,
    /// Its operators.
    pub reasoner: Arc<dyn Reasoner>,
    /// Its tools.
    pub tools: Arc<dyn ToolCaller>,
    /// Its webhooks.
    pub webhooks: Arc<dyn WebhookVerifier>,
}

/// What governs actions now, whatever a run is pinned to.
#[derive(Clone)]
pub struct Active {
    /// The revision it was read at: intents must match it.
    pub rev: ConfigRev,
    /// The active bundle.
    pub bundle: Bundle,
    /// The active policies.
    pub policy: Arc<dyn PolicyEngine>,
    /// Nothing of the tenant begins any more.
    pub suspended: bool,
    /// Operators that are paused.
    pub paused_operators: BTreeSet<String>,
    /// Connectors that are paused.
    pub paused_connectors: BTreeSet<String>,
    /// How long an approval request waits for a person, unless a Policy spec says otherwise.
    pub approval_expires: Duration,
}

impl Active {
    /// How long a request to these queues waits: the shortest time that a Policy spec names for any of them.
    pub fn expires_in(&self, queues: &[String]) -> Duration {
        let specs = self.bundle.spec.policies.values();
        let named = specs.filter(|p| p.queues.is_empty() || p.queues.iter().any(|q| queues.contains(q))).filter_map(|p| p.approval_expires);
        named.map(|s| s.0).min().unwrap_or(self.approval_expires)
    }
}

/// Where compiled bundles come from.
pub trait Bundles: Send + Sync {
    /// What governs actions now; none before the first deployment.
    fn active(&self, scope: Scope) -> Option<Arc<Active>>;

    /// Reads again what is active, after the store said that it changed.
    fn refresh(&self, scope: Scope) -> super::BoxFuture<'_, Result<(), super::StoreError>>;

    /// A bundle that a run is pinned to; none when its artifact is gone or does not compile any more. A store that does not answer is an
    /// error: what is pinned to it must wait, and not end as if it were gone.
    fn pinned(&self, digest: Digest) -> super::BoxFuture<'_, Result<Option<Bundle>, super::StoreError>>;
}
