//! Ending a step takes two round trips to Postgres and no more, counted on the wire.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tollgate_core::run::RunState;
use tollgate_core::spec::Ordering;
use tollgate_sim::{House, Mistake, Stands, Trips};
use tollgate_testkit::{Behaviour, FakeCompute, scope};
use tollgate_worker::Engine;

fn house() -> (House, Trips) {
    let trips = Trips::default();
    (House::on(Stands::PostgresCounted(trips.clone()), 1, Ordering::Relaxed, Mistake::None).unwrap(), trips)
}

/// `a`, then `b`, then `c`, then `d`.
fn line() -> Vec<Value> {
    let step = |name: &str, on: &[&str]| FakeCompute::step(name, on, "sum");
    vec![step("a", &[]), step("b", &["a"]), step("c", &["b"]), step("d", &["c"])]
}

async fn run_line(h: &House, w: &Engine, trips: &Trips) -> Vec<u64> {
    let (run, mut held) = h.start(&line(), &json!({"x": 1}), Some(w.session())).await.unwrap();
    let mut counted = Vec::new();
    while let Some(step) = held.pop() {
        let before = trips.count();
        held = w.step(step).await.unwrap();
        counted.push(trips.count() - before);
    }
    assert_eq!(h.store.run(scope(), run).await.unwrap().unwrap().state, RunState::Succeeded);
    counted
}

#[tokio::test]
async fn a_step_of_a_graph_ends_and_the_next_is_claimed_in_two_round_trips() {
    let (h, trips) = house();
    let w = h.worker().await.unwrap();
    // Statements are prepared once in a connection's life, and there are two that commit.
    run_line(&h, &w, &trips).await;
    run_line(&h, &w, &trips).await;
    let counted = run_line(&h, &w, &trips).await;
    assert_eq!(counted[1..], [2, 2, 2], "each step with its result, the run's progress and the claim of the next");
    assert!(counted[0] <= 3, "the first also reads the run: {counted:?}");
}

/// What each part of an action took: until the call was made, and from its answer to the disposition.
async fn act(h: &House, w: &Engine, trips: &Trips, id: &str) -> (u64, u64) {
    h.send(&[House::action("remote.keyed", id)]).await.unwrap();
    let mut plan = h.claim(w).await.unwrap();
    let action = w.step(plan.pop().unwrap()).await.unwrap().pop().unwrap();
    h.remote.script([Behaviour::Slow]);
    let (before, calls) = (trips.count(), h.remote.calls());
    let mut step = pin!(w.step(action));
    let mut cx = Context::from_waker(Waker::noop());
    while h.remote.calls() == calls {
        assert!(matches!(step.as_mut().poll(&mut cx), Poll::Pending), "it waits for the remote");
    }
    let called = trips.count();
    step.await.unwrap();
    (called - before, trips.count() - called)
}

#[tokio::test]
async fn an_action_is_disposed_in_two_round_trips() {
    let (h, trips) = house();
    let w = h.worker().await.unwrap();
    for warm in ["a", "b"] {
        act(&h, &w, &trips, warm).await;
    }
    let (begun, disposed) = act(&h, &w, &trips, "c").await;
    assert_eq!(disposed, 2, "the attempt's result, the receipt, the key, the lane, the run and the next step");
    assert!(begun <= 3, "what is read before, and the intent: {begun}");
}
