//! One evaluation and what it means: Cedar's answer, turned into a verdict that is closed against every error.
//! Must not know where request and policies come from.

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Authorizer, Decision as Answer, Entities, PolicySet, Request};
use tollgate_core::verdict::{DecisionReason, Verdict};

use crate::sources::LoadedSet;

/// Most failing policies that a detail names.
const DETAILS: usize = 3;

/// A verdict with what determined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) reason: DecisionReason,
    pub(crate) determining: Vec<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) detail: Option<String>,
}

impl Judged {
    /// Closed, for a reason that no policy is to blame for.
    pub(crate) const fn closed(detail: String) -> Self {
        Self {
            verdict: Verdict::Block,
            reason: DecisionReason::PolicyError,
            determining: Vec::new(),
            queues: Vec::new(),
            detail: Some(detail),
        }
    }
}

/// Evaluates. `loaded` holds at least the policies of `set`.
pub(crate) fn judge(authorizer: &Authorizer, request: &Request, set: &PolicySet, entities: &Entities, loaded: &LoadedSet) -> Judged {
    let response = authorizer.is_authorized(request, set, entities);
    let diagnostics = response.diagnostics();
    // Cedar skips a policy that fails, also a forbid: an error anywhere closes the gate.
    let mut errors: Vec<(String, String)> = diagnostics.errors().map(error).collect();
    if !errors.is_empty() {
        errors.sort();
        let mut detail = errors.iter().take(DETAILS).map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
        if errors.len() > DETAILS {
            detail.push_str(&format!("; and {} more", errors.len() - DETAILS));
        }
        return Judged { determining: errors.into_iter().map(|(id, _)| id).collect(), ..Judged::closed(detail) };
    }
    let mut determining: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    determining.sort_unstable();
    let (verdict, reason, queues) = match response.decision() {
        Answer::Deny if determining.is_empty() => (Verdict::Block, DecisionReason::NotPermitted, Vec::new()),
        Answer::Deny => (Verdict::Block, DecisionReason::Forbidden, Vec::new()),
        Answer::Allow => {
            let queues: BTreeSet<&String> = determining.iter().filter_map(|id| loaded.get(id)?.queue.as_ref()).collect();
            let queues: Vec<String> = queues.into_iter().cloned().collect();
            if queues.is_empty() {
                (Verdict::Allow, DecisionReason::Permitted, queues)
            } else {
                (Verdict::RequireApproval, DecisionReason::ApprovalRequired, queues)
            }
        }
    };
    Judged { verdict, reason, determining, queues, detail: None }
}

fn error(error: &AuthorizationError) -> (String, String) {
    let AuthorizationError::PolicyEvaluationError(e) = error;
    (e.policy_id().to_string(), format!("policy `{}` failed: {}", e.policy_id(), e.inner()))
}
