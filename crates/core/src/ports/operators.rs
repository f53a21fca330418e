//! Operators: the uncertain part, behind one function.

use super::BoxFuture;
use crate::event::Event;
use crate::plan::{ProposalError, ProposedPlan};

/// The operators of one bundle.
pub trait Reasoner: Send + Sync {
    /// What an operator proposes for an event. `None`: its condition was false. No network, no secrets.
    fn propose<'a>(&'a self, operator: &'a str, event: &'a Event) -> BoxFuture<'a, Result<Option<ProposedPlan>, ProposalError>>;

    /// The key of an operator's limit for an event; none when it has none, or the event gives none. Pure.
    fn concurrency_key(&self, _operator: &str, _event: &Event) -> Option<String> {
        None
    }
}
