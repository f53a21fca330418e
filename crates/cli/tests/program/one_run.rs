//! `RUN_ID=run_… tollgate worker`: a worker for one run, beside others that wait.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::processes::Shared;
use super::support::{Process, Ran, tollgate_env};

impl Shared {
    fn of_run<T>(&self, run: &str, start: impl Fn(&[(&str, &str)], &[&str]) -> T) -> T {
        let (url, keys, root) = (self.url("worker"), self.keys(), self.project.root());
        let env: Vec<(&str, &str)> = Self::worker_env(&url, &keys).into_iter().chain([("RUN_ID", run)]).collect();
        start(&env, &["--project", root.to_str().unwrap(), "--json", "worker"])
    }

    /// Runs a worker for one run to its end.
    fn worker_of(&self, run: &str) -> Ran {
        self.of_run(run, tollgate_env)
    }

    /// The run of an event that was just sent.
    fn sent(&self, payload: &str) -> String {
        let before = self.runs().len();
        self.project.run(&["events", "send", "demo.hello", "--payload", payload]).ok();
        let runs = self.runs();
        assert_eq!(runs.len(), before + 1);
        runs[0].0.clone()
    }

    /// Every run and how it stands, newest first.
    fn runs(&self) -> Vec<(String, String)> {
        let list = self.project.run(&["--json", "runs", "list"]).json();
        let word = |r: &Value, k: &str| r[k].as_str().unwrap().to_owned();
        list["data"].as_array().unwrap().iter().map(|r| (word(r, "id"), word(r, "state"))).collect()
    }
}

/// The last line that a worker printed, and its code.
fn said(ran: &Ran) -> (i32, Value) {
    let last = ran.out.lines().last().unwrap_or_else(|| panic!("it said nothing: {}", ran.err));
    (ran.code, serde_json::from_str(last).unwrap())
}

#[test]
fn a_worker_for_one_run_carries_it_out_and_ends() {
    let it = Shared::new();
    let _serve = it.serve();
    let (before, mine, after) = (it.sent(r#"{"name": "Ada"}"#), it.sent(r#"{"name": "Bob"}"#), it.sent(r#"{"name": "Eve"}"#));
    let ended = |run: &str, state: &str, before: bool| json!({"run": run, "state": state, "reason": null, "had_ended": before});
    let ran = it.worker_of(&mine);
    assert_eq!(said(&ran), (0, ended(&mine, "succeeded", false)), "{}", ran.err);
    let ready: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!(ready, json!({"worker": "program-1", "metrics": null, "run": mine}));
    let others = [(after.clone(), "queued".to_owned()), (mine.clone(), "succeeded".to_owned()), (before, "queued".to_owned())];
    assert_eq!(it.runs(), others);
    let notes = it.project.root().join("notes/greetings");
    let written: Vec<_> = std::fs::read_dir(notes).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(written, ["Bob.md"]);
    // What had ended before is said at once, with the code of its end.
    assert_eq!(said(&it.worker_of(&mine)), (0, ended(&mine, "succeeded", true)));
    it.project.run(&["runs", "cancel", &after]).ok();
    let cancelled = it.worker_of(&after);
    assert_eq!(said(&cancelled), (1, ended(&after, "cancelled", true)));
    let error: Value = serde_json::from_str(cancelled.err.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"], json!({"code": "failed", "exit_code": 1, "message": format!("{after} had ended already: cancelled")}));
}

#[test]
fn what_is_no_run_is_refused_and_one_that_nobody_has_is_not_found() {
    let it = Shared::new();
    drop(it.serve());
    let nobody = "run_00000000000000000000000000";
    for (run, code, word, part) in [
        ("run_x", 2, "wrong_command_line", "RUN_ID: `run_x` is not a valid id: after `run_` come 26 characters"),
        ("act_00000000000000000000000000", 2, "wrong_command_line", "is not a run id: run ids start with `run_`"),
        ("", 2, "wrong_command_line", "is not a run id"),
        (nobody, 1, "not_found", "no tenant has a run run_00000000000000000000000000"),
    ] {
        let ran = it.worker_of(run);
        let error: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        assert_eq!((ran.code, &error["error"]["code"]), (code, &json!(word)), "{run}: {}", ran.err);
        assert!(error["error"]["message"].as_str().unwrap().contains(part), "{run}: {error}");
        assert_eq!(ran.out, "", "{run}");
    }
}

#[test]
fn a_worker_for_one_run_waits_with_it_for_a_person() {
    let it = Shared::new();
    let _serve = it.serve();
    let other = it.sent(r#"{"name": "Ada"}"#);
    let mine = it.sent(r#"{"name": "Bob", "loud": true}"#);
    let open = |v: &Value| v["approvals"].as_array().is_some_and(|a| !a.is_empty());
    let mut worker = it.of_run(&mine, Process::start);
    let asked = it.project.until(&["--json", "approvals", "list"], open);
    // Told to stop, it has not done what it was started for.
    let stopped = worker.signal(Signal::TERM);
    assert_eq!(stopped.code, 130, "{}", stopped.err);
    assert!(stopped.err.contains(&format!("stopped before {mine} had ended: it is running")), "{}", stopped.err);
    let mut worker = it.of_run(&mine, Process::start);
    assert_eq!(worker.ready["run"], json!(mine));
    it.project.run(&["approvals", "approve", asked["approvals"][0]["id"].as_str().unwrap()]).ok();
    let ended = worker.end();
    assert_eq!(said(&ended), (0, json!({"run": mine, "state": "succeeded", "reason": null, "had_ended": false})), "{}", ended.err);
    assert_eq!(it.runs(), [(mine, "succeeded".to_owned()), (other, "queued".to_owned())]);
    assert_eq!(std::fs::read_to_string(it.project.root().join("notes/shouts/Bob.md")).unwrap(), "HELLO, Bob!\n");
}
