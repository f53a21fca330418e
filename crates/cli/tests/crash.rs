//! The crash run in short: eight kills, two hundred actions, on the program as it is built. The long form is `make crash`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::process::{Command, Output};

fn crash(args: &[&str]) -> (Output, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["bench", "crash", "--kills", "8", "--actions", "200", "--json", "--dir"]).arg(dir.path()).args(args);
    (command.output().unwrap(), dir)
}

fn holds(out: &Output) -> serde_json::Value {
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stdout));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["broken"], serde_json::json!([]));
    assert_eq!(report["events_acknowledged"], 200);
    assert_eq!(report["kills"], 9, "the eight, and the one after the last action");
    let grades = report["grades"].as_array().unwrap();
    let sum = |name: &str| grades.iter().map(|g| g[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("actions"), sum("doubled"), sum("lost")), (200, 0, 0));
    assert!(sum("answers_lost") > 10 && sum("calls") > 200, "the upstream was too kind: {report}");
    report
}

#[test]
fn every_law_holds_over_kills() {
    let (out, dir) = crash(&["--seed", "7"]);
    let report = holds(&out);
    assert!(report["verdicts_recomputed"].as_u64().unwrap() >= 400, "{report}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a run that holds leaves nothing behind");
}

#[cfg(feature = "lossy")]
#[test]
fn every_law_holds_over_kills_that_take_unsynced_writes() {
    let report = holds(&crash(&["--seed", "7", "--lossy"]).0);
    assert!(report["writes_held_back"].as_u64().unwrap() > 0, "{report}");
}

#[cfg(feature = "lossy")]
#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let (out, _dir) = crash(&["--seed", "7", "--lossy", "--lying"]);
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stdout));
}

#[cfg(not(feature = "lossy"))]
#[test]
fn without_the_layer_it_says_how_to_get_it() {
    let (out, _dir) = crash(&["--lossy"]);
    assert_eq!(out.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8_lossy(&out.stderr), @r#"{"error":{"code":"wrong_command_line","message":"this build has no lossy file layer: run `cargo run --release --features lossy -p tollgate -- bench crash --lossy`","exit_code":2}}"#);
}
