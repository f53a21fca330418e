//! Durable execution: claims, leases, timers.

use std::time::Duration;

use crate::id::{RunId, SessionId};
use crate::run::RunState;
use crate::scope::Scope;
use crate::terms::Labels;
use crate::time::Timestamp;

use super::{BoxFuture, Claimed, GraphExec, ReasonRecord, StoreError};

/// How a run stands, as far as a worker for it alone needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunStands {
    /// Its state.
    pub state: RunState,
    /// Why, where that is known.
    pub reason: Option<String>,
    /// One of its steps is ready, or waits for room under a limit.
    pub waits: bool,
}

impl RunStands {
    /// Whether there is nothing left for a worker to do: it has ended, or a person must say first what became of a call.
    pub const fn is_over(&self) -> bool {
        self.state.is_final() || matches!(self.state, RunState::NeedsResolution)
    }
}

/// What a claim for one run brought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClaimedOf {
    /// Its steps that the session holds from now on.
    pub claimed: Vec<Claimed>,
    /// Steps of it that wait for a worker with labels that the session lacks.
    pub unfit: u32,
}

/// Durable execution.
pub trait DurableExec: GraphExec + Send + Sync {
    /// Opens a worker session, which claims what requires no other labels; its lease lasts `ttl` from the store's now.
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Renews a session: one renewal covers all its steps. [`StoreError::LeaseLost`] when it had lapsed and was reaped.
    fn renew(&self, session: SessionId, ttl: Duration) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Hands back every step that a session holds.
    fn close_session(&self, session: SessionId) -> BoxFuture<'_, Result<u32, StoreError>>;
    /// Claims ready steps.
    fn claim(&self, session: SessionId, limit: u32) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;
    /// Claims steps of one run and no others. Their turn among other runs' does not matter; labels, limits and all else do.
    fn claim_of(&self, session: SessionId, scope: Scope, run: RunId, limit: u32) -> BoxFuture<'_, Result<ClaimedOf, StoreError>>;
    /// Whose a run is, whatever the tenant and mode.
    fn scope_of(&self, run: RunId) -> BoxFuture<'_, Result<Option<Scope>, StoreError>>;
    /// How a run stands. Reads only: what an idle worker for one run asks.
    fn stands(&self, scope: Scope, run: RunId) -> BoxFuture<'_, Result<Option<RunStands>, StoreError>>;
    /// Whether anything is ready. Reads only: what an idle worker asks.
    fn pending(&self) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// Makes due timers ready; answers how many, and when the next is due by the store's clock.
    fn fire_timers(&self, limit: u32) -> BoxFuture<'_, Result<(u32, Option<Timestamp>), StoreError>>;
    /// Hands back the steps of lapsed sessions; answers how many, and when the next session lapses.
    fn reap(&self) -> BoxFuture<'_, Result<u32, StoreError>>;
    /// What a reasoning step needs.
    fn reason_step(&self, scope: Scope, run: RunId) -> BoxFuture<'_, Result<Option<ReasonRecord>, StoreError>>;
}

/// A worker in the same process: steps that a commit creates may go to it at once, without a claim of their own.
pub trait Hands: Send + Sync {
    /// The session that may hold new steps; none while it has its hands full.
    fn session(&self) -> Option<SessionId>;
    /// Takes steps that its session holds by now.
    fn take(&self, steps: Vec<Claimed>);
    /// It may hold steps that nobody knows of, since the answer that would have named them is lost. The session takes nothing more, and
    /// hands back what is left when all that it knows of is done.
    fn lost(&self, session: SessionId);
}
