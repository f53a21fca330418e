//! The table of answers that must hold (design, section 6): each row a test of that name, on the real core, worker and store.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use tollgate_core::action::ActionState;
use tollgate_core::attempt::AttemptResult;
use tollgate_core::id::ApprovalId;
use tollgate_core::ledger::{Body, Disposition};
use tollgate_core::ports::{ActionRecord, ApprovalFilter, Clock, Effects, Page};
use tollgate_core::spec::Ordering;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{Fault, House, Mistake};
use tollgate_testkit::{Behaviour, Loss, Point, SkewedClock, scope};

mod cancel;
mod epoch;
mod governed;
mod graph;
mod held;
mod limits;
mod order;
mod people;
mod poison;
mod single_run;
mod tenant;
mod undo;
mod writes;

fn house() -> House {
    house_of(Ordering::Relaxed)
}

fn house_of(ordering: Ordering) -> House {
    House::on(crate::ENGINE, 1, ordering, Mistake::None).unwrap()
}

/// Polls once and drops: the worker dies in the middle.
fn crash<F: Future>(future: F) {
    // Polled by hand, it would never get a budget of the runtime back.
    let mut future = Box::pin(tokio::task::unconstrained(future));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut cx), Poll::Pending), "it was to hang in the call");
}

async fn one(h: &House) -> ActionRecord {
    let all = h.disposed().await.unwrap();
    assert_eq!(all.len(), 1, "one disposition");
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
    assert_eq!(h.unverifiable().await.unwrap(), None);
    all.into_iter().next().unwrap()
}

/// How each action ended, in the ledger's order; no law is broken.
async fn ends(h: &House) -> Vec<Disposition> {
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
    assert_eq!(h.unverifiable().await.unwrap(), None);
    h.disposed().await.unwrap().iter().map(|a| a.disposition.unwrap()).collect()
}

/// The requests that nobody has answered, oldest first.
async fn asked(h: &House) -> Vec<ApprovalId> {
    let filter = ApprovalFilter { status: Some("open".to_owned()), queue: None };
    let mut all = h.store.list_approvals(scope(), filter, Page { before: None, limit: 100 }).await.unwrap();
    all.reverse();
    all.into_iter().map(|l| l.item.id).collect()
}

fn effects(h: &House, id: &str) -> usize {
    h.remote.effects(id, h.clock.now())
}

#[tokio::test]
async fn an_action_is_applied_once_and_receipted() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(one(&h).await.disposition, Some(Disposition::Applied));
    assert_eq!(effects(&h, "a"), 1);
    let kinds: Vec<_> = h.ledger().await.unwrap().iter().map(|e| e.body.kind().as_str()).collect();
    assert_eq!(kinds, ["intent", "attempt", "receipt"]);
}

#[tokio::test]
async fn crash_before_the_intent() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.once", "a")]).await.unwrap();
    // Claimed, and the worker is gone before it did anything.
    assert_eq!(h.claim(&w).await.unwrap().len(), 1);
    assert_eq!(h.lapse().await.unwrap(), 1);
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    assert_eq!(one(&h).await.disposition, Some(Disposition::Applied));
    assert_eq!(effects(&h, "a"), 1);
}

#[tokio::test]
async fn answer_to_the_intents_commit_lost() {
    for loss in [Loss::AfterCommit, Loss::BeforeCommit] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.effects.lose(Point::Begin, loss);
        h.send(&[House::action("remote.once", "a")]).await.unwrap();
        h.settle(&w).await.unwrap();
        assert_eq!(one(&h).await.disposition, Some(Disposition::Applied), "{loss:?}");
        assert_eq!((effects(&h, "a"), h.remote.calls()), (1, 1), "{loss:?}");
    }
}

/// A worker dies in the call.
async fn dead_in_the_call(tool: &str) -> House {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Hang]);
    h.send(&[House::action(tool, "a")]).await.unwrap();
    let step = h.claim(&w).await.unwrap()[0];
    crash(w.drive(step));
    assert_eq!(h.lapse().await.unwrap(), 1);
    h
}

/// The next one follows the grade's rule.
async fn die_in_the_call(tool: &str) -> House {
    let h = dead_in_the_call(tool).await;
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    h
}

#[tokio::test]
async fn crash_after_the_intent_before_or_during_the_call() {
    let h = die_in_the_call("remote.keyed").await;
    let a = one(&h).await;
    assert_eq!((a.disposition, a.generation, effects(&h, "a")), (Some(Disposition::Applied), 1, 1));

    let h = die_in_the_call("remote.verifiable").await;
    assert_eq!((one(&h).await.disposition, effects(&h, "a")), (Some(Disposition::Applied), 1));

    let h = die_in_the_call("remote.once").await;
    let a = one(&h).await;
    assert_eq!((a.disposition, a.state, h.remote.calls()), (Some(Disposition::Unknown), ActionState::Unknown, 1));
    let ends: Vec<_> =
        h.ledger().await.unwrap().iter().filter_map(|e| if let Body::Attempt(a) = &e.body { Some(a.result) } else { None }).collect();
    assert_eq!(ends, [AttemptResult::Ambiguous]);
}

#[tokio::test]
async fn crash_after_the_remotes_answer_before_the_disposition() {
    for (tool, calls) in [("remote.keyed", 2), ("remote.verifiable", 1), ("remote.once", 1)] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.remote.script([Behaviour::ApplyAndLoseAnswer]);
        h.send(&[House::action(tool, "a")]).await.unwrap();
        h.settle(&w).await.unwrap();
        let a = one(&h).await;
        let want = if tool == "remote.once" { Disposition::Unknown } else { Disposition::Applied };
        assert_eq!((a.disposition, a.generation), (Some(want), 1), "{tool}");
        assert_eq!((effects(&h, "a"), h.remote.calls()), (1, calls), "{tool}");
    }
}

#[tokio::test]
async fn a_remote_that_applies_late_is_waited_for() {
    let h = house();
    let w = h.worker().await.unwrap();
    // Later than the deadline of 10 s, within the settling time of 30 s.
    h.remote.script([Behaviour::ApplyLate(std::time::Duration::from_secs(35))]);
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, effects(&h, "a"), h.remote.calls()), (Some(Disposition::Applied), 1, 1));
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_asks_no_remote_too_early() {
    for ahead in [-240, 240] {
        let h = house();
        let clock = std::sync::Arc::new(SkewedClock::new(std::sync::Arc::clone(&h.clock)));
        clock.set_ahead(ahead * 1_000_000);
        let (wrong, right) = (h.worker_at(clock).await.unwrap(), h.worker().await.unwrap());
        h.remote.script([Behaviour::ApplyLate(std::time::Duration::from_secs(38))]);
        h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
        for step in h.claim(&wrong).await.unwrap() {
            wrong.drive(step).await.unwrap();
        }
        h.settle(&right).await.unwrap();
        assert_eq!((one(&h).await.disposition, effects(&h, "a"), h.remote.calls()), (Some(Disposition::Applied), 1, 1), "{ahead} s");
    }
}

#[tokio::test]
async fn a_verifying_read_that_does_not_answer_is_asked_again() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.remote.silence_reads(3);
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, effects(&h, "a"), h.remote.calls()), (Some(Disposition::Applied), 1, 1));

    // It never answers: in the end a person must say.
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.remote.silence_reads(u32::MAX);
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Unknown), 1));
}

#[tokio::test]
async fn answer_to_the_dispositions_commit_lost() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.effects.lose(Point::Dispose, Loss::AfterCommit);
    h.send(&[House::action("remote.once", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Applied), 1));

    // Never committed: the call is not repeated; the grade's rule decides, and at_most_once leaves it to a person.
    let h = house();
    let w = h.worker().await.unwrap();
    h.effects.lose(Point::Dispose, Loss::BeforeCommit);
    h.send(&[House::action("remote.once", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Unknown), 1));
}

#[tokio::test]
async fn two_actions_one_key() {
    let h = house();
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    let first = h.claim(&w).await.unwrap()[0];
    w.drive(first).await.unwrap();
    // The first is in doubt; the second must wait for it, and neither call nor succeed.
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    let second = h.claim(&w2).await.unwrap()[0];
    w2.drive(second).await.unwrap();
    assert_eq!((h.disposed().await.unwrap().len(), h.remote.calls()), (0, 1));
    h.settle(&w).await.unwrap();
    let all: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.disposition.unwrap()).collect();
    assert_eq!(all, [Disposition::Applied, Disposition::Deduplicated]);
    assert_eq!((effects(&h, "a"), h.remote.calls()), (1, 1));
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
}

#[tokio::test]
async fn a_key_used_for_another_operation_is_a_conflict() {
    let h = house();
    let w = h.worker().await.unwrap();
    let mut other = House::action("remote.once", "a");
    other["idempotency_key"] = "k:b".into();
    h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    h.settle(&w).await.unwrap();
    h.send(&[other]).await.unwrap();
    h.settle(&w).await.unwrap();
    let all = h.disposed().await.unwrap();
    assert_eq!(all[1].disposition, Some(Disposition::Refused));
    assert_eq!(all[1].reason.as_deref(), Some("key_conflict"));
    assert_eq!(effects(&h, "a"), 0);
}

#[tokio::test]
async fn a_blocked_action_reaches_nobody_and_skips_the_rest() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::Block);
    h.send(&[House::action("remote.keyed", "a"), House::action("remote.keyed", "b")]).await.unwrap();
    h.settle(&w).await.unwrap();
    let all: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.disposition.unwrap()).collect();
    assert_eq!(all, [Disposition::Refused, Disposition::Skipped]);
    assert_eq!(h.remote.calls(), 0);
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
}

#[tokio::test]
async fn vault_unavailable_after_the_intent() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.sealer.set("token", b"s1");
    h.sealer.set_down(true);
    h.send(&[House::action("remote.keyed_secret", "a")]).await.unwrap();
    let step = h.claim(&w).await.unwrap()[0];
    w.drive(step).await.unwrap();
    let ends: Vec<_> =
        h.ledger().await.unwrap().iter().filter_map(|e| if let Body::Attempt(a) = &e.body { Some(a.result) } else { None }).collect();
    assert_eq!((ends, h.remote.calls()), (vec![AttemptResult::NotSent], 0));
    h.sealer.set_down(false);
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, effects(&h, "a")), (Some(Disposition::Applied), 1));
}

#[tokio::test]
async fn secret_wrong_and_not_rotated_is_not_tried_again() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.sealer.set("token", b"s1");
    h.remote.script([Behaviour::Reject(401)]);
    h.send(&[House::action("remote.keyed_secret", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Failed), 1));
}

#[tokio::test]
async fn a_zombie_worker_cannot_change_the_run() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.once", "a")]).await.unwrap();
    let step = h.claim(&w).await.unwrap()[0];
    h.lapse().await.unwrap();
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    assert!(w.drive(step).await.is_err(), "its lease is lost");
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Applied), 1));
}

#[tokio::test]
async fn every_event_and_every_action_of_a_plan_is_accounted_for() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Apply, Behaviour::Reject(422), Behaviour::Apply]);
    h.send(&[House::action("remote.keyed", "a"), House::action("remote.keyed", "b"), House::action("remote.keyed", "c")]).await.unwrap();
    h.settle(&w).await.unwrap();
    let all: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.disposition.unwrap()).collect();
    assert_eq!(all, [Disposition::Applied, Disposition::Failed, Disposition::Skipped]);
    h.store.publish().await.unwrap();
    assert_eq!(h.store.events_after(scope(), 0, 10).await.unwrap().len(), 1);
    // The failed one gave its key back: a later event may try again.
    h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(effects(&h, "b"), 1);
    assert!(h.effects.lapsed_approvals(1).await.unwrap().is_empty());
}
