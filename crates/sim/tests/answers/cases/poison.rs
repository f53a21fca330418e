//! Steps that take their worker down each time: given up after so many, with a clear reason, and the rest goes on.

use tollgate_core::ledger::{Body, Disposition};
use tollgate_core::ports::{DEATHS_MAX, Desk as _, DurableExec as _};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, scope};

use super::{dead_in_the_call, effects, ends, house, one};

/// The only ready step takes so many workers with it.
async fn kills(h: &House, workers: u64) {
    for _ in 0..workers {
        let w = h.worker().await.unwrap();
        assert_eq!(h.claim(&w).await.unwrap().len(), 1);
        h.lapse().await.unwrap();
    }
}

/// The next timer's time comes.
async fn wait(h: &House) {
    let (_, next) = h.watch.fire_timers(64).await.unwrap();
    h.clock.advance_to(next.unwrap());
    assert_eq!(h.watch.fire_timers(64).await.unwrap().0, 1);
}

#[tokio::test]
async fn a_poison_action_is_given_up_after_its_deaths_and_the_rest_goes_on() {
    for (deaths, disposition, applied) in [(DEATHS_MAX - 1, Disposition::Applied, 1), (DEATHS_MAX, Disposition::Failed, 0)] {
        let h = house();
        let (_, run) = h.send(&[House::action("remote.once", "a")]).await.unwrap();
        let w = h.worker().await.unwrap();
        let reason = h.claim(&w).await.unwrap()[0];
        // Apart, the action is handed out a moment later.
        w.step(reason).await.unwrap();
        if h.lapse().await.unwrap() == 0 {
            kills(&h, 1).await;
        }
        kills(&h, deaths - 1).await;
        h.send(&[House::action("remote.once", "b")]).await.unwrap();
        h.settle(&h.worker().await.unwrap()).await.unwrap();
        let all = h.actions().await.unwrap();
        let a = all.values().find(|a| a.run == run).unwrap();
        assert_eq!((a.disposition, effects(&h, "a"), effects(&h, "b")), (Some(disposition), applied, 1));
        ends(&h).await;
        if disposition == Disposition::Failed {
            assert_eq!(a.reason.as_deref(), Some("worker_died"));
            assert!(a.detail.as_deref().is_some_and(|d| d.starts_with("10 workers that had it went away")), "{:?}", a.detail);
            assert_eq!(h.store.run(scope(), run).await.unwrap().unwrap().state, RunState::Failed);
            // Nothing took effect: the key is free.
            h.send(&[House::action("remote.once", "a")]).await.unwrap();
            h.settle(&h.worker().await.unwrap()).await.unwrap();
            assert_eq!(effects(&h, "a"), 1);
        }
    }
}

#[tokio::test]
async fn a_poison_operator_is_given_up_after_its_deaths() {
    let h = house();
    let (_, run) = h.send(&[House::action("remote.once", "a")]).await.unwrap();
    kills(&h, DEATHS_MAX).await;
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    let run = h.store.run(scope(), run).await.unwrap().unwrap();
    assert_eq!((run.state, run.actions), (RunState::ProposalFailed, 0));
    assert!(run.reason.as_deref().is_some_and(|e| e.contains("worker_died: 10 workers")), "{:?}", run.reason);
    assert_eq!(ends(&h).await, []);
}

#[tokio::test]
async fn what_a_poison_call_did_is_for_a_person_to_say() {
    // Its worker dies in the call, and then each that is to find out.
    for tool in ["remote.keyed", "remote.verifiable", "remote.once"] {
        let h = dead_in_the_call(tool).await;
        kills(&h, DEATHS_MAX - 1).await;
        h.settle(&h.worker().await.unwrap()).await.unwrap();
        let a = one(&h).await;
        assert_eq!((a.disposition, a.reason.as_deref(), h.remote.calls()), (Some(Disposition::Unknown), Some("worker_died"), 1), "{tool}");
        let closed = h.ledger().await.unwrap().into_iter().filter(|e| matches!(e.body, Body::Attempt(_))).count();
        assert_eq!(closed, 1, "{tool}");
        h.desk().resolve(&someone(), a.id, false, None).await.unwrap();
        h.settle(&h.worker().await.unwrap()).await.unwrap();
        ends(&h).await;
    }
}

#[tokio::test]
async fn what_is_in_doubt_and_kills_whoever_looks_is_for_a_person_to_say() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.send(&[House::action("remote.verifiable", "a")]).await.unwrap();
    while let Some(step) = h.claim(&w).await.unwrap().pop() {
        w.drive(step).await.unwrap();
    }
    wait(&h).await;
    kills(&h, DEATHS_MAX).await;
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    let a = one(&h).await;
    assert_eq!((a.disposition, a.reason.as_deref()), (Some(Disposition::Unknown), Some("worker_died")));
}

#[tokio::test]
async fn a_poison_compensation_waits_for_a_person() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.once_undo", "a")]).await.unwrap();
    let reason = h.claim(&w).await.unwrap()[0];
    // Apart, the action is handed out a moment later.
    let action = match w.step(reason).await.unwrap().pop() {
        Some(action) => action,
        None => h.claim(&w).await.unwrap()[0],
    };
    let call = async || w.step(action).await.map(drop);
    super::governed::until_called(&h, call(), async || super::governed::cancel(&h).await).await.unwrap();
    let undo = async || h.actions().await.unwrap().into_values().find(|a| a.compensates.is_some()).unwrap();
    assert_eq!(undo().await.state.as_str(), "ready");
    h.lapse().await.unwrap();
    kills(&h, DEATHS_MAX).await;
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    let undo = undo().await;
    assert_eq!((undo.state.as_str(), undo.reason.as_deref(), effects(&h, "undo-a")), ("blocked", Some("worker_died"), 0));
    // Whoever changes what governs it lets it try again.
    h.policy.set(Verdict::Allow);
    super::undo::deploy(&h).await;
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    assert_eq!(effects(&h, "undo-a"), 1);
}

#[tokio::test]
async fn getting_somewhere_forgets_the_deaths_before_and_handing_back_is_none() {
    let h = house();
    h.remote.script([Behaviour::Reject(503), Behaviour::Reject(503)]);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    for _ in 0..2 {
        kills(&h, DEATHS_MAX - 1).await;
        let w = h.worker().await.unwrap();
        while let Some(step) = h.claim(&w).await.unwrap().pop() {
            w.drive(step).await.unwrap();
        }
        wait(&h).await;
    }
    for _ in 0..3 * DEATHS_MAX {
        let w = h.worker().await.unwrap();
        assert_eq!(h.claim(&w).await.unwrap().len(), 1);
        assert_eq!(h.watch.close_session(w.session()).await.unwrap(), 1);
    }
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    assert_eq!((one(&h).await.disposition, effects(&h, "a")), (Some(Disposition::Applied), 1));
}
