//! A worker for one run: it takes the steps of that run, however many others wait, and nothing else ever reaches it.

use std::collections::VecDeque;

use serde_json::Value;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Answer, Claimed, ClaimedOf, Desk, DurableExec, RunStands, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::terms::{Limit, Terms, label_of};
use tollgate_sim::{LEASE, someone};
use tollgate_testkit::FakeCompute;
use tollgate_worker::Engine;

use super::limits::{deploy, limit, runs, session, set, under};
use super::*;

/// More rounds than any of these runs has.
const ROUNDS_MAX: u32 = 200;

async fn claim_of(h: &House, w: &Engine, run: RunId) -> Vec<Claimed> {
    let found = h.watch.claim_of(w.session(), scope(), run, 64).await.unwrap();
    assert_eq!(found.unfit, 0);
    assert!(found.claimed.iter().all(|c| c.run == run && c.scope == scope()), "{:?}", found.claimed);
    found.claimed
}

/// Takes a step, and what its commits hand on, which is of the same run.
async fn drive(w: &Engine, first: Claimed) {
    let mut queue = VecDeque::from([first]);
    while let Some(step) = queue.pop_front() {
        assert_eq!(step.run, first.run, "another run's step was handed on");
        queue.extend(w.step(step).await.unwrap());
    }
}

/// Lets a worker for one run work until nothing of it is ready and no timer is left.
async fn settle(h: &House, w: &Engine, run: RunId) {
    for _ in 0..ROUNDS_MAX {
        let (_, next) = h.watch.fire_timers(64).await.unwrap();
        h.watch.open_session(w.session(), LEASE, Default::default()).await.unwrap();
        let claimed = claim_of(h, w, run).await;
        match (claimed.is_empty(), next) {
            (true, Some(at)) => h.clock.advance_to(at),
            (true, None) => return,
            _ => {}
        }
        for step in claimed {
            drive(w, step).await;
        }
    }
    panic!("it never came to rest");
}

async fn stands(h: &House, run: RunId) -> RunStands {
    h.watch.stands(scope(), run).await.unwrap().unwrap()
}

/// Of a run that nobody has touched.
async fn is_untouched(h: &House, run: RunId) {
    assert_eq!(stands(h, run).await, RunStands { state: RunState::Queued, reason: None, waits: true });
}

/// Another operation of the same entity.
fn on(entity: &str, id: &str) -> Value {
    let mut action = House::action("remote.once", id);
    action["entity_key"] = entity.into();
    action
}

#[tokio::test]
async fn a_worker_for_one_run_takes_its_steps_and_no_others() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (_, before) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    let (_, mine) = h.send(&[House::action("remote.keyed", "b"), House::action("remote.once", "c")]).await.unwrap();
    let (_, after) = h.send(&[House::action("remote.keyed", "d")]).await.unwrap();
    assert_eq!(h.watch.scope_of(mine).await.unwrap(), Some(scope()));
    is_untouched(&h, mine).await;
    settle(&h, &w, mine).await;
    let end = stands(&h, mine).await;
    assert!(end.is_over() && !end.waits);
    assert_eq!((end.state, effects(&h, "b"), effects(&h, "c"), h.remote.calls()), (RunState::Succeeded, 1, 1, 2));
    for other in [before, after] {
        is_untouched(&h, other).await;
    }
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Applied; 4]);
    let nobody = RunId::from_bytes([7; 16]);
    assert_eq!((h.watch.scope_of(nobody).await.unwrap(), h.watch.stands(scope(), nobody).await.unwrap()), (None, None));
    assert_eq!(claim_of(&h, &w, nobody).await, []);
}

#[tokio::test]
async fn a_step_of_one_run_is_held_once_and_taken_over_under_the_next_fence() {
    let h = house();
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let (_, mine) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    let first = claim_of(&h, &w, mine).await;
    assert_eq!((first.len(), claim_of(&h, &w2, mine).await.len(), h.claim(&w2).await.unwrap().len()), (1, 0, 0));
    assert!(!stands(&h, mine).await.waits, "somebody has it");
    h.lapse().await.unwrap();
    let lapsed = h.watch.claim_of(w.session(), scope(), mine, 1).await;
    assert!(matches!(lapsed, Err(StoreError::LeaseLost)), "{lapsed:?}");
    let w3 = h.worker().await.unwrap();
    let second = claim_of(&h, &w3, mine).await;
    assert_eq!(second[0].lease.fence, first[0].lease.fence + 1);
    assert!(w.step(first[0]).await.is_err(), "its lease is lost");
    drive(&w3, second[0]).await;
    assert_eq!((stands(&h, mine).await.state, h.remote.calls()), (RunState::Succeeded, 1));
    // Beside workers that take everything.
    let (_, mine) = h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    h.settle(&w3).await.unwrap();
    assert_eq!((claim_of(&h, &w3, mine).await.len(), stands(&h, mine).await.state), (0, RunState::Succeeded));
    assert_eq!(ends(&h).await, [Disposition::Applied; 2]);
}

#[tokio::test]
async fn one_run_gets_in_under_limits_past_its_turn_and_never_over_them() {
    let h = house();
    let tool = limit("t.x", None);
    deploy(&h, &[(tool, 1)], &[]).await;
    let all = runs(&h, under([tool]), 3).await;
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let mine = claim_of(&h, &w, all[2]).await;
    assert_eq!((mine.len(), h.claim(&w2).await.unwrap().len()), (1, 0), "the place is taken");
    drive(&w, mine[0]).await;
    let first = h.claim(&w2).await.unwrap();
    assert_eq!((first.len(), first[0].run), (1, all[0]), "the others keep their turn");
    // The limit is full: it waits for room like anybody.
    assert!(stands(&h, all[1]).await.waits);
    assert_eq!(claim_of(&h, &w, all[1]).await, []);
    w2.drive(first[0]).await.unwrap();
    let second = claim_of(&h, &w, all[1]).await;
    assert_eq!(second.len(), 1);
    drive(&w, second[0]).await;
    assert!(!h.store.pending().await.unwrap() || h.claim(&w2).await.unwrap().is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn one_run_needs_room_under_each_of_its_limits() {
    let h = house();
    let (key, tenant) = (limit("t.x", Some("k")), Limit::tenant(&scope()));
    deploy(&h, &[(key, 2), (tenant, 1)], &[]).await;
    let other = runs(&h, under([tenant]), 2).await;
    let mine = runs(&h, under([key, tenant]), 2).await;
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let held = h.claim(&w2).await.unwrap();
    assert_eq!((held.len(), held[0].run), (1, other[0]));
    assert_eq!(claim_of(&h, &w, mine[1]).await, [], "the tenant's is full");
    w2.drive(held[0]).await.unwrap();
    let got = claim_of(&h, &w, mine[1]).await;
    assert_eq!(got.len(), 1);
    assert_eq!(h.claim(&w2).await.unwrap(), []);
    // It dies: its place comes back with its lease, and what waited beside it loses nothing.
    h.lapse().await.unwrap();
    let w = h.worker().await.unwrap();
    h.settle(&w).await.unwrap();
    for run in other.into_iter().chain(mine) {
        assert!(stands(&h, run).await.is_over());
    }
}

#[tokio::test]
async fn limited_actions_of_one_run_get_in_one_by_one() {
    let h = house();
    h.limit(1, 1).await.unwrap();
    let (_, before) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    let (_, mine) = h.send(&[House::action("remote.keyed", "b"), House::action("remote.once", "c")]).await.unwrap();
    let w = h.worker().await.unwrap();
    settle(&h, &w, mine).await;
    assert_eq!((stands(&h, mine).await.state, effects(&h, "b"), effects(&h, "c")), (RunState::Succeeded, 1, 1));
    is_untouched(&h, before).await;
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Applied; 3]);
}

#[tokio::test]
async fn one_run_waits_for_a_worker_with_its_labels() {
    let h = house();
    let (gpu, tool) = (label_of(&set(&["gpu"])), limit("t.x", None));
    deploy(&h, &[(tool, 1)], &[&["gpu"]]).await;
    let (free, limited) = (runs(&h, Terms::new(gpu, 0, []), 1).await[0], runs(&h, Terms::new(gpu, 0, [tool]), 1).await[0]);
    let (plain, with_gpu) = (session(&h, Some(&[])).await, session(&h, Some(&["gpu", "eu"])).await);
    let everything = session(&h, None).await;
    for (run, by) in [(free, with_gpu), (limited, everything)] {
        let unfit = h.watch.claim_of(plain, scope(), run, 9).await.unwrap();
        assert_eq!(unfit, ClaimedOf { claimed: Vec::new(), unfit: 1 });
        let got = h.watch.claim_of(by, scope(), run, 9).await.unwrap();
        assert_eq!((got.claimed.len(), got.unfit), (1, 0));
    }
}

#[tokio::test]
async fn who_waits_in_a_lane_for_one_run_is_not_handed_to_its_worker() {
    let h = house_of(Ordering::Strict);
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let (_, mine) = h.send(&[on("e", "a")]).await.unwrap();
    let (_, next) = h.send(&[on("e", "b")]).await.unwrap();
    let reason = claim_of(&h, &w, mine).await;
    let action = w.step(reason[0]).await.unwrap();
    assert_eq!((action.len(), action[0].run), (1, mine));
    // The next event's reasoning waited for this one's, and its action waits in the entity's lane.
    assert!(stands(&h, next).await.waits);
    assert_eq!(claim_of(&h, &w, mine).await, []);
    settle(&h, &w2, next).await;
    assert!(!stands(&h, next).await.waits);
    assert_eq!(w.step(action[0]).await.unwrap(), [], "what is woken goes to the queue");
    assert!(stands(&h, next).await.waits);
    assert_eq!(claim_of(&h, &w, mine).await, []);
    settle(&h, &w2, next).await;
    assert_eq!(ends(&h).await, [Disposition::Applied; 2]);
}

#[tokio::test]
async fn who_waits_for_the_key_of_one_run_is_not_handed_to_its_worker() {
    let h = house();
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    let (_, mine) = h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    let (_, next) = h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    let reason = claim_of(&h, &w, mine).await;
    drive(&w, reason[0]).await;
    // In doubt: the other one waits for it.
    let other = claim_of(&h, &w2, next).await;
    drive(&w2, other[0]).await;
    assert!(!stands(&h, next).await.waits);
    settle(&h, &w, mine).await;
    assert_eq!((stands(&h, mine).await.state, stands(&h, next).await.state), (RunState::Succeeded, RunState::Running));
    assert!(stands(&h, next).await.waits, "it was woken, and left to others");
    h.settle(&w2).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Applied, Disposition::Deduplicated]);
}

#[tokio::test]
async fn a_worker_for_one_run_carries_out_a_graph() {
    let h = house();
    let w = h.worker().await.unwrap();
    let step = FakeCompute::step;
    let (other, _) = h.start(&[step("x", &[], "= 1"), step("y", &["x"], "sum")], &Value::Null, None).await.unwrap();
    let mut patient = step("c", &["a"], "pass 1");
    patient["retry"] = serde_json::json!({"max_attempts": 3, "base": "1s", "cap": "1s"});
    let graph = [
        step("a", &[], "= 1"),
        step("b", &["a"], "sum"),
        patient,
        FakeCompute::action("act", &["a"], "remote.keyed", "x"),
        step("d", &["b", "c", "act"], "= 2"),
    ];
    let (mine, _) = h.start(&graph, &Value::Null, None).await.unwrap();
    settle(&h, &w, mine).await;
    assert_eq!((stands(&h, mine).await.state, effects(&h, "x")), (RunState::Succeeded, 1));
    assert!(["a", "b", "d"].iter().all(|s| h.compute.evaluated(s) == 1));
    assert_eq!((h.compute.evaluated("x"), stands(&h, other).await.waits), (0, true));
    h.settle(&w).await.unwrap();
    assert_eq!(stands(&h, other).await.state, RunState::Succeeded);
    assert_eq!((h.graph_faults().await.unwrap(), h.faults().await.unwrap()), (Vec::<Fault>::new(), Vec::<Fault>::new()));
}

#[tokio::test]
async fn one_run_waits_for_a_person_and_goes_on() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    let (_, mine) = h.send(&[House::action("remote.keyed", "a"), House::action("remote.keyed", "b")]).await.unwrap();
    let (_, other) = h.send(&[House::action("remote.keyed", "c")]).await.unwrap();
    for n in 0..2 {
        settle(&h, &w, mine).await;
        let waiting = stands(&h, mine).await;
        assert_eq!((waiting.state, waiting.waits, waiting.is_over(), h.remote.calls()), (RunState::Running, false, false, n));
        let answer = Answer { approval: asked(&h).await[0], queue: None, binding: None, comment: None };
        h.desk().approve(&someone(), answer).await.unwrap();
        assert!(stands(&h, mine).await.waits);
    }
    settle(&h, &w, mine).await;
    assert_eq!(stands(&h, mine).await.state, RunState::Succeeded);
    is_untouched(&h, other).await;
    assert_eq!(ends(&h).await, [Disposition::Applied; 2]);
}

#[tokio::test]
async fn one_run_is_taken_back_by_its_worker_and_by_no_other() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Hang]);
    let (_, mine) = h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
    let reason = claim_of(&h, &w, mine).await;
    crash(w.drive(reason[0]));
    let (_, other) = h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    h.desk().cancel(&someone(), mine).await.unwrap();
    assert!(!stands(&h, mine).await.is_over(), "nobody knows yet what became of its call");
    h.lapse().await.unwrap();
    settle(&h, &h.worker().await.unwrap(), mine).await;
    assert_eq!(stands(&h, mine).await.state, RunState::Cancelled);
    assert_eq!((ends(&h).await, effects(&h, "a"), effects(&h, "undo-a")), (vec![Disposition::Applied; 2], 1, 1));
    is_untouched(&h, other).await;
}

#[tokio::test]
async fn one_run_that_a_person_must_resolve_is_over_for_its_worker() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    let (_, mine) = h.send(&[House::action("remote.once", "a")]).await.unwrap();
    settle(&h, &w, mine).await;
    let end = stands(&h, mine).await;
    assert_eq!((end.state, end.is_over(), end.waits), (RunState::NeedsResolution, true, false));
}

#[tokio::test]
async fn nothing_of_one_run_is_taken_up_while_an_epoch_holds() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (_, mine) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.store.begin_epoch(h.clock.now()).await.unwrap();
    assert_eq!(claim_of(&h, &w, mine).await, []);
    is_untouched(&h, mine).await;
}
