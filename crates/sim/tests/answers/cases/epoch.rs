//! A store that was restored, or promoted while it lagged, forgot its end; the world did not.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Answer, Desk, DeskError, StoreError};
use tollgate_core::run::RunState;
use tollgate_sim::{HouseError, someone};
use tollgate_testkit::FakeCompute;
use tollgate_worker::{EpochDesk, Keeper, step_id};

use super::*;

/// What lies outside the database.
#[derive(Default)]
struct Outside(Mutex<BTreeMap<String, String>>);

impl Keeper for Outside {
    fn keep(&self, log: &str, signed: &str) -> io::Result<()> {
        self.0.lock().insert(log.to_owned(), signed.to_owned());
        Ok(())
    }
    fn kept(&self, log: &str) -> io::Result<Option<String>> {
        Ok(self.0.lock().get(log).cloned())
    }
}

fn answer(approval: ApprovalId) -> Answer {
    Answer { approval, queue: None, comment: None, binding: None }
}

/// A world as it is when the backup is made: two actions wait for a person, one is being called, one run was not planned yet.
async fn backed_up() -> (House, RunId) {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    h.settle(&w).await.unwrap();
    h.policy.set(Verdict::Allow);
    h.remote.script([Behaviour::Hang]);
    h.send(&[House::action("remote.once", "c")]).await.unwrap();
    let step = h.claim(&w).await.unwrap()[0];
    crash(w.drive(step));
    let (_, run) = h.send(&[House::action("remote.keyed", "d")]).await.unwrap();
    (h, run)
}

#[tokio::test]
async fn an_old_backup_restored() {
    // One world goes on; the other is what is left of it when the backup comes back.
    let outside = Arc::new(Outside::default());
    let (first, _) = backed_up().await;
    let asked_for_a = asked(&first).await[0];
    first.desk().approve(&someone(), answer(asked_for_a)).await.unwrap();
    first.lapse().await.unwrap();
    let w = first.worker().await.unwrap();
    first.settle(&w).await.unwrap();
    assert_eq!((effects(&first, "a"), effects(&first, "d")), (1, 1));
    let lost = first.signer_keeping(Arc::clone(&outside) as _).sign(scope()).await.unwrap().unwrap().checkpoint;

    let (h, queued) = backed_up().await;
    h.lapse().await.unwrap();
    let calls = h.remote.calls();
    let signer = h.signer_keeping(Arc::clone(&outside) as _);
    let said = signer.check().await.unwrap_err();
    assert!(said.contains("tollgate db epoch begin"), "{said}");
    let desk = h.desk_signing(Arc::clone(&signer));
    let epochs = EpochDesk::new(&desk, &*h.store);
    assert_eq!(epochs.report().await.unwrap(), None);
    let begun = epochs.begin(&[scope()], "ann").await.unwrap();
    let again = epochs.begin(&[scope()], "ann").await.unwrap();
    assert_eq!((begun.number, &again), (1, &begun), "once");

    // All writes are held, and reads work.
    let held = |e: &dyn std::fmt::Display| assert!(e.to_string().contains("epoch 1 holds all writes"), "{e}");
    match h.send(&[House::action("remote.keyed", "e")]).await {
        Err(HouseError::Store(e @ StoreError::Held(1))) => held(&e),
        other => panic!("{other:?}"),
    }
    match h.desk().approve(&someone(), answer(asked(&h).await[0])).await {
        Err(e @ DeskError::Unavailable(_)) => held(&e),
        other => panic!("{other:?}"),
    }
    let w = h.worker().await.unwrap();
    assert_eq!(h.claim(&w).await.unwrap(), []);
    assert_eq!(h.actions().await.unwrap().len(), 3);

    // What the world may have that the store forgot.
    let report = epochs.report().await.unwrap().unwrap();
    let (log, missing) = &report.logs[0];
    assert_eq!((log.size + missing, report.steps.len()), (lost.size, 4));
    assert!(*missing > 0);
    let named = |id: &str| {
        let of = |r: &ActionRecord| r.proposal.args["id"] == id;
        step_id(&report.steps.iter().find(|s| s.action.as_ref().is_some_and(of)).unwrap().step)
    };
    let run = report.steps.iter().find(|s| s.action.is_none()).unwrap();
    assert_eq!(run.step.run, queued);

    // A person says of each what became of it.
    assert!(matches!(epochs.end("ann").await, Err(DeskError::Unavailable(_) | DeskError::Conflict(_))), "four are left");
    epochs.resolve(&someone(), &named("a"), true).await.unwrap();
    epochs.resolve(&someone(), &named("a"), true).await.unwrap();
    assert!(matches!(epochs.resolve(&someone(), &named("a"), false).await, Err(DeskError::Conflict(_))), "one word");
    epochs.resolve(&someone(), &named("b"), false).await.unwrap();
    epochs.resolve(&someone(), &named("c"), true).await.unwrap();
    epochs.resolve(&someone(), &step_id(&run.step), true).await.unwrap();
    assert!(matches!(epochs.resolve(&someone(), "act_nobody", true).await, Err(DeskError::NotFound(_))));
    assert!(epochs.end("ann").await.unwrap().ended_at.is_some());

    // It goes on: what was carried out is not again, what was not is.
    let approval = asked(&h).await[0];
    h.desk().approve(&someone(), answer(approval)).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(h.remote.calls(), calls + 1, "b alone");
    assert_eq!(ends(&h).await, [Disposition::Deduplicated, Disposition::Deduplicated, Disposition::Applied]);
    assert_eq!(h.store.run(scope(), queued).await.unwrap().unwrap().state, RunState::Cancelled);
    // The keys of what was carried out are taken for ever.
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await.pop(), h.remote.calls()), (Some(Disposition::Deduplicated), calls + 1));

    // The log says so itself: its first entry of the epoch cites the checkpoint of what was lost; whoever starts next finds all well.
    let cited = h.ledger().await.unwrap().into_iter().find_map(|e| match e.body {
        Body::Change(c) if c.name == "1" && c.status.starts_with("begun") => Some(c),
        _ => None,
    });
    let cited = cited.unwrap();
    assert_eq!((cited.digest, cited.status), (Some(lost.root), format!("begun at {} of {}", log.size, lost.size)));
    signer.sign(scope()).await.unwrap();
    signer.check().await.unwrap();
    assert_eq!(h.store.epoch().await.unwrap().unwrap().number, 1);
}

#[tokio::test]
async fn a_new_store_has_no_epoch_and_nobody_may_speak_for_one() {
    let h = house();
    let desk = h.desk();
    let epochs = EpochDesk::new(&desk, &*h.store);
    assert_eq!(h.store.epoch().await.unwrap(), None);
    assert!(matches!(epochs.resolve(&someone(), "act_x", true).await, Err(DeskError::Conflict(_))));
    assert!(matches!(epochs.end("ann").await, Err(DeskError::Conflict(_))));
    // A restored store in which nothing was open goes on at once.
    epochs.begin(&[scope()], "ann").await.unwrap();
    epochs.end("ann").await.unwrap();
    let w = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(one(&h).await.disposition, Some(Disposition::Applied));
    assert_eq!(epochs.begin(&[scope()], "ann").await.unwrap().number, 2);
}

#[tokio::test]
async fn a_graph_of_a_restored_store_waits_for_a_persons_word() {
    let h = house();
    let w = h.worker().await.unwrap();
    let steps = |id: &str| [FakeCompute::step("a", &[], "= 1"), FakeCompute::action("act", &["a"], "remote.keyed", id)];
    // One waits in its action for a person; one was carried out since, one was not: nothing of either was taken up yet.
    h.policy.set(Verdict::RequireApproval);
    let (asking, _) = h.start(&steps("x"), &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    h.policy.set(Verdict::Allow);
    let (done, _) = h.start(&steps("y"), &Value::Null, None).await.unwrap();
    let (not_done, _) = h.start(&steps("z"), &Value::Null, None).await.unwrap();
    let held = h.claim(&w).await.unwrap()[0];
    let desk = h.desk();
    let epochs = EpochDesk::new(&desk, &*h.store);
    epochs.begin(&[scope()], "ann").await.unwrap();

    // No run begins, and no claim from before goes on.
    assert!(matches!(h.start(&steps("v"), &Value::Null, None).await, Err(HouseError::Store(StoreError::Held(1)))));
    w.step(held).await.unwrap_err();
    assert_eq!(h.claim(&w).await.unwrap(), []);
    let report = epochs.report().await.unwrap().unwrap();
    let mut open: Vec<_> = report.steps.iter().map(|s| (s.step.run, s.action.is_some())).collect();
    open.sort_unstable();
    let mut wanted = vec![(asking, false), (asking, true), (done, false), (not_done, false)];
    wanted.sort_unstable();
    assert_eq!(open, wanted);

    let action = report.steps.iter().find(|s| s.action.is_some()).unwrap();
    assert!(matches!(epochs.resolve(&someone(), &asking.to_string(), true).await, Err(DeskError::Conflict(m)) if m.contains("first")));
    epochs.resolve(&someone(), &step_id(&action.step), true).await.unwrap();
    epochs.resolve(&someone(), &asking.to_string(), false).await.unwrap();
    epochs.resolve(&someone(), &done.to_string(), true).await.unwrap();
    epochs.resolve(&someone(), &not_done.to_string(), false).await.unwrap();
    epochs.end("ann").await.unwrap();
    h.lapse().await.unwrap();
    let w = h.worker().await.unwrap();
    h.settle(&w).await.unwrap();
    let mut states = Vec::new();
    for run in [asking, done, not_done] {
        states.push(h.store.run(scope(), run).await.unwrap().unwrap().state);
    }
    assert_eq!(states, [RunState::Succeeded, RunState::Cancelled, RunState::Succeeded]);
    assert_eq!((effects(&h, "x"), effects(&h, "y"), effects(&h, "z")), (0, 0, 1));
    assert_eq!(h.graph_faults().await.unwrap(), []);
}
