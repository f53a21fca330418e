//! Cancellation at every moment of a run: what nobody called ends `cancelled`, and no step stays behind.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tollgate_core::action::ActionState;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Desk, DurableExec};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, Odds, scope};

use super::{asked, effects, ends, house};

/// More awaits than cancelling has.
const AWAITS: usize = 24;

async fn state(h: &House, run: tollgate_core::id::RunId) -> RunState {
    h.store.run(scope(), run).await.unwrap().unwrap().state
}

/// At rest nothing is held: whatever lapses finds nothing to hand back.
async fn nothing_left(h: &House) {
    assert_eq!(h.lapse().await.unwrap(), 0, "a step is held by nobody");
    assert!(!h.watch.pending().await.unwrap(), "a step is ready");
}

#[tokio::test]
async fn a_run_cancelled_before_its_operator_was_asked_ends() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (_, run) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.desk().cancel(&someone(), run).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, effects(&h, "a")), (RunState::Cancelled, 0));
    nothing_left(&h).await;
}

#[tokio::test]
async fn a_run_cancelled_while_its_operator_thinks_ends() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (_, run) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    let step = h.claim(&w).await.unwrap()[0];
    h.desk().cancel(&someone(), run).await.unwrap();
    let _ = w.drive(step).await;
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, effects(&h, "a")), (RunState::Cancelled, 0));
    nothing_left(&h).await;
}

/// The canceller gets as far as each of its awaits before the lane passes on and a worker claims the action that waited.
#[tokio::test]
async fn cancellation_races_the_lane() {
    for awaits in 0..AWAITS {
        let h = house();
        let w = h.worker().await.unwrap();
        h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
        h.remote.script([Behaviour::ApplyAndLoseAnswer]);
        for step in h.claim(&w).await.unwrap() {
            w.drive(step).await.unwrap();
        }
        let mut other = House::action("remote.keyed", "b");
        other["entity_key"] = "e:a".into();
        let (_, run) = h.send(&[other]).await.unwrap();
        for step in h.claim(&w).await.unwrap() {
            w.drive(step).await.unwrap();
        }
        let waits = h.actions().await.unwrap().into_values().find(|a| a.run == run).unwrap();
        assert_eq!(waits.state, ActionState::WaitingLane);
        let (someone, desk) = (someone(), h.desk_over(h.interrupted()));
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        // The runtime would let it wait when the test has done much since it last gave way.
        let mut cancel = pin!(tokio::task::coop::unconstrained(desk.cancel(&someone, run)));
        let mut done = false;
        for _ in 0..awaits {
            done = done || cancel.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        }
        h.fates.set_odds(Odds::CALM);
        // The first settles, and the lane is the second's: its step is claimed, and its worker is slow.
        h.clock.advance(std::time::Duration::from_secs(45));
        h.watch.fire_timers(8).await.unwrap();
        let settles = h.claim(&w).await.unwrap();
        for step in settles {
            w.drive(step).await.unwrap();
        }
        let late = h.claim(&w).await.unwrap();
        for _ in 0..AWAITS {
            done = done || matches!(cancel.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        }
        assert!(done, "after {awaits} awaits");
        for step in late {
            w.drive(step).await.unwrap_or_else(|e| panic!("after {awaits} awaits: {e}"));
        }
        h.settle(&w).await.unwrap();
        assert_eq!((state(&h, run).await, effects(&h, "b")), (RunState::Cancelled, 0), "after {awaits} awaits");
        assert!(ends(&h).await.contains(&Disposition::Cancelled), "after {awaits} awaits");
        nothing_left(&h).await;
    }
}

#[tokio::test]
async fn a_cancelled_action_withdraws_its_question() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    let (_, run) = h.send(&[House::action("remote.once", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(asked(&h).await.len(), 1);
    h.desk().cancel(&someone(), run).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Cancelled]);
    // Nobody is asked any more, and no sweep of lapsed requests meets it for ever.
    assert!(asked(&h).await.is_empty());
    h.clock.advance(std::time::Duration::from_secs(73 * 3600));
    assert!(tollgate_core::ports::Effects::lapsed_approvals(&*h.effects, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_is_asked_about_an_action_of_a_cancelled_run() {
    for retried in [false, true] {
        let h = house();
        let w = h.worker().await.unwrap();
        let (_, run) = h.send(&[House::action("remote.once", "a")]).await.unwrap();
        h.remote.script([Behaviour::NotSent]);
        h.policy.set(if retried { Verdict::Allow } else { Verdict::RequireApproval });
        let mut step = h.claim(&w).await.unwrap()[0];
        // Its plan is made, and it is callable or in backoff: a worker will take it up.
        for _ in 0..if retried { 2 } else { 1 } {
            step = w.step(step).await.unwrap().first().copied().unwrap_or(step);
        }
        h.policy.set(Verdict::RequireApproval);
        h.desk().cancel(&someone(), run).await.unwrap();
        if !retried {
            w.drive(step).await.unwrap();
        }
        h.settle(&w).await.unwrap();
        assert!(asked(&h).await.is_empty(), "retried: {retried}");
        assert_eq!((ends(&h).await, state(&h, run).await), (vec![Disposition::Cancelled], RunState::Cancelled), "retried: {retried}");
        nothing_left(&h).await;
    }
}

#[tokio::test]
async fn what_is_paused_is_not_called_again_to_settle_a_doubt() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    for step in h.claim(&w).await.unwrap() {
        w.drive(step).await.unwrap();
    }
    h.pause();
    h.settle(&w).await.unwrap();
    let all = h.disposed().await.unwrap();
    assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Unknown], 1));
    assert_eq!(all[0].reason.as_deref(), Some("paused_in_doubt"));
}
