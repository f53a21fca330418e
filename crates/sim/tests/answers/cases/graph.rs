//! Runs of static graphs: each step's result once, whatever crashes, and nothing before what it depends on.

use serde_json::{Value, json};
use tollgate_core::graph::{EntryKind, Stored};
use tollgate_core::id::RunId;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{DEATHS_MAX, Desk as _, DurableExec as _, Step, StoreError};
use tollgate_core::run::RunState;
use tollgate_sim::{Fault, House, someone};
use tollgate_testkit::{Behaviour, FakeCompute, Loss, scope};

use super::{crash, house};

fn step(name: &str, on: &[&str], text: &str) -> Value {
    FakeCompute::step(name, on, text)
}

/// `a`, then `b`, then `c`.
fn line() -> [Value; 3] {
    [step("a", &[], "= 1"), step("b", &["a"], "sum"), step("c", &["b"], "sum")]
}

async fn state(h: &House, run: RunId) -> RunState {
    assert_eq!(h.graph_faults().await.unwrap(), Vec::<Fault>::new());
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
    h.store.run(scope(), run).await.unwrap().unwrap().state
}

/// The output of a step, as the journal has it.
async fn output(h: &House, run: RunId, step: u32) -> Option<Value> {
    let entries = h.graph(run).await.unwrap().journal;
    let found = entries.into_iter().find(|e| e.kind == EntryKind::Succeeded && e.step == Some(step))?;
    match found.result? {
        Stored::Inline(value) => Some(value),
        Stored::Blob(blob) => Some(json!({"blob": blob.size})),
    }
}

/// The error of a step that failed.
async fn error(h: &House, run: RunId, step: u32) -> Value {
    let entries = h.graph(run).await.unwrap().journal;
    let found = entries.into_iter().rev().find(|e| e.kind == EntryKind::Failed && e.step == Some(step)).unwrap();
    let Some(Stored::Inline(value)) = found.result else { panic!("no error") };
    value
}

async fn steps(h: &House, run: RunId) -> Vec<(String, &'static str)> {
    h.steps(run).await.unwrap().into_iter().collect()
}

fn named(pairs: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    pairs.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect()
}

#[tokio::test]
async fn a_graph_runs_to_its_end_and_each_claim_goes_on_to_the_next_step() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &json!({"x": 1}), Some(w.session())).await.unwrap();
    let next = w.step(claimed[0]).await.unwrap();
    assert_eq!((next.len(), next[0].step, next[0].lease.session), (1, Step::Node(1), w.session()));
    w.drive(next[0]).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Succeeded);
    assert_eq!(output(&h, run, 2).await, Some(json!(3)));
    let kinds: Vec<_> = h.graph(run).await.unwrap().journal.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["started", "succeeded", "succeeded", "succeeded"]);
    assert!(!h.store.pending().await.unwrap(), "nothing is left behind");
}

#[tokio::test]
async fn fan_out_and_fan_in() {
    let h = house();
    let w = h.worker().await.unwrap();
    let graph = [step("a", &[], "= 1"), step("b", &["a"], "sum"), step("c", &["a"], "sum"), step("d", &["b", "c"], "sum")];
    let (run, _) = h.start(&graph, &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, output(&h, run, 3).await), (RunState::Succeeded, Some(json!(5))));
    assert!(graph.iter().all(|s| h.compute.evaluated(s["name"].as_str().unwrap()) == 1));
}

#[tokio::test]
async fn two_workers_end_the_two_sides_of_a_fan_in() {
    let h = house();
    let (w, w2) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let graph = [step("a", &[], "= 1"), step("b", &[], "= 2"), step("c", &["a", "b"], "sum")];
    let (run, _) = h.start(&graph, &Value::Null, None).await.unwrap();
    let first = h.watch.claim(w.session(), 1).await.unwrap();
    let second = h.watch.claim(w2.session(), 1).await.unwrap();
    assert!(w.step(first[0]).await.unwrap().is_empty(), "the other side is open");
    let last = w2.step(second[0]).await.unwrap();
    assert_eq!(last[0].step, Step::Node(2));
    w2.drive(last[0]).await.unwrap();
    assert_eq!((state(&h, run).await, output(&h, run, 2).await), (RunState::Succeeded, Some(json!(4))));
}

#[tokio::test]
async fn crash_before_and_after_the_commit_of_a_step() {
    // Claimed, and gone before the commit.
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
    assert_eq!((claimed.len(), h.lapse().await.unwrap()), (1, 1));
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    assert_eq!((state(&h, run).await, output(&h, run, 2).await), (RunState::Succeeded, Some(json!(3))));

    // Committed, holding the next, and gone.
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
    assert_eq!(w.step(claimed[0]).await.unwrap().len(), 1);
    assert_eq!(h.lapse().await.unwrap(), 1);
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    assert_eq!((state(&h, run).await, output(&h, run, 2).await), (RunState::Succeeded, Some(json!(3))));
    assert_eq!(h.compute.evaluated("a"), 1, "what is durable is not done again");
}

#[tokio::test]
async fn a_zombie_finishes_a_step_late() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
    h.lapse().await.unwrap();
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    assert_eq!(w.step(claimed[0]).await, Err(StoreError::LeaseLost));
    assert_eq!(state(&h, run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let h = house();
    let w = h.worker().await.unwrap();
    let graph =
        [step("a", &[], "fail no"), step("b", &["a"], "sum"), step("c", &["b"], "sum"), step("d", &[], "= 1"), step("e", &["d"], "sum")];
    let (run, _) = h.start(&graph, &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Failed);
    let want = [("a", "failed"), ("b", "skipped"), ("c", "skipped"), ("d", "succeeded"), ("e", "succeeded")];
    assert_eq!(steps(&h, run).await, named(&want));
    assert_eq!(error(&h, run, 0).await, json!({"reason": "error", "message": "no"}));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_the_step_says() {
    let mut patient = step("a", &[], "pass 2");
    patient["retry"] = json!({"max_attempts": 3, "base": "1s", "cap": "10s"});
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, _) = h.start(&[patient.clone(), step("b", &["a"], "sum")], &Value::Null, None).await.unwrap();
    let before = tollgate_core::ports::Clock::now(&*h.clock);
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, h.compute.evaluated("a")), (RunState::Succeeded, 3));
    assert!(tollgate_core::ports::Clock::now(&*h.clock).since(before).as_millis() >= 1500, "half of 1 s and of 2 s at the least");
    let kinds: Vec<_> = h.graph(run).await.unwrap().journal.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["started", "deferred", "deferred", "succeeded", "succeeded"]);

    patient["retry"]["max_attempts"] = json!(2);
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, _) = h.start(&[patient], &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, h.compute.evaluated("a")), (RunState::Failed, 2));
    assert_eq!(error(&h, run, 0).await["reason"], "gave_up");
}

#[tokio::test]
async fn cancel_ends_what_waits_and_what_nobody_holds() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, _) = h.start(&line(), &Value::Null, None).await.unwrap();
    h.desk().cancel(&someone(), run).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Running, "a step is handed out");
    h.settle(&w).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Cancelled);
    assert_eq!(steps(&h, run).await, named(&[("a", "cancelled"), ("b", "cancelled"), ("c", "cancelled")]));
    assert_eq!(h.compute.evaluated("a"), 0);

    // A worker that holds one ends it as it would have; nothing comes after it.
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
    let next = w.step(claimed[0]).await.unwrap();
    h.desk().cancel(&someone(), run).await.unwrap();
    w.drive(next[0]).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Cancelled);
    assert_eq!(steps(&h, run).await, named(&[("a", "succeeded"), ("b", "succeeded"), ("c", "cancelled")]));

    // One that waits for another attempt does not wait out its time.
    let mut patient = step("a", &[], "pass 9");
    patient["retry"] = json!({"max_attempts": 9, "base": "1h", "cap": "1h"});
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&[patient], &Value::Null, Some(w.session())).await.unwrap();
    w.drive(claimed[0]).await.unwrap();
    h.desk().cancel(&someone(), run).await.unwrap();
    let before = tollgate_core::ports::Clock::now(&*h.clock);
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, h.compute.evaluated("a")), (RunState::Cancelled, 1));
    assert_eq!(tollgate_core::ports::Clock::now(&*h.clock), before);
}

#[tokio::test]
async fn a_failed_run_goes_on_from_its_last_durable_step() {
    let mut once = step("b", &["a"], "pass 1");
    once["retry"] = json!({"max_attempts": 1, "base": "1s", "cap": "1s"});
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, _) = h.start(&[step("a", &[], "= 1"), once, step("c", &["b"], "sum")], &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Failed);
    assert_eq!(h.store.resume_run(scope(), run, h.ids.now()).await.unwrap().run, RunState::Running);
    assert!(matches!(h.store.resume_run(scope(), run, h.ids.now()).await, Err(StoreError::Conflict(_))), "it runs already");
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, h.compute.evaluated("a"), h.compute.evaluated("b")), (RunState::Succeeded, 1, 2));
}

#[tokio::test]
async fn a_poison_step_is_given_up_after_its_deaths_and_the_rest_goes_on() {
    let h = house();
    let (run, _) = h.start(&[step("a", &[], "= 1"), step("b", &["a"], "sum"), step("c", &[], "= 1")], &Value::Null, None).await.unwrap();
    let mut claims = 0;
    let end = loop {
        let w = h.worker().await.unwrap();
        let held = h.claim(&w).await.unwrap();
        let (poison, rest): (Vec<_>, Vec<_>) = held.into_iter().partition(|c| c.step == Step::Node(0));
        for step in rest {
            w.drive(step).await.unwrap();
        }
        claims += 1;
        if claims > DEATHS_MAX {
            break (w, poison);
        }
        // It takes its worker with it.
        h.lapse().await.unwrap();
    };
    end.0.drive(end.1[0]).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Failed);
    assert_eq!(steps(&h, run).await, named(&[("a", "failed"), ("b", "skipped"), ("c", "succeeded")]));
    assert_eq!(error(&h, run, 0).await["reason"], "worker_died");
    assert_eq!(h.compute.evaluated("a"), 0);
}

#[tokio::test]
async fn a_worker_tries_no_step_again_more_often_than_it_is_told_to() {
    let mut patient = step("a", &[], "pass 2");
    patient["retry"] = json!({"max_attempts": 5, "base": "1s", "cap": "10s"});
    for (retries_max, evaluated, ended) in [(1, 2, RunState::Failed), (3, 3, RunState::Succeeded)] {
        let mut h = house();
        h.retry_at_most(retries_max);
        let (run, _) = h.start(&[patient.clone()], &Value::Null, None).await.unwrap();
        h.settle(&h.worker().await.unwrap()).await.unwrap();
        assert_eq!((state(&h, run).await, h.compute.evaluated("a")), (ended, evaluated));
    }
}

#[tokio::test]
async fn a_step_handed_back_in_peace_killed_nobody() {
    let h = house();
    let (run, _) = h.start(&line(), &Value::Null, None).await.unwrap();
    for _ in 0..3 * DEATHS_MAX {
        let w = h.worker().await.unwrap();
        assert_eq!(h.claim(&w).await.unwrap().len(), 1);
        assert_eq!(h.watch.close_session(w.session()).await.unwrap(), 1);
    }
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Succeeded);
}

#[tokio::test]
async fn a_large_result_is_kept_beside_the_journal() {
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&[step("a", &[], "large"), step("b", &["a"], "length")], &Value::Null, Some(w.session())).await.unwrap();
    let next = w.step(claimed[0]).await.unwrap();
    // The next worker has nothing in its memory.
    h.lapse().await.unwrap();
    assert_eq!(next.len(), 1);
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    assert_eq!((state(&h, run).await, output(&h, run, 1).await), (RunState::Succeeded, Some(json!(40_000))));
    assert!(output(&h, run, 0).await.unwrap()["blob"].as_u64().unwrap() > 40_000);
}

#[tokio::test]
async fn an_action_of_a_graph_passes_the_gate_and_ends_its_step() {
    let h = house();
    let w = h.worker().await.unwrap();
    let graph = [step("a", &[], "= 1"), FakeCompute::action("act", &["a"], "remote.keyed", "x"), step("z", &["act"], "= 2")];
    let (run, claimed) = h.start(&graph, &Value::Null, Some(w.session())).await.unwrap();
    w.drive(claimed[0]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, super::effects(&h, "x")), (RunState::Succeeded, 1));
    assert_eq!(super::ends(&h).await, [Disposition::Applied]);

    // It does not take effect: what depends on it is skipped.
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Reject(422)]);
    let (run, _) = h.start(&graph, &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Failed);
    assert_eq!(steps(&h, run).await, named(&[("a", "succeeded"), ("act", "failed"), ("z", "skipped")]));
    // And the run goes on from there.
    h.store.resume_run(scope(), run, h.ids.now()).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((state(&h, run).await, super::effects(&h, "x")), (RunState::Succeeded, 1));
}

#[tokio::test]
async fn an_unknown_holds_what_depends_on_it_until_a_person_resolves_it() {
    for (applied, want) in [(true, RunState::Succeeded), (false, RunState::Failed)] {
        let h = house();
        let w = h.worker().await.unwrap();
        h.remote.script([Behaviour::Hang]);
        let graph = [FakeCompute::action("act", &[], "remote.once", "x"), step("z", &["act"], "= 2"), step("o", &[], "= 3")];
        let (run, claimed) = h.start(&graph, &Value::Null, Some(w.session())).await.unwrap();
        crash(w.drive(claimed[0]));
        h.lapse().await.unwrap();
        let w2 = h.worker().await.unwrap();
        h.settle(&w2).await.unwrap();
        assert_eq!(state(&h, run).await, RunState::NeedsResolution);
        assert_eq!(steps(&h, run).await, named(&[("act", "unknown"), ("o", "succeeded"), ("z", "waiting")]));
        let action = h.disposed().await.unwrap()[0].id;
        h.desk().resolve(&someone(), action, applied, None).await.unwrap();
        h.settle(&w2).await.unwrap();
        assert_eq!(state(&h, run).await, want, "{applied}");
        assert_eq!(h.remote.calls(), 1);
    }
}

#[tokio::test]
async fn a_cancelled_graph_takes_back_the_action_under_way() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Hang]);
    let graph = [FakeCompute::action("act", &[], "remote.keyed_undo", "x"), step("z", &["act"], "= 2")];
    let (run, claimed) = h.start(&graph, &Value::Null, Some(w.session())).await.unwrap();
    crash(w.drive(claimed[0]));
    h.desk().cancel(&someone(), run).await.unwrap();
    h.lapse().await.unwrap();
    h.settle(&h.worker().await.unwrap()).await.unwrap();
    assert_eq!(state(&h, run).await, RunState::Cancelled);
    assert_eq!(super::ends(&h).await, [Disposition::Applied, Disposition::Applied], "it and what takes it back");
    assert_eq!(steps(&h, run).await, named(&[("act", "succeeded"), ("z", "cancelled")]));
}

#[tokio::test]
async fn answer_to_the_commit_of_a_step_lost() {
    for loss in [Loss::AfterCommit, Loss::BeforeCommit] {
        let h = house();
        let w = h.worker().await.unwrap();
        let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
        h.watch.lose(loss);
        w.drive(claimed[0]).await.unwrap();
        assert_eq!((state(&h, run).await, h.compute.evaluated("a")), (RunState::Succeeded, 1), "{loss:?}");
        assert!(!h.store.pending().await.unwrap(), "{loss:?}: the worker went on by itself");
    }
    // The lost commit made an action of it, and handed that on.
    let h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&[FakeCompute::action("act", &[], "remote.once", "x")], &Value::Null, Some(w.session())).await.unwrap();
    h.watch.lose(Loss::AfterCommit);
    w.drive(claimed[0]).await.unwrap();
    assert_eq!((state(&h, run).await, h.remote.calls()), (RunState::Succeeded, 1));
}

#[tokio::test]
async fn a_journal_that_does_not_match_its_graph_stops_the_run_and_says_where() {
    let mut h = house();
    let w = h.worker().await.unwrap();
    let (run, claimed) = h.start(&line(), &Value::Null, Some(w.session())).await.unwrap();
    let next = w.step(claimed[0]).await.unwrap();
    w.step(next[0]).await.unwrap();
    h.lapse().await.unwrap();
    // A later program reads the same graph otherwise.
    h.compute.read_nothing();
    h.forget_programs();
    let w2 = h.worker().await.unwrap();
    h.settle(&w2).await.unwrap();
    let stopped = h.store.run(scope(), run).await.unwrap().unwrap();
    assert_eq!(stopped.state, RunState::Failed);
    let why = stopped.reason.unwrap();
    assert!(why.contains("entry 2 ") && why.contains("step `b`"), "{why}");
    assert_eq!(h.compute.evaluated("c"), 0);
    assert!(!h.store.pending().await.unwrap());
}
