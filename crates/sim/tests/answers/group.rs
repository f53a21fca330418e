//! A row of the table that is about one writer: members of one group commit.

use std::sync::{Arc, mpsc};

use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{BoxFuture, Clock, ConfigRev, EventLog, IngestEvent, Ingested, NewRun, StoreError};
use tollgate_store::{Options, SqliteStore};
use tollgate_testkit::{SimClock, event, scope};

/// Queues a command that stores these events, each with a run. One that names an event twice fails halfway, after its first insert.
fn ingest<'a>(store: &'a SqliteStore, rev: ConfigRev, ids: &[u8]) -> BoxFuture<'a, Result<Vec<Ingested>, StoreError>> {
    let at = SimClock::default().now();
    let run = |n: u8| NewRun {
        id: RunId::from_bytes([n; 16]),
        operator: "op".to_owned(),
        bundle: Digest::of(b"b"),
        strict: false,
        terms: Default::default(),
    };
    let new = |n: &u8| IngestEvent { event: event([*n; 16], at, &serde_json::json!([])), dedupe: None, runs: vec![run(*n)] };
    store.ingest(scope(), rev, ids.iter().map(new).collect(), None)
}

#[tokio::test]
async fn one_bad_member_of_a_group_commit() {
    // Each member as the events it stores; how many commits follow, and which events are there in the end.
    let good: [&[u8]; 3] = [&[2], &[3, 4], &[5]];
    let bad: [&[u8]; 3] = [&[2], &[3, 3], &[5]];
    for (members, commits, stored) in [(good, 1, vec![1, 2, 3, 4, 5]), (bad, 2, vec![1, 2, 5])] {
        let (told, told_of) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        // The writer stands still after its first commit, so that what is queued meanwhile becomes one group.
        let on_commit = Box::new(move |_| {
            let _ = (told.send(()), may_go.recv());
        });
        let clock = Arc::new(SimClock::default());
        let store = SqliteStore::open(Options { path: None, clock, inline: false, on_commit }).unwrap();
        let first = ingest(&store, ConfigRev(0), &[1]);
        told_of.recv().unwrap();
        let queued: Vec<_> = members.iter().map(|ids| ingest(&store, ConfigRev(0), ids)).collect();
        drop(go);
        first.await.unwrap();
        for (ids, answer) in members.iter().zip(queued) {
            let fails = ids.windows(2).any(|w| w[0] == w[1]);
            assert_eq!(answer.await.is_err(), fails, "{ids:?}");
        }
        let there = store.events_after(scope(), 0, 10).await.unwrap();
        let there: Vec<_> = there.into_iter().map(|(_, e)| e.id.as_bytes()[0]).collect();
        assert_eq!(there, stored);
        assert_eq!(told_of.try_iter().count(), commits, "{members:?}");
    }
}
