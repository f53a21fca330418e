//! The event log.

use tollgate_core::event::Event;
use tollgate_core::id::{EventId, ReplayId, SessionId};
use tollgate_core::ports::{ConfigRev, Dedupe, EventLog, IngestEvent, Ingested, NewRun, ReplayRange, ReplayState};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::Out;
use crate::backend::{Ordered, Reach, Store};
use crate::command::{ingest, replay};
use crate::needs::{Alone, Needs};
use crate::query;

/// A batch is one transaction: whoever sends its keys again waits for it.
fn needs(scope: Scope, events: &[IngestEvent], claim: Option<SessionId>) -> Needs {
    let mut needs = Needs::of(scope).config().session(claim);
    for e in events {
        needs = needs.request(scope, e.dedupe.as_ref());
        for run in e.runs.iter().filter(|r| r.strict) {
            needs = needs.lane(ingest::reason_lane(&scope, &run.operator));
        }
    }
    needs
}

impl<B: Ordered> EventLog for Store<B> {
    fn ingest(&self, scope: Scope, rev: ConfigRev, events: Vec<IngestEvent>, claim: Option<SessionId>) -> Out<'_, Vec<Ingested>> {
        self.engine.write(needs(scope, &events, claim), move |tx| ingest::ingest(tx, scope, rev, &events, claim))
    }
    fn seen<'a>(&'a self, scope: Scope, dedupe: &'a Dedupe) -> Out<'a, Option<Ingested>> {
        Box::pin(async move {
            let Some(found) = self.engine.one(query::events::remembered(scope, dedupe), scope).await? else { return Ok(None) };
            if found.expires_at <= self.engine.now().await? {
                return Ok(None);
            }
            let id = EventId::from_bytes(found.reference);
            Ok(Some(if found.fingerprint == dedupe.fingerprint { Ingested::Repeated(id) } else { Ingested::Conflict(id) }))
        })
    }
    fn forget_keys(&self, limit: u32) -> Out<'_, u32> {
        self.engine.forget_keys(limit)
    }
    fn event(&self, scope: Scope, id: EventId) -> Out<'_, Option<Event>> {
        self.engine.one(query::events::one(scope, id), scope)
    }
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> Out<'_, Vec<(u64, Event)>> {
        self.engine.events_after(scope, position, limit)
    }
    fn publish(&self) -> Out<'_, u64> {
        self.engine.publish()
    }
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> Out<'_, ReplayState> {
        self.engine.begin_replay(scope, range, at)
    }
    fn advance_replay(&self, scope: Scope, id: ReplayId, expected: u64, next: u64, runs: Vec<(EventId, NewRun)>) -> Out<'_, ReplayState> {
        let strict = runs.iter().filter(|(_, r)| r.strict).map(|(_, r)| ingest::reason_lane(&scope, &r.operator));
        let needs = strict.fold(Needs::of(scope).alone(Alone::Replay(id)), Needs::lane);
        self.engine.write(needs, move |tx| replay::advance(tx, scope, id, expected, next, &runs))
    }
    fn open_replays(&self) -> Out<'_, Vec<(Scope, ReplayState)>> {
        self.engine.all(replay::open(), Reach::Everywhere)
    }
}
