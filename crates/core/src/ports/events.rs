//! Events in: stored once, routed in the same transaction.

use crate::event::Event;
use crate::hash::Digest;
use crate::id::{EventId, ReplayId, RunId, SessionId};
use crate::scope::Scope;
use crate::terms::Terms;
use crate::time::Timestamp;

use super::{BoxFuture, Claimed, ConfigRev, StoreError};

/// What makes a request the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dedupe {
    /// The route that the key is for: keys of different routes never meet.
    pub route: String,
    /// The key, 1 to 255 characters.
    pub key: String,
    /// Digest of the canonical body.
    pub fingerprint: Digest,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
}

/// A run to create for an operator that an event matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// The operator.
    pub operator: String,
    /// The bundle that the run is pinned to.
    pub bundle: Digest,
    /// `ordering: strict`: its operator is asked in event order.
    pub strict: bool,
    /// On what terms its operator is asked.
    pub terms: Terms,
}

/// One event with the runs it leads to.
#[derive(Clone, Debug)]
pub struct IngestEvent {
    /// The event.
    pub event: Event,
    /// Its idempotency.
    pub dedupe: Option<Dedupe>,
    /// One per matching active or draft operator.
    pub runs: Vec<NewRun>,
}

/// What became of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ingested {
    /// Stored and routed.
    Stored {
        /// Steps that the given session holds already.
        claimed: Vec<Claimed>,
    },
    /// The same key and body came before: that event.
    Repeated(EventId),
    /// The same key came with another body.
    Conflict(EventId),
}

/// A range of recorded events to offer again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayRange {
    /// Names the replay; its number is the new offering.
    pub id: ReplayId,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
    /// Only this operator.
    pub operator: Option<String>,
    /// Only events whose type matches this glob.
    pub event_type: Option<String>,
}

/// A replay and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayState {
    /// The replay.
    pub range: ReplayRange,
    /// The offering number its runs carry.
    pub offering: u64,
    /// The next position to look at.
    pub next: u64,
    /// One past the last position.
    pub end: u64,
    /// Runs created.
    pub runs: u64,
}

/// The event log.
pub trait EventLog: Send + Sync {
    /// Stores a batch: each event with its runs, all durable when this returns. `claim` takes the new steps for a local session at once.
    fn ingest(
        &self,
        scope: Scope,
        rev: ConfigRev,
        events: Vec<IngestEvent>,
        claim: Option<SessionId>,
    ) -> BoxFuture<'_, Result<Vec<Ingested>, StoreError>>;

    /// The event that a key stands for already: `Repeated`, `Conflict`, or none. Reads only.
    fn seen<'a>(&'a self, scope: Scope, dedupe: &'a Dedupe) -> BoxFuture<'a, Result<Option<Ingested>, StoreError>>;

    /// Forgets up to `limit` lapsed idempotency keys; answers how many.
    fn forget_keys(&self, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// One event.
    fn event(&self, scope: Scope, id: EventId) -> BoxFuture<'_, Result<Option<Event>, StoreError>>;

    /// Events after a position, oldest first, each with its position.
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> BoxFuture<'_, Result<Vec<(u64, Event)>, StoreError>>;

    /// Gives positions to every event that is stored by now, for stores that do not at commit; answers how many. One process at a time
    /// does it, whoever asks.
    fn publish(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Records a replay and gives it an offering number.
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> BoxFuture<'_, Result<ReplayState, StoreError>>;

    /// Creates the runs of one slice of a replay and moves it on, in one transaction.
    fn advance_replay(
        &self,
        scope: Scope,
        replay: ReplayId,
        expected_next: u64,
        next: u64,
        runs: Vec<(EventId, NewRun)>,
    ) -> BoxFuture<'_, Result<ReplayState, StoreError>>;

    /// Replays that are not finished.
    fn open_replays(&self) -> BoxFuture<'_, Result<Vec<(Scope, ReplayState)>, StoreError>>;
}
