//! Logs that can be told to fail, or to have forgotten everything: a full disk, an answer that is lost, retention.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tollgate_core::event::Event;
use tollgate_core::id::{EventId, ReplayId, RunId, SessionId};
use tollgate_core::ports::{
    BoxFuture, ChangeLog, Changes, ConfigRev, Dedupe, EventLog, IngestEvent, Ingested, NewRun, ReplayRange, ReplayState, StoreError,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

/// The decorator.
pub struct Broken {
    log: Arc<dyn EventLog>,
    changes: Arc<dyn ChangeLog>,
    empty: AtomicBool,
    with: Mutex<Option<StoreError>>,
}

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Broken {
    /// Whole, for now.
    pub fn new(log: Arc<dyn EventLog>, changes: Arc<dyn ChangeLog>) -> Self {
        Self { log, changes, empty: AtomicBool::new(false), with: Mutex::default() }
    }

    /// From now on nothing is there any more.
    pub fn forget(&self) {
        self.empty.store(true, Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.empty.load(Ordering::Relaxed)
    }

    /// From now on writes and reads of events fail like this; `AnswerLost` does the write first, damage called `panic` panics.
    pub fn fail(&self, with: Option<StoreError>) {
        *self.with.lock() = with;
    }

    fn now(&self) -> Option<StoreError> {
        self.with.lock().clone()
    }
}

impl ChangeLog for Broken {
    fn changes_after(&self, scope: Scope, run: Option<RunId>, position: u64) -> Out<'_, Changes> {
        if self.is_empty() {
            return Box::pin(std::future::ready(Ok(Changes { to: position, ..Changes::default() })));
        }
        self.changes.changes_after(scope, run, position)
    }
    fn changes_from(&self, scope: Scope) -> Out<'_, Option<u64>> {
        if self.is_empty() { Box::pin(std::future::ready(Ok(None))) } else { self.changes.changes_from(scope) }
    }
}

impl EventLog for Broken {
    fn ingest(&self, scope: Scope, rev: ConfigRev, events: Vec<IngestEvent>, claim: Option<SessionId>) -> Out<'_, Vec<Ingested>> {
        match self.now() {
            Some(StoreError::AnswerLost) => Box::pin(async move {
                self.log.ingest(scope, rev, events, claim).await?;
                Err(StoreError::AnswerLost)
            }),
            Some(StoreError::Corrupt(what)) if what == "panic" => panic!("as the test wants it"),
            Some(e) => Box::pin(std::future::ready(Err(e))),
            None => self.log.ingest(scope, rev, events, claim),
        }
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
        match self.now() {
            Some(e) => Box::pin(std::future::ready(Err(e))),
            None if self.is_empty() => Box::pin(std::future::ready(Ok(Vec::new()))),
            None => self.log.events_after(scope, position, limit),
        }
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
