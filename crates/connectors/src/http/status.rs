//! What a status says about the effect.
//!
//! | status | means by default | may be tried again | settles an earlier doubt |
//! |---|---|---|---|
//! | 2xx | applied | – | – |
//! | 400, 422 | rejected | no | yes, if the request carried the idempotency key |
//! | 401 | rejected | yes (with a newer secret) | no: given before the key is looked at |
//! | 402, 403, 407, 451 | rejected | no | no: quotas, permissions and proxies answer before the key is looked at |
//! | 404, 410 | rejected | no | no: what the earlier attempt deleted is not found either |
//! | 405, 406, 411, 413 to 417, 421, 426, 428, 431, other 4xx | rejected | no | no: routers and gateways give them |
//! | 412, 423, 424 | rejected | no | no: the earlier attempt may be what changed or locked it |
//! | 429 | rejected | yes | no: a limiter stands before everything else |
//! | 408, 409, 425 | not known | – | – |
//! | 1xx, 3xx, 5xx | not known | – | – |
//!
//! 400 and 422 are judgements about the bytes of the request, and the earlier attempt sent the same bytes: a remote
//! that honours the key would otherwise have repeated its first answer. `applied`, `rejected` and `retryable` of a tool
//! each replace the default of their column; a status in neither `applied` nor `rejected` is not known. 503 is tried
//! again as a rejection only where the tool declares it rejected. A redirect is never followed: the credentials were
//! meant for this host, and what a redirect did or did not do is not known unless the tool declares it.

use std::collections::BTreeSet;

use tollgate_core::spec::HttpRequestSpec;

/// What a status says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StatusClass {
    /// The effect is there.
    Applied,
    /// The remote declares that it is not.
    Rejected {
        /// May be tried again.
        retryable: bool,
        /// Nor did an earlier attempt under the same key happen.
        settles_doubt: bool,
    },
    /// It says neither.
    Unknown,
}

/// The statuses that a tool declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusRules {
    applied: BTreeSet<u16>,
    rejected: BTreeSet<u16>,
    retryable: BTreeSet<u16>,
}

impl StatusRules {
    /// The rules of a tool; says what is wrong with them.
    pub fn new(spec: &HttpRequestSpec) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        for status in spec.applied.iter().chain(&spec.rejected).chain(&spec.retryable) {
            if !(200..=599).contains(status) {
                faults.push(format!("{status} is not a status that an answer ends with: use 200 to 599"));
            }
        }
        for both in spec.applied.intersection(&spec.rejected) {
            faults.push(format!("{both} is declared both `applied` and `rejected`: keep it in one"));
        }
        let rules = Self { applied: spec.applied.clone(), rejected: spec.rejected.clone(), retryable: spec.retryable.clone() };
        for status in spec.retryable.iter().filter(|s| !rules.is_rejected(**s)) {
            faults.push(format!("{status} is declared `retryable` but not `rejected`: only what did not happen can be tried again"));
        }
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    /// Classifies a status. `keyed`: the request carried the remote's idempotency key.
    pub fn class(&self, status: u16, keyed: bool) -> StatusClass {
        if self.is_applied(status) {
            StatusClass::Applied
        } else if self.is_rejected(status) {
            let retryable = if self.retryable.is_empty() { matches!(status, 401 | 429 | 503) } else { self.retryable.contains(&status) };
            StatusClass::Rejected { retryable, settles_doubt: keyed && matches!(status, 400 | 422) }
        } else {
            StatusClass::Unknown
        }
    }

    fn is_applied(&self, status: u16) -> bool {
        if self.applied.is_empty() {
            // A default never overrides what the tool declares.
            (200..300).contains(&status) && !self.rejected.contains(&status)
        } else {
            self.applied.contains(&status)
        }
    }

    fn is_rejected(&self, status: u16) -> bool {
        if self.rejected.is_empty() {
            (400..500).contains(&status) && !matches!(status, 408 | 409 | 425) && !self.applied.contains(&status)
        } else {
            self.rejected.contains(&status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(applied: &[u16], rejected: &[u16], retryable: &[u16]) -> Result<StatusRules, Vec<String>> {
        let spec: HttpRequestSpec = serde_json::from_value(serde_json::json!({
            "method": "POST", "url": "https://x/", "applied": applied, "rejected": rejected, "retryable": retryable,
        }))
        .unwrap();
        StatusRules::new(&spec)
    }

    /// The whole table of the module, row by row.
    #[test]
    fn the_defaults_are_the_documented_table() {
        let rules = rules(&[], &[], &[]).unwrap();
        for status in 100..600_u16 {
            let expected = match status {
                200..=299 => StatusClass::Applied,
                408 | 409 | 425 => StatusClass::Unknown,
                400 | 422 => StatusClass::Rejected { retryable: false, settles_doubt: true },
                401 | 429 => StatusClass::Rejected { retryable: true, settles_doubt: false },
                402..=499 => StatusClass::Rejected { retryable: false, settles_doubt: false },
                _ => StatusClass::Unknown,
            };
            assert_eq!(rules.class(status, true), expected, "{status}");
        }
        assert_eq!(rules.class(422, false), StatusClass::Rejected { retryable: false, settles_doubt: false });
    }

    #[test]
    fn what_a_tool_declares_replaces_the_defaults() {
        let rules = rules(&[201, 404, 302], &[409, 503], &[]).unwrap();
        assert_eq!(rules.class(201, true), StatusClass::Applied);
        assert_eq!(rules.class(404, true), StatusClass::Applied);
        assert_eq!(rules.class(302, true), StatusClass::Applied);
        assert_eq!(rules.class(200, true), StatusClass::Unknown);
        assert_eq!(rules.class(400, true), StatusClass::Unknown);
        assert_eq!(rules.class(409, true), StatusClass::Rejected { retryable: false, settles_doubt: false });
        assert_eq!(rules.class(503, true), StatusClass::Rejected { retryable: true, settles_doubt: false });
    }

    #[test]
    fn contradictions_are_faults() {
        assert_eq!(rules(&[200], &[200], &[]).unwrap_err().len(), 1);
        assert!(rules(&[], &[], &[503]).unwrap_err()[0].contains("only what did not happen"));
        assert!(rules(&[99], &[], &[]).is_err());
        assert!(rules(&[], &[409], &[409]).is_ok());
    }
}
