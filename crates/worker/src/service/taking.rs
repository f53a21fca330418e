//! An event log whose new steps go to this process's worker at once: the commit that stores an event claims its runs too.

use std::sync::Arc;

use tollgate_core::event::Event;
use tollgate_core::id::{EventId, ReplayId, SessionId};
use tollgate_core::ports::{
    BoxFuture, ConfigRev, Dedupe, EventLog, Hands, IngestEvent, Ingested, NewRun, ReplayRange, ReplayState, StoreError,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

/// Steps on their way from a commit to the worker. A caller that goes away before the answer comes leaves them to nobody.
pub(crate) struct Handing<'a> {
    hands: &'a Arc<dyn Hands>,
    session: Option<SessionId>,
}

impl<'a> Handing<'a> {
    /// Steps that a command is going to claim for this session.
    pub(crate) fn new(hands: &'a Arc<dyn Hands>, session: Option<SessionId>) -> Self {
        Self { hands, session }
    }

    /// The answer came. When it is lost, or may be, nobody knows what was claimed.
    pub(crate) fn over<T>(mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if !matches!(answer, Err(StoreError::AnswerLost | StoreError::Unavailable(_))) {
            self.session = None;
        }
        answer
    }
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.hands.lost(session);
        }
    }
}

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
            let handing = Handing::new(&self.hands, claim);
            let stored = handing.over(self.log.ingest(scope, rev, events, claim).await)?;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Told(AtomicU32);

    impl Hands for Told {
        fn session(&self) -> Option<SessionId> {
            None
        }
        fn take(&self, _: Vec<tollgate_core::ports::Claimed>) {}
        fn lost(&self, _: SessionId) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lost(with: impl FnOnce(Handing<'_>)) -> u32 {
        let told = Arc::new(Told::default());
        let hands: Arc<dyn Hands> = Arc::clone(&told) as _;
        with(Handing::new(&hands, Some(SessionId::from_bytes([1; 16]))));
        told.0.load(Ordering::Relaxed)
    }

    #[test]
    fn the_worker_hears_when_nobody_knows_what_was_claimed() {
        let gone = lost(|h| {
            drop(h);
        });
        assert_eq!(gone, 1, "a caller that goes away");
        assert_eq!(lost(|h| drop(h.over::<()>(Err(StoreError::AnswerLost)))), 1);
        assert_eq!(lost(|h| drop(h.over::<()>(Err(StoreError::Unavailable(String::new()))))), 1);
        assert_eq!(lost(|h| drop(h.over(Ok(())))), 0);
        assert_eq!(lost(|h| drop(h.over::<()>(Err(StoreError::Stale)))), 0, "nothing was written");
    }
}
