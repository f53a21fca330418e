//! Lanes: the lowest ticket holds.

use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;

use crate::error::Result;

/// A place in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    /// An action, or a run whose reasoning is ordered.
    pub(crate) step: [u8; 16],
    pub(crate) run: RunId,
}

/// Lanes.
pub(crate) trait Lanes {
    /// Who holds a lane.
    fn lane_head(&mut self, lane: &Digest) -> Result<Option<Ticket>>;
    /// Whether a step has a place in a lane.
    fn has_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<bool>;
    /// Gives a step the last place in a lane.
    fn push_ticket(&mut self, scope: Scope, lane: &Digest, ticket: Ticket) -> Result<()>;
    /// Takes a step out of a lane.
    fn drop_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<()>;
    /// Gives one step's place to another.
    fn hand_ticket(&mut self, lane: &Digest, from: [u8; 16], to: [u8; 16]) -> Result<()>;
}
