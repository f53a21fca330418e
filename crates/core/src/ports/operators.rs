//! Operators: the uncertain part, behind one function.

use super::BoxFuture;
use crate::event::Event;
use crate::plan::{ProposalError, ProposedPlan};

/// The operators of one bundle.
pub trait Reasoner: Send + Sync {
    /// What an operator proposes for an event. `None`: its condition was false. No network, no secrets.
    fn propose<'a>(&'a self, operator: &'a str, event: &'a Event) -> BoxFuture<'a, Result<Option<ProposedPlan>, ProposalError>>;
}
