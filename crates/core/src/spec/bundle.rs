//! Specs compiled into one self-contained, content-addressed artifact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConnectorSpec, OperatorSpec, PolicySource, PolicySpec, ToolSpec};
use crate::canon::canonical;
use crate::hash::Digest;

/// Reserved for capability names in messages.
pub const CAPABILITY_PREFIX: &str = "capability:";

/// Everything a deployment runs on. Its digest is its name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BundleSpec {
    /// By name.
    pub connectors: BTreeMap<String, ConnectorSpec>,
    /// By full name, `connector.tool`.
    pub tools: BTreeMap<String, ToolSpec>,
    /// By name.
    pub operators: BTreeMap<String, OperatorSpec>,
    /// By name.
    pub policies: BTreeMap<String, PolicySpec>,
    /// The Cedar texts, by path.
    pub cedar: Vec<PolicySource>,
    /// Capability to tool.
    pub bindings: BTreeMap<String, String>,
    /// How many steps of the tenant may be under way at once. Left out when there is no limit, so that digests stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl BundleSpec {
    /// The content address.
    pub fn digest(&self) -> Digest {
        digest_of(self)
    }

    /// The tool that a name in a plan means: a tool's own name, or a bound capability.
    pub fn resolve_tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.get(name).or_else(|| self.bindings.get(name).and_then(|tool| self.tools.get(tool)))
    }
}

/// The digest of a spec's canonical JSON. Specs whose numbers have no canonical form are hashed as their plain JSON:
/// the form is still a function of the value, since maps are ordered.
pub(super) fn digest_of<T: Serialize>(spec: &T) -> Digest {
    let value = serde_json::to_value(spec).unwrap_or_default();
    let bytes = canonical(&value).unwrap_or_else(|_| value.to_string().into_bytes());
    Digest::of(&bytes)
}
