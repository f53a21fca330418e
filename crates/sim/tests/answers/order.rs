//! Rows of the table on keys, generations and the order in lanes, and on members of one group commit.

use std::sync::{Arc, mpsc};

use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Answer, BoxFuture, Clock, ConfigRev, Desk, EventLog, IngestEvent, Ingested, NewRun, StoreError};
use tollgate_core::spec::Ordering;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_store::{Options, SqliteStore};
use tollgate_testkit::{Behaviour, SimClock, event, scope};

use super::{asked, effects, ends, house};

/// Another operation of the same entity.
fn on(entity: &str, id: &str) -> serde_json::Value {
    let mut action = House::action("remote.once", id);
    action["entity_key"] = entity.into();
    action
}

#[tokio::test]
async fn a_rejection_that_the_remote_keeps_under_a_key_is_not_met_again() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.set_remembers_rejections(true);
    h.remote.script([Behaviour::Reject(422)]);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    // The key is free again, and its generation moved on: under the old one the remote would say no for an hour.
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Failed, Disposition::Applied]);
    let generations: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.generation).collect();
    assert_eq!((generations, effects(&h, "a")), (vec![1, 2], 1));
}

#[tokio::test]
async fn ordering_strict_a_waiting_approval_blocks_its_entity() {
    for (ordering, first) in [(Ordering::Strict, "a"), (Ordering::Relaxed, "b")] {
        let h = House::new(1, ordering).unwrap();
        let w = h.worker().await.unwrap();
        h.policy.set(Verdict::RequireApproval);
        h.send(&[on("e", "a")]).await.unwrap();
        h.settle(&w).await.unwrap();
        h.policy.set(Verdict::Allow);
        h.send(&[on("e", "b")]).await.unwrap();
        h.settle(&w).await.unwrap();
        let before = (effects(&h, "a"), effects(&h, "b"));
        assert_eq!(before, if ordering == Ordering::Strict { (0, 0) } else { (0, 1) }, "{ordering:?}");
        h.policy.set(Verdict::RequireApproval);
        let answer = Answer { approval: asked(&h).await[0], queue: None, binding: None, comment: None };
        h.desk().approve(&someone(), answer).await.unwrap();
        h.policy.set(Verdict::Allow);
        h.settle(&w).await.unwrap();
        assert_eq!(ends(&h).await, [Disposition::Applied, Disposition::Applied], "{ordering:?}");
        let order = h.disposed().await.unwrap();
        assert_eq!(order[0].proposal.args["id"], first, "{ordering:?}");
    }
}

#[tokio::test]
async fn ordering_strict_events_keep_their_order_whoever_comes_first() {
    for (ordering, want) in [(Ordering::Strict, ["a", "b"]), (Ordering::Relaxed, ["b", "a"])] {
        let h = House::new(1, ordering).unwrap();
        let w = h.worker().await.unwrap();
        h.send(&[on("e", "a")]).await.unwrap();
        h.send(&[on("e", "b")]).await.unwrap();
        // The later event is taken up first, if it may be.
        for step in h.claim(&w).await.unwrap().into_iter().rev() {
            w.drive(step).await.unwrap();
        }
        h.settle(&w).await.unwrap();
        let order: Vec<_> = h.disposed().await.unwrap().into_iter().map(|a| a.proposal.args["id"].clone()).collect();
        assert_eq!((ends(&h).await, order), (vec![Disposition::Applied; 2], want.map(Into::into).to_vec()), "{ordering:?}");
    }
}

/// Queues a command that stores these events, each with a run. One that names an event twice fails halfway, after its first insert.
fn ingest<'a>(store: &'a SqliteStore, rev: ConfigRev, ids: &[u8]) -> BoxFuture<'a, Result<Vec<Ingested>, StoreError>> {
    let at = SimClock::default().now();
    let run = |n: u8| NewRun { id: RunId::from_bytes([n; 16]), operator: "op".to_owned(), bundle: Digest::of(b"b"), strict: false };
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
