//! Many processes over one Postgres in short: a dozen seconds of trouble, and one rolling restart, on the program as it is built. The long
//! forms are `tollgate bench chaos` and `tollgate bench rolling`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::process::Command;

use serde_json::{Value, json};

/// What a run reports; it leaves nothing behind.
fn bench(args: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("--json").arg("bench").args(args).arg("--dir").arg(dir.path());
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stdout));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a run that holds leaves nothing behind");
    serde_json::from_slice(&out.stdout).unwrap()
}

fn sum(report: &Value, name: &str) -> u64 {
    report["grades"].as_array().unwrap().iter().map(|g| g[name].as_u64().unwrap()).sum()
}

#[test]
fn every_law_holds_while_processes_die_and_stop_and_the_database_too() {
    let report = bench(&["chaos", "--seconds", "12", "--actions", "300", "--graphs", "30", "--lease", "1", "--seed", "7"]);
    assert_eq!(report["broken"], json!([]));
    assert_eq!((&report["events_acknowledged"], &report["graphs"], &report["postgres_restarts"]), (&json!(300), &json!(30), &json!(1)));
    assert_eq!((sum(&report, "actions"), sum(&report, "doubled"), sum(&report, "lost")), (330, 0, 0));
    for trouble in ["workers_killed", "workers_stopped", "serves_killed", "backends_terminated"] {
        assert!(report[trouble].as_u64().unwrap() > 0, "there was too little trouble: {report}");
    }
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let report = bench(&["rolling", "--rate", "40", "--rounds", "1", "--drain", "500ms", "--seed", "7"]);
    assert_eq!((&report["broken"], &report["requests_failed"]), (&json!([]), &json!(0)));
    assert_eq!((&report["serves_restarted"], &report["workers_restarted"]), (&json!(2), &json!(3)));
    assert_eq!(report["events_acknowledged"].as_u64().unwrap(), sum(&report, "actions"), "every event is stored once, and worked on");
    assert!(sum(&report, "actions") > 0);
}
