//! Policy behind one function.

use serde_json::Value;

use crate::hash::Digest;
use crate::verdict::{Decision, PolicyRequest};

/// The policies of one bundle, loaded, validated, sliced.
pub trait PolicyEngine: Send + Sync {
    /// The verdict on an action. Closed: whatever goes wrong is BLOCK with `policy_error`.
    fn decide(&self, request: &PolicyRequest<'_>) -> Decision;

    /// Content address of the policy set.
    fn version(&self) -> Digest;

    /// What a verdict is recomputed from, to travel with exports: `{policies: [{path, text}], schema, evaluator}`.
    /// Its canonical digest is [`Self::version`].
    fn artifact(&self) -> &Value;
}
