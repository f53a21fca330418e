//! Rows of the table on keys, generations and the order in lanes.

use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Answer, Desk};
use tollgate_core::spec::Ordering;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::Behaviour;

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
        let h = super::house_of(ordering);
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
        let h = super::house_of(ordering);
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
