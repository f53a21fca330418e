//! Rows of the table in which an effect is taken back: its run was cancelled while it was under way, and its tool has an `undo`.

use std::pin::pin;
use std::task::{Context, Waker};

use tollgate_core::action::ActionState;
use tollgate_core::hash::Digest;
use tollgate_core::id::{DeploymentId, RunId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, Answer, Clock, Deploy, Desk, DurableExec, Effects};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, LEASE, someone};
use tollgate_testkit::{Behaviour, Loss, Odds, Point, TAKE_BACK, scope};
use tollgate_worker::Engine;

use super::governed::{cancel, mid_call};
use super::{asked, effects, ends, house};

/// More awaits than a step has that is blocked.
const AWAITS: usize = 24;

/// A run of one call of `tool` on `id`, cancelled while the remote does `behaviour`.
async fn cancelled(tool: &str, id: &str, behaviour: Behaviour) -> (House, Engine) {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([behaviour]);
    h.send(&[House::action(tool, id)]).await.unwrap();
    // The policy that holds back what undoes it comes with the cancellation.
    mid_call(&h, &w, async || cancel(&h).await).await.unwrap();
    (h, w)
}

/// What takes back the only action.
async fn undo(h: &House) -> Option<ActionRecord> {
    h.actions().await.unwrap().into_values().find(|a| a.compensates.is_some())
}

async fn run(h: &House) -> tollgate_core::ports::RunRecord {
    let id: RunId = h.actions().await.unwrap().into_values().next().unwrap().run;
    h.store.run(scope(), id).await.unwrap().unwrap()
}

/// The effect was there and was taken back once, and the run is over.
async fn undone_once(h: &House, what: &str) {
    let (all, run) = (h.actions().await.unwrap(), run(h).await);
    let undo = undo(h).await.unwrap();
    let of = all.get(&undo.compensates.unwrap()).unwrap();
    assert_eq!(undo.proposal.idempotency_key, Some(format!("undo:{}", of.id)), "{what}");
    assert_eq!((&undo.proposal.entity_key, &undo.principal), (&of.proposal.entity_key, &of.principal), "{what}");
    assert_eq!((undo.proposal.tool.as_str(), undo.disposition, undo.seq), (TAKE_BACK, Some(Disposition::Applied), of.seq + 1), "{what}");
    assert_eq!((effects(h, "a"), effects(h, "undo-a")), (1, 1), "{what}");
    assert_eq!((run.state, run.actions, all.len()), (RunState::Cancelled, 2, 2), "{what}");
    ends(h).await;
    assert!(!h.watch.pending().await.unwrap(), "{what}");
}

#[tokio::test]
async fn cancel_during_a_call() {
    for tool in ["remote.keyed_undo", "remote.verifiable_undo", "remote.once_undo"] {
        let (h, w) = cancelled(tool, "a", Behaviour::Apply).await;
        h.settle(&w).await.unwrap();
        undone_once(&h, tool).await;
    }
}

#[tokio::test]
async fn cancel_during_a_call_that_did_not_happen() {
    let (h, w) = cancelled("remote.keyed_undo", "a", Behaviour::Reject(422)).await;
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Failed], 1));
    assert_eq!(run(&h).await.state, RunState::Cancelled);
}

/// What took effect before anyone cancelled is done: only what was under way is taken back.
#[tokio::test]
async fn what_was_applied_before_the_cancel_stays() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed_undo", "b"), House::action("remote.keyed_undo", "a")]).await.unwrap();
    // The operator is asked, the first action applied, and the second handed on by its disposition.
    let reason = h.claim(&w).await.unwrap()[0];
    let first = w.step(reason).await.unwrap()[0];
    let second = w.step(first).await.unwrap()[0];
    super::governed::until_called(&h, w.drive(second), async || cancel(&h).await).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Applied; 3]);
    assert_eq!((effects(&h, "a"), effects(&h, "undo-a"), effects(&h, "b"), effects(&h, "undo-b")), (1, 1, 1, 0));
}

#[tokio::test]
async fn cancel_during_a_call_that_ends_in_doubt() {
    // Who can be asked, or called again, settles the doubt first, and only what happened is taken back.
    for tool in ["remote.keyed_undo", "remote.verifiable_undo"] {
        let (h, w) = cancelled(tool, "a", Behaviour::ApplyAndLoseAnswer).await;
        assert!(undo(&h).await.is_none(), "{tool}: the doubt is not settled yet");
        h.settle(&w).await.unwrap();
        undone_once(&h, tool).await;
    }
    // A look says that it did not happen: it is not called again, and nothing is taken back.
    let (h, w) = cancelled("remote.verifiable_undo", "a", Behaviour::Lose).await;
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Cancelled], 1));
    assert_eq!(run(&h).await.state, RunState::Cancelled);

    // Where nobody but a person knows, nothing is taken back until they say that it happened.
    for happened in [true, false] {
        let behaviour = if happened { Behaviour::ApplyAndLoseAnswer } else { Behaviour::Lose };
        let (h, w) = cancelled("remote.once_undo", "a", behaviour).await;
        h.settle(&w).await.unwrap();
        assert_eq!((ends(&h).await, h.remote.calls(), run(&h).await.state), (vec![Disposition::Unknown], 1, RunState::NeedsResolution));
        let id = h.actions().await.unwrap().into_keys().next().unwrap();
        h.clock.advance(LEASE);
        h.desk().resolve(&someone(), id, happened, None).await.unwrap();
        h.settle(&w).await.unwrap();
        if happened {
            undone_once(&h, "a person said that it happened").await;
        } else {
            assert_eq!((undo(&h).await, h.remote.calls(), run(&h).await.state), (None, 1, RunState::Cancelled));
            ends(&h).await;
        }
    }
}

/// Cancelled while nobody knows whether it happened, and only then said to have happened.
#[tokio::test]
async fn cancel_of_what_is_unknown() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.send(&[House::action("remote.once_undo", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    cancel(&h).await;
    let id = h.actions().await.unwrap().into_keys().next().unwrap();
    h.desk().resolve(&someone(), id, true, None).await.unwrap();
    h.settle(&w).await.unwrap();
    undone_once(&h, "unknown").await;
}

/// A run that is cancelled in its call, under a policy that forbids to take the effect back.
async fn blocked() -> (House, Engine, ActionRecord) {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
    mid_call(&h, &w, async || {
        cancel(&h).await;
        h.policy.set(Verdict::Block);
    })
    .await
    .unwrap();
    h.settle(&w).await.unwrap();
    // It waits where everybody sees it, with its reason.
    let undo = undo(&h).await.unwrap();
    assert_eq!((undo.state, undo.reason.as_deref(), undo.disposition), (ActionState::Blocked, Some("forbidden"), None));
    let run = run(&h).await;
    assert_eq!((run.state, run.cancelling), (RunState::Running, true));
    // No look at an export here: it deploys what exports need, and a deployment would wake it.
    assert_eq!((h.faults().await.unwrap(), h.disposed().await.unwrap().len(), h.remote.calls()), (Vec::new(), 1, 1));
    (h, w, undo)
}

/// A deployment, whatever it deploys.
pub(super) async fn deploy(h: &House) {
    let (id, at) = (DeploymentId::from_bytes(h.ids.uuid()), h.clock.now());
    let deploy = Deploy { id, bundle: Digest::of(b"bundle"), artifacts: Vec::new(), rules: Default::default(), entries: Vec::new(), at };
    h.store.deploy(scope(), deploy).await.unwrap();
}

#[tokio::test]
async fn compensation_is_blocked() {
    // A deployment that changes nothing for it finds it blocked again; one that allows it lets it go on.
    let (h, w, _) = blocked().await;
    deploy(&h).await;
    assert_eq!(undo(&h).await.unwrap().state, ActionState::Ready);
    h.settle(&w).await.unwrap();
    assert_eq!(undo(&h).await.unwrap().state, ActionState::Blocked);
    h.policy.set(Verdict::Allow);
    deploy(&h).await;
    h.settle(&w).await.unwrap();
    undone_once(&h, "a deployment").await;

    // So does a process at its start.
    let (h, w, _) = blocked().await;
    h.policy.set(Verdict::Allow);
    assert_eq!(h.watch.wake_blocked().await.unwrap(), 1);
    h.settle(&w).await.unwrap();
    undone_once(&h, "a start").await;
    assert_eq!(h.watch.wake_blocked().await.unwrap(), 0);
}

#[tokio::test]
async fn compensation_is_blocked_and_given_up() {
    let (h, w, undo) = blocked().await;
    h.desk().cancel(&someone(), undo.run).await.unwrap();
    let given_up = h.record(undo.id).await.unwrap().unwrap();
    let why = (given_up.disposition, given_up.reason.as_deref(), given_up.detail.as_deref());
    assert_eq!(why, (Some(Disposition::Cancelled), Some("compensation_given_up"), Some("given up by service_account:ann")));
    assert_eq!(run(&h).await.state, RunState::Cancelled);
    // For good: nothing wakes it.
    h.policy.set(Verdict::Allow);
    deploy(&h).await;
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, effects(&h, "undo-a")), (vec![Disposition::Applied, Disposition::Cancelled], 0));
}

/// The gate says no under what was active before: a deployment that comes in between, at whatever await, is not slept through.
#[tokio::test]
async fn compensation_is_blocked_while_a_deployment_allows_it() {
    for awaits in 0..AWAITS {
        let (h, w, _) = blocked().await;
        deploy(&h).await;
        let step = h.claim(&w).await.unwrap()[0];
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        let mut work = pin!(tokio::task::unconstrained(w.drive(step)));
        let mut cx = Context::from_waker(Waker::noop());
        let ended = (0..awaits).any(|_| work.as_mut().poll(&mut cx).is_ready());
        h.fates.set_odds(Odds::CALM);
        h.policy.set(Verdict::Allow);
        deploy(&h).await;
        if !ended {
            work.await.unwrap();
        }
        h.settle(&w).await.unwrap();
        undone_once(&h, &format!("{awaits} awaits")).await;
    }
}

/// A person must allow it: the request never lapses, and a no is a no.
#[tokio::test]
async fn compensation_asks_a_person() {
    for yes in [true, false] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
        mid_call(&h, &w, async || {
            cancel(&h).await;
            h.policy.set(Verdict::RequireApproval);
        })
        .await
        .unwrap();
        h.clock.advance(std::time::Duration::from_secs(400 * 86_400));
        assert!(h.watch.lapsed_approvals(9).await.unwrap().is_empty());
        // Nor does a second cancel take it back: it is not blocked.
        cancel(&h).await;
        let answer = Answer { approval: asked(&h).await[0], queue: None, binding: None, comment: None };
        if yes {
            h.desk().approve(&someone(), answer).await.unwrap();
            h.settle(&w).await.unwrap();
            undone_once(&h, "approved").await;
        } else {
            h.desk().deny(&someone(), answer).await.unwrap();
            h.settle(&w).await.unwrap();
            assert_eq!(ends(&h).await, [Disposition::Applied, Disposition::Denied]);
            assert_eq!((effects(&h, "undo-a"), run(&h).await.state), (0, RunState::Cancelled));
        }
    }
}

#[tokio::test]
async fn compensation_whose_arguments_cannot_be_made() {
    let (h, w) = cancelled("remote.keyed_undo", "stuck", Behaviour::Apply).await;
    h.settle(&w).await.unwrap();
    let stuck = undo(&h).await.unwrap();
    assert_eq!((stuck.state, stuck.reason.as_deref()), (ActionState::Blocked, Some("undo_render_failed")));
    assert_eq!(stuck.detail.as_deref(), Some("undo.args/id: there is no such value"));
    deploy(&h).await;
    h.settle(&w).await.unwrap();
    assert_eq!((undo(&h).await.unwrap().state, run(&h).await.state), (ActionState::Blocked, RunState::Running));
    cancel(&h).await;
    assert_eq!((ends(&h).await, run(&h).await.state), (vec![Disposition::Applied, Disposition::Cancelled], RunState::Cancelled));
}

#[tokio::test]
async fn crash_between_the_disposition_and_the_call_that_undoes() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
    let reason = h.claim(&w).await.unwrap()[0];
    let call = w.step(reason).await.unwrap()[0];
    let mut next = Vec::new();
    let work = async {
        next = w.step(call).await?;
        Ok(())
    };
    super::governed::until_called(&h, work, async || cancel(&h).await).await.unwrap();
    assert_eq!((next.len(), h.remote.calls()), (1, 1), "the disposition hands on what undoes it");
    // The worker that holds it is gone before it did anything.
    assert_eq!(h.lapse().await.unwrap(), 1);
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    undone_once(&h, "crash").await;
}

#[tokio::test]
async fn answer_to_the_dispositions_commit_lost_and_undone_once() {
    for loss in [Loss::AfterCommit, Loss::BeforeCommit] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.effects.lose(Point::Dispose, loss);
        h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
        mid_call(&h, &w, async || cancel(&h).await).await.unwrap();
        // What the lost answer handed on is held until the session lapses.
        h.lapse().await.unwrap();
        let w2 = h.worker().await.unwrap();
        h.settle(&w2).await.unwrap();
        undone_once(&h, &format!("{loss:?}")).await;
    }
}

#[tokio::test]
async fn answer_to_the_commit_that_blocks_is_lost() {
    for loss in [Loss::AfterCommit, Loss::BeforeCommit] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.effects.lose(Point::Block, loss);
        h.send(&[House::action("remote.keyed_undo", "a")]).await.unwrap();
        mid_call(&h, &w, async || {
            cancel(&h).await;
            h.policy.set(Verdict::Block);
        })
        .await
        .unwrap();
        assert_eq!(undo(&h).await.unwrap().state, ActionState::Blocked, "{loss:?}");
        ends(&h).await;
    }
}
