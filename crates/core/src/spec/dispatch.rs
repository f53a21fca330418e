//! How steps of a tool or operator wait for a worker.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many may be under way at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencySpec {
    /// The most, over all workers.
    pub limit: u32,
    /// CEL that gives what is counted apart: over `args` for a tool, over `event` for an operator. All together when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What a tool or operator says about its steps' waiting.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchSpec {
    /// Labels that a worker must have.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub requires: BTreeSet<String>,
    /// 0 to 9: each point is half a minute of head start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// How many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencySpec>,
}

impl DispatchSpec {
    /// Whether it says nothing: then it is left out of specs, so that digests stay.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
