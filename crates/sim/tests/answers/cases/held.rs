//! What an action holds while it waits: nothing that another needs to let it through.

use tollgate_core::action::ActionState;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Answer, Clock, Desk, DirectAction, DurableExec};
use tollgate_core::spec::Ordering;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::Behaviour;

use super::{asked, effects, ends};

/// One action submitted directly, which never takes its ticket in event order.
async fn submit(h: &House, id: &str) {
    let proposal = serde_json::from_value(House::action("remote.keyed", id)).unwrap();
    let direct = DirectAction { proposal, dedupe: None, wait: std::time::Duration::ZERO };
    h.desk().submit(&someone(), direct).await.unwrap();
}

async fn approve_all(h: &House) {
    for approval in asked(h).await {
        h.desk().approve(&someone(), Answer { approval, queue: None, binding: None, comment: None }).await.unwrap();
    }
}

/// An action that was not sent, and must ask a person before it is tried again.
async fn asks_again(behaviour: Behaviour) -> (House, tollgate_worker::Engine) {
    let h = super::house_of(Ordering::Strict);
    let w = h.worker().await.unwrap();
    h.remote.set_remembers_rejections(true);
    h.remote.script([behaviour]);
    submit(&h, "a").await;
    for step in h.claim(&w).await.unwrap() {
        w.drive(step).await.unwrap();
    }
    h.policy.set(Verdict::RequireApproval);
    h.settle(&w).await.unwrap();
    assert_eq!(asked(&h).await.len(), 1);
    (h, w)
}

#[tokio::test]
async fn an_action_that_asks_again_and_one_that_keeps_its_ticket_do_not_wait_for_each_other() {
    for behaviour in [Behaviour::NotSent, Behaviour::Reject(503)] {
        let (h, w) = asks_again(behaviour).await;
        // The same operation, from an event in strict order: it has the lane, and must not wait there for a key.
        h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
        h.settle(&w).await.unwrap();
        for _ in 0..3 {
            approve_all(&h).await;
            h.settle(&w).await.unwrap();
        }
        let states: Vec<_> = h.actions().await.unwrap().into_values().map(|a| a.state).collect();
        assert_eq!(states, [ActionState::Done, ActionState::Done], "{behaviour:?}");
        let mut all = ends(&h).await;
        all.sort();
        assert_eq!((all, effects(&h, "a")), (vec![Disposition::Applied, Disposition::Deduplicated], 1), "{behaviour:?}");
    }
}

#[tokio::test]
async fn an_action_that_asked_again_goes_on_from_the_generation_that_its_key_has_by_then() {
    let (h, w) = asks_again(Behaviour::Reject(503)).await;
    // While a person thinks, the same operation is tried by another, and refused for good under the key's generation.
    h.policy.set(Verdict::Allow);
    h.remote.script([Behaviour::Reject(422)]);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    approve_all(&h).await;
    h.settle(&w).await.unwrap();
    // Under that generation the remote would say no again.
    assert_eq!((ends(&h).await, effects(&h, "a")), (vec![Disposition::Failed, Disposition::Applied], 1));
    let generations: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.generation).collect();
    assert_eq!(generations, [2, 3]);
    assert!(h.watch.fire_timers(9).await.unwrap().1.is_none_or(|at| at > h.clock.now()));
}
