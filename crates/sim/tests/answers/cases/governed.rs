//! Rows of the table in which the world changes under an action: policy, secrets, cancellation, the worker itself.

use std::task::{Context, Waker};

use tollgate_core::attempt::AttemptResult;
use tollgate_core::ledger::{Body, Disposition};
use tollgate_core::ports::{Answer, Desk, Page, RunFilter, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, Odds, scope};
use tollgate_worker::Engine;

use super::{asked, effects, ends, house, one};

/// How each attempt ended, in the ledger's order.
async fn attempts(h: &House) -> Vec<AttemptResult> {
    let ledger = h.ledger().await.unwrap();
    ledger.iter().filter_map(|e| if let Body::Attempt(a) = &e.body { Some(a.result) } else { None }).collect()
}

#[tokio::test]
async fn policy_tightened_after_the_approval() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    h.send(&[House::action("remote.once", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    let answer = Answer { approval: asked(&h).await[0], queue: None, binding: None, comment: None };
    h.desk().approve(&someone(), answer).await.unwrap();
    h.policy.set(Verdict::Block);
    h.settle(&w).await.unwrap();
    let a = one(&h).await;
    assert_eq!((a.disposition, a.reason.as_deref(), h.remote.calls()), (Some(Disposition::Refused), Some("forbidden"), 0));
    // Both are cited: the approval that was given, and the policy that forbids it now.
    let ledger = h.ledger().await.unwrap();
    let kinds: Vec<_> = ledger.iter().map(|e| e.body.kind().as_str()).collect();
    assert_eq!(kinds, ["approval", "approval", "receipt"]);
    let Some(Body::Receipt(receipt)) = ledger.last().map(|e| &e.body) else { panic!("a receipt") };
    assert_eq!(receipt.decision.as_ref().unwrap().determining, ["p"]);
    assert_eq!(receipt.refs.approval, Some(ledger[1].id));
}

/// Claims what is ready, drives it until its call has reached the remote, lets the world change, and drives it to its end.
pub(super) async fn mid_call(h: &House, w: &Engine, change: impl AsyncFnOnce()) -> Result<(), StoreError> {
    let step = h.claim(w).await.unwrap()[0];
    until_called(h, w.drive(step), change).await
}

/// Drives work until its call has reached the remote, lets the world change, and drives it to its end.
pub(super) async fn until_called(
    h: &House,
    work: impl Future<Output = Result<(), StoreError>>,
    change: impl AsyncFnOnce(),
) -> Result<(), StoreError> {
    let before = h.remote.calls();
    h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
    // Polled by hand, it would never get a budget of the runtime back.
    let mut work = Box::pin(tokio::task::unconstrained(work));
    while h.remote.calls() == before {
        assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it ended without a call");
    }
    h.fates.set_odds(Odds::CALM);
    change().await;
    work.await
}

#[tokio::test]
async fn secret_rotated_mid_call() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.sealer.set("token", b"s1");
    h.send(&[House::action("remote.keyed_secret", "a")]).await.unwrap();
    mid_call(&h, &w, async || h.sealer.set("token", b"s2")).await.unwrap();
    // The attempt keeps its version.
    assert_eq!((one(&h).await.disposition, h.remote.secrets()), (Some(Disposition::Applied), vec![Some(b"s1".to_vec())]));
}

#[tokio::test]
async fn secret_rotated_mid_call_and_the_old_one_refused() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.sealer.set("token", b"s1");
    h.remote.script([Behaviour::Reject(401)]);
    h.send(&[House::action("remote.keyed_secret", "a")]).await.unwrap();
    mid_call(&h, &w, async || h.sealer.set("token", b"s2")).await.unwrap();
    assert_eq!(attempts(&h).await, [AttemptResult::Rejected]);
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, effects(&h, "a")), (Some(Disposition::Applied), 1));
    assert_eq!(h.remote.secrets(), [Some(b"s1".to_vec()), Some(b"s2".to_vec())]);

    // The new one is refused too: one retry, no more.
    let h = house();
    let w = h.worker().await.unwrap();
    h.sealer.set("token", b"s1");
    h.remote.script([Behaviour::Reject(401), Behaviour::Reject(401)]);
    h.send(&[House::action("remote.keyed_secret", "a")]).await.unwrap();
    mid_call(&h, &w, async || h.sealer.set("token", b"s2")).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((one(&h).await.disposition, h.remote.calls()), (Some(Disposition::Failed), 2));
}

/// Cancels the run of the only event.
pub(super) async fn cancel(h: &House) {
    let run = h.actions().await.unwrap().into_values().next().unwrap().run;
    h.desk().cancel(&someone(), run).await.unwrap();
}

#[tokio::test]
async fn cancel_during_a_call() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed", "a"), House::action("remote.keyed", "b")]).await.unwrap();
    mid_call(&h, &w, async || cancel(&h).await).await.unwrap();
    h.settle(&w).await.unwrap();
    // What waited is cancelled at once; the result of what was called is awaited and told.
    assert_eq!(ends(&h).await, [Disposition::Cancelled, Disposition::Applied]);
    assert_eq!((effects(&h, "a"), h.remote.calls()), (1, 1));
}

#[tokio::test]
async fn cancel_during_a_call_that_ends_in_doubt() {
    // A remote that can be asked, or called again, settles the doubt first; what nobody can settle waits for a person.
    for (tool, want) in
        [("remote.keyed", Disposition::Applied), ("remote.verifiable", Disposition::Applied), ("remote.once", Disposition::Unknown)]
    {
        let h = house();
        let w = h.worker().await.unwrap();
        h.remote.script([Behaviour::ApplyAndLoseAnswer]);
        h.send(&[House::action(tool, "a"), House::action("remote.keyed", "b")]).await.unwrap();
        mid_call(&h, &w, async || cancel(&h).await).await.unwrap();
        h.settle(&w).await.unwrap();
        let a = h.disposed().await.unwrap().into_iter().find(|a| a.proposal.tool == tool && a.seq == 0).unwrap();
        assert_eq!((a.disposition, effects(&h, "a"), effects(&h, "b")), (Some(want), 1, 0), "{tool}");
        if want == Disposition::Unknown {
            h.desk().resolve(&someone(), a.id, true, None).await.unwrap();
        }
        let run = h.store.list_runs(scope(), RunFilter::default(), Page { before: None, limit: 9 }).await.unwrap();
        assert_eq!(run[0].item.state, RunState::Cancelled, "{tool}");
    }
}

#[tokio::test]
async fn zombie_worker_finishes_late() {
    // A call that nobody may repeat, and one that its successor made good in the meantime.
    for (tool, want) in [("remote.once", Disposition::Unknown), ("remote.keyed", Disposition::Applied)] {
        let h = house();
        let (zombie, next) = (h.worker().await.unwrap(), h.worker().await.unwrap());
        h.send(&[House::action(tool, "a")]).await.unwrap();
        let late = Box::pin(mid_call(&h, &zombie, async || {
            assert_eq!(h.lapse().await.unwrap(), 1);
            h.settle(&next).await.unwrap();
        }))
        .await;
        // Its write is refused, and what it learned is kept beside the run that went on without it.
        assert_eq!(late, Err(StoreError::LeaseLost));
        assert_eq!((one(&h).await.disposition, effects(&h, "a")), (Some(want), 1), "{tool}");
        let evidence = h.ledger().await.unwrap().into_iter().filter(|e| matches!(e.body, Body::Evidence(_))).count();
        assert_eq!(evidence, 1, "{tool}");
    }
}

#[tokio::test]
async fn crash_after_the_remotes_answer_before_the_disposition_of_a_worker_that_dies() {
    for (tool, want, calls) in [
        ("remote.keyed", Disposition::Applied, 2),
        ("remote.verifiable", Disposition::Applied, 1),
        ("remote.once", Disposition::Unknown, 1),
    ] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.send(&[House::action(tool, "a")]).await.unwrap();
        let step = h.claim(&w).await.unwrap()[0];
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        let mut work = Box::pin(w.drive(step));
        while h.remote.calls() == 0 {
            assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it ended without a call");
        }
        drop(work);
        h.fates.set_odds(Odds::CALM);
        assert_eq!(h.lapse().await.unwrap(), 1);
        let next = h.worker().await.unwrap();
        h.settle(&next).await.unwrap();
        // The same generation: a remote that honours keys knows the call again.
        let a = one(&h).await;
        assert_eq!((a.disposition, a.generation, effects(&h, "a"), h.remote.calls()), (Some(want), 1, 1, calls), "{tool}");
    }
}

/// Whoever undoes something by hand, under the key of its undoing, passes the gate like any other.
#[tokio::test]
async fn undone_by_hand() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    let done = one(&h).await.id;
    let mut undo = House::action("remote.once", "undo-a");
    undo["entity_key"] = "e:a".into();
    undo["idempotency_key"] = format!("undo:{done}").into();
    h.policy.set(Verdict::Block);
    h.send(&[undo.clone()]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, effects(&h, "undo-a")), (vec![Disposition::Applied, Disposition::Refused], 0));

    // Where a person must allow it, its run waits where everybody sees it.
    h.policy.set(Verdict::RequireApproval);
    let (_, run) = h.send(&[undo.clone()]).await.unwrap();
    h.settle(&w).await.unwrap();
    let page = Page { before: None, limit: 9 };
    let running = RunFilter { state: Some(RunState::Running), ..RunFilter::default() };
    let waits: Vec<_> = h.store.list_runs(scope(), running, page).await.unwrap().into_iter().map(|l| l.item.id).collect();
    assert_eq!(waits, [run]);
    let answer = Answer { approval: asked(&h).await[0], queue: None, binding: None, comment: None };
    h.desk().approve(&someone(), answer).await.unwrap();
    h.settle(&w).await.unwrap();
    // And whoever undoes it again undoes it once.
    h.policy.set(Verdict::Allow);
    h.send(&[undo]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await[2..], [Disposition::Applied, Disposition::Deduplicated]);
    assert_eq!(effects(&h, "undo-a"), 1);
}
