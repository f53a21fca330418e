//! An event log whose new steps go to this process's worker at once: the commit that stores an event claims its runs too.

use std::sync::Arc;

use tollgate_core::event::Event;
use tollgate_core::id::{EventId, ReplayId, SessionId};
use tollgate_core::ports::{
    BoxFuture, ConfigRev, Dedupe, EventLog, Hands, IngestEvent, Ingested, NewRun, ReplayRange, ReplayState, StoreError,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

/// The decorator.
pub struct Taking {
    log: Arc<dyn EventLog>,
    hands: Arc<dyn Hands>,
}

impl Taking {
    /// Over a log and a worker.
    pub fn new(log: Arc<dyn EventLog>, hands: Arc<dyn Hands>) -> Self {
        Self { log, hands }
    }
}

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl EventLog for Taking {
    fn ingest(&self, scope: Scope, rev: ConfigRev, events: Vec<IngestEvent>, claim: Option<SessionId>) -> Out<'_, Vec<Ingested>> {
        // Batches go through the queue: a worker takes of them what it has hands for.
        let claim = claim.or_else(|| self.hands.session().filter(|_| events.len() == 1));
        Box::pin(async move {
            let stored = self.log.ingest(scope, rev, events, claim).await?;
            for one in &stored {
                if let Ingested::Stored { claimed, .. } = one
                    && !claimed.is_empty()
                {
                    self.hands.take(claimed.clone());
                }
            }
            Ok(stored)
        })
    }
    fn seen<'a>(&'a self, scope: Scope, dedupe: &'a Dedupe) -> Out<'a, Option<Ingested>> {
        self.log.seen(scope, dedupe)
    }
    fn forget_keys(&self, limit: u32) -> Out<'_, u32> {
        self.log.forget_keys(limit)
    }
    fn event(&self, scope: Scope, id: EventId) -> Out<'_, Option<Event>> {
        self.log.event(scope, id)
    }
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> Out<'_, Vec<(u64, Event)>> {
        self.log.events_after(scope, position, limit)
    }
    fn publish(&self) -> Out<'_, u64> {
        self.log.publish()
    }
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> Out<'_, ReplayState> {
        self.log.begin_replay(scope, range, at)
    }
    fn advance_replay(&self, scope: Scope, id: ReplayId, expected: u64, next: u64, runs: Vec<(EventId, NewRun)>) -> Out<'_, ReplayState> {
        self.log.advance_replay(scope, id, expected, next, runs)
    }
    fn open_replays(&self) -> Out<'_, Vec<(Scope, ReplayState)>> {
        self.log.open_replays()
    }
}
