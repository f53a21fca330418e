//! A bundle's specs made into what runs: tools, webhooks, operators, policies. All faults of all parts at once.

use std::path::Path;
use std::sync::Arc;

use tollgate_connectors::{ConnectorFault, Connectors};
use tollgate_core::ports::{Bundle, PolicyEngine};
use tollgate_core::spec::BundleSpec;
use tollgate_operators::{OperatorFault, Rules};
use tollgate_policy::{Policies, PolicyFault};

/// What runs.
#[derive(Clone)]
pub struct Assembled {
    /// Tools, webhooks, operators.
    pub bundle: Bundle,
    /// Policies.
    pub policy: Arc<Policies>,
}

/// What keeps a bundle from running.
#[derive(Debug, Default)]
pub struct Faults {
    /// Of connectors and their tools.
    pub connectors: Vec<ConnectorFault>,
    /// Of operators.
    pub operators: Vec<OperatorFault>,
    /// Of policies.
    pub policies: Vec<PolicyFault>,
}

impl Faults {
    /// Each as a line.
    pub fn lines(&self) -> Vec<String> {
        let connectors = self.connectors.iter().map(ToString::to_string);
        let operators = self.operators.iter().map(ToString::to_string);
        connectors.chain(operators).chain(self.policies.iter().map(ToString::to_string)).collect()
    }
}

/// Compiles every part.
///
/// # Errors
/// Every fault of every part.
pub fn assemble(spec: Arc<BundleSpec>, root: &Path) -> Result<Assembled, Faults> {
    let mut faults = Faults::default();
    let mut keep = |part: Result<Connectors, Vec<ConnectorFault>>| part.map_err(|f| faults.connectors = f).ok();
    let connectors = keep(Connectors::compile(&spec.connectors, &spec.tools, root));
    let rules = Rules::compile(&spec.operators, &spec.bindings, &spec.tools).map_err(|f| faults.operators = f).ok();
    let policy =
        Policies::compile(&spec.cedar, &spec.tools, spec.operators.keys().map(String::as_str)).map_err(|f| faults.policies = f).ok();
    let (Some(connectors), Some(rules), Some(policy)) = (connectors, rules, policy) else { return Err(faults) };
    let connectors = Arc::new(connectors);
    let bundle =
        Bundle { digest: spec.digest(), spec, reasoner: Arc::new(rules), tools: Arc::clone(&connectors) as _, webhooks: connectors };
    Ok(Assembled { bundle, policy: Arc::new(policy) })
}

impl Assembled {
    /// What a deployment keeps: the specs, and what verdicts are recomputed from.
    pub fn artifacts(&self) -> Vec<(tollgate_core::hash::Digest, String, Vec<u8>)> {
        let spec = serde_json::to_vec(&*self.bundle.spec).unwrap_or_default();
        let policy = tollgate_core::canon::canonical(self.policy.artifact()).unwrap_or_default();
        vec![(self.bundle.digest, "bundle".to_owned(), spec), (self.policy.version(), "policies".to_owned(), policy)]
    }
}
