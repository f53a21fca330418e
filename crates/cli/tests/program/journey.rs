//! A new user's first minutes.

use serde_json::Value;

use super::support::{Project, tollgate};

fn id(v: &Value, pointer: &str) -> String {
    v.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {v}")).to_owned()
}

#[test]
fn from_init_to_a_verified_receipt() {
    let p = Project::new();
    assert_eq!(p.run(&["check"]).ok().out, "p: 1 connector, 2 tools, 1 operator, 1 policy file; no faults\n");
    let dev = p.dev();
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada", "loud": true}"#]).ok();
    let open = p.until(&["--json", "approvals", "list"], |v| v["approvals"].as_array().is_some_and(|a| !a.is_empty()));
    let request = id(&open, "/approvals/0/id");
    let shown = p.run(&["approvals", "show", &request]).ok().out;
    assert!(shown.contains("notes.write_shout") && shown.contains("asked by policy") && shown.contains("ops: open"), "{shown}");
    p.run(&["approvals", "approve", &request, "--comment", "fine"]).ok();
    let runs = p.until(&["--json", "runs", "list"], |v| v["data"][0]["state"] == "succeeded");
    assert_eq!(std::fs::read_to_string(p.root().join("notes/greetings/Ada.md")).unwrap(), "Hello, Ada!\n");
    assert_eq!(std::fs::read_to_string(p.root().join("notes/shouts/Ada.md")).unwrap(), "HELLO, Ada!\n");

    let timeline = p.run(&["runs", "show", &id(&runs, "/data/0/id")]).ok().out;
    let hops = ["run", "plan", "intent", "attempt", "receipt", "approval", "approval", "intent", "attempt", "receipt"];
    let found: Vec<&str> = timeline.lines().skip(2).map(|l| l.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(found, hops, "{timeline}");
    let watched = p.run(&["runs", "watch", &id(&runs, "/data/0/id")]).ok().out;
    assert!(watched.contains("  action.waiting_approval  act_"), "{watched}");
    assert!(watched.contains("  action.done  act_") && watched.ends_with("\nthe run is over: succeeded\n"), "{watched}");

    // The same fact again: known, and nothing happens a second time.
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    p.until(&["--json", "receipts", "list"], |v| v["data"][0]["leaf"]["body"]["verdict"] == "DEDUP");

    let export = p.root().join("export.jsonl");
    let export = export.to_str().unwrap();
    p.run(&["receipts", "export", "-o", export]).ok();
    let report = tollgate(&["--json", "receipts", "verify", export]).json();
    assert_eq!(report["report"]["dispositions"]["applied"], 2);
    let text = std::fs::read_to_string(export).unwrap();
    std::fs::write(export, text.replacen("\"applied\"", "\"refused\"", 1)).unwrap();
    let refused = tollgate(&["receipts", "verify", export]);
    assert_eq!(refused.code, 5, "{}", refused.out);
    assert!(refused.err.contains("does not verify: line "), "{}", refused.err);

    let stopped = dev.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    // Without a server the commands open the folder themselves.
    assert_eq!(p.run(&["--json", "runs", "list"]).json()["data"].as_array().unwrap().len(), 2);
}

#[test]
fn events_of_a_file_are_tried_without_effects() {
    let p = Project::new();
    let events = p.root().join("events.jsonl");
    let line = |name: &str| format!(r#"{{"source": "x", "event_type": "demo.hello", "payload": {{"name": "{name}"}}}}"#);
    std::fs::write(&events, format!("{}\n{}\n", line("Ada"), line("Grace"))).unwrap();
    let out = p.run(&["dev", "replay", "--events", events.to_str().unwrap()]).ok().out;
    assert_eq!(out.matches("notes.write_greeting").count(), 2, "{out}");
    assert!(out.contains("Nothing was called"), "{out}");
    assert!(!p.root().join("notes").exists() && !p.root().join(".tollgate").exists(), "nothing is left behind");
}

#[test]
fn the_demo_adds_up_and_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/github-triage");
    let at = folder.path().join("demo");
    for _ in 0..2 {
        let tally = tollgate(&["--json", "demo", "--example", example, "--folder", at.to_str().unwrap()]).json();
        assert_eq!(tally["faults"], serde_json::json!([]));
        assert_eq!((&tally["events"]["stored"], &tally["events"]["second_delivery_repeated"]), (&255.into(), &255.into()));
        assert_eq!(tally["tracker"]["doubled"], 0);
        assert!(tally["tracker"]["lost"].as_u64() > Some(0) && tally["tracker"]["answered_late"].as_u64() > Some(0), "{tally}");
    }
    let other = tollgate(&["demo", "--example", example, "--folder", folder.path().to_str().unwrap()]);
    assert!(other.err.contains("was not made by the demo"), "{}", other.err);
}
