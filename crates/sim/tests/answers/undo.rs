//! Rows of the table in which an effect is taken back: its run was cancelled while it was under way, and its tool has an `undo`.

use tollgate_core::action::ActionState;
use tollgate_core::id::RunId;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, Answer, Desk, DurableExec, Lists};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, Loss, Odds, Point, TAKE_BACK, scope};
use tollgate_worker::Engine;

use super::governed::{cancel, mid_call};
use super::{asked, effects, ends, house};

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
