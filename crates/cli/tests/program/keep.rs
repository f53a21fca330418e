//! A backup that comes back: what was forgotten is not done twice, and nothing goes on before a person has said what became of it.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tollgate_private_postgres::{Programs, Server};

use super::processes::Shared;
use super::support::{Process, Project, Ran, tollgate_env};

const PERMITS: &str = "@id(\"by-hand\") permit (principal, action == Action::\"notes.write_greeting\", resource);\n\
    @id(\"people-ask\")\n@require_approval(\"ops\")\npermit (principal, action == Action::\"notes.write_shout\", resource);\n";

fn shout(p: &Project, name: &str) -> Ran {
    let args = format!(r#"{{"name": "{name}"}}"#);
    p.run(&["--json", "actions", "submit", "notes.write_shout", "--args", &args, "--entity-key", name, "--idempotency-key", name])
}

fn greet(p: &Project, name: &str) -> Ran {
    let args = format!(r#"{{"name": "{name}", "text": "Hi"}}"#);
    p.run(&["--json", "actions", "submit", "notes.write_greeting", "--args", &args, "--entity-key", name, "--idempotency-key", name])
}

fn waiting(p: &Project) -> String {
    let open = p.until(&["--json", "approvals", "list"], |v| v["approvals"].as_array().is_some_and(|a| !a.is_empty()));
    open["approvals"][0]["id"].as_str().unwrap().to_owned()
}

/// What an epoch says of the live log: the entries that are missing, and the steps that are not resolved.
fn held(epoch: &Value) -> (u64, Vec<String>) {
    let log = epoch["logs"].as_array().unwrap().iter().find(|l| l["mode"] == "live").unwrap();
    let steps = epoch["steps"].as_array().unwrap().iter().filter(|s| s["resolved"].is_null());
    (log["missing"].as_u64().unwrap(), steps.map(|s| s["step"].as_str().unwrap().to_owned()).collect())
}

fn is_held(ran: &Ran) {
    let said = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, 6, "{said}");
    assert!(said.contains("service_unavailable") && said.contains("epoch 1 holds all writes"), "{said}");
}

#[test]
fn an_embedded_store_comes_back_from_a_backup_that_was_made_while_it_ran() {
    let p = Project::new();
    p.write("policies/main.cedar", PERMITS);
    let dev = p.dev();
    greet(&p, "Ada").ok();
    shout(&p, "Bob").ok();
    let request = waiting(&p);
    let file = p.root().join("backup.db").display().to_string();
    assert!(p.run(&["--json", "db", "backup", &file]).json()["bytes"].as_u64().unwrap() > 0);
    let again = p.run(&["db", "backup", &file]);
    assert!(again.code == 1 && again.err.contains("backup.db"), "it is never overwritten: {}", again.err);
    let stats = p.run(&["--json", "db", "stats"]).json();
    assert_eq!((&stats["engine"], &stats["epoch"]), (&"sqlite".into(), &0.into()), "{stats}");
    // What the store will have forgotten, and the world has.
    p.run(&["approvals", "approve", &request]).ok();
    p.until(&["--json", "receipts", "list"], |l| l["data"].as_array().unwrap().len() == 2);
    assert!(p.root().join("notes/shouts").exists());
    assert_eq!(dev.stop().code, 0);

    // Put back as if nothing had happened, it is refused: the checkpoint beside it is of a longer log.
    let store = p.root().join(".tollgate/store.db");
    let newest = std::fs::read(&store).unwrap();
    std::fs::copy(&file, &store).unwrap();
    let behind = p.run(&["dev", "--listen", "127.0.0.1:0"]);
    assert!(behind.code == 1 && behind.err.contains("was signed") && behind.err.contains("tollgate db epoch begin"), "{}", behind.err);
    std::fs::write(&store, newest).unwrap();
    let there = p.run(&["db", "restore", &file]);
    assert_eq!(there.code, 1, "a store is there: {}", there.out);

    let kept = p.run(&["--json", "db", "restore", &file, "--replace"]).json();
    assert!(std::path::Path::new(kept["kept"].as_str().unwrap()).exists(), "{kept}");
    let (missing, open) = held(&p.run(&["--json", "db", "epoch", "list"]).json());
    assert!(missing > 0 && open.len() == 1 && open[0].starts_with("act_"), "{missing} {open:?}");
    let dev = p.dev();
    is_held(&greet(&p, "Eve"));
    assert_eq!(p.run(&["--json", "actions", "list"]).json()["data"].as_array().unwrap().len(), 2, "reads work");
    assert_eq!(p.run(&["--json", "db", "stats"]).json()["held_by_epoch"], true);
    assert_eq!(dev.stop().code, 0);
    let early = p.run(&["db", "epoch", "end"]);
    assert!(early.code != 0 && early.err.contains("1 steps are not resolved"), "{}", early.err);
    p.run(&["db", "epoch", "resolve", &open[0], "--applied"]).ok();
    p.run(&["db", "epoch", "end"]).ok();

    let dev = p.dev();
    greet(&p, "Eve").ok();
    let done = p.run(&["--json", "actions", "list"]).json();
    let mut ends: Vec<&str> = done["data"].as_array().unwrap().iter().map(|a| a["disposition"].as_str().unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["applied", "applied", "deduplicated"], "{done}");
    // Its key is taken: it is not asked for again.
    assert_eq!(shout(&p, "Bob").json()["disposition"], "deduplicated");
    let export = p.root().join("log.jsonl").display().to_string();
    p.run(&["receipts", "export", "--output", &export]).ok();
    p.run(&["receipts", "verify", &export]).ok();
    assert_eq!(dev.stop().code, 0);
}

/// The same on Postgres, with its own tools, a control plane and a worker.
#[test]
fn a_database_comes_back_from_a_dump() {
    let it = Shared::new();
    it.project.write("policies/main.cedar", PERMITS);
    let p = &it.project;
    let mut serve = it.serve();
    let mut worker = it.worker();
    greet(p, "Ada").ok();
    worker.signal(Signal::TERM);
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Bob"}"#]).ok();
    let dump = p.root().join("tollgate.dump").display().to_string();
    let programs = Programs::find().unwrap();
    let run = |program: &Option<std::path::PathBuf>, args: &[&str]| {
        let out = Command::new(program.as_ref().unwrap()).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    run(&programs.pg_dump, &["--format=custom", "--schema=tollgate", "--file", &dump, "--dbname", &it.database.url()]);
    // What the dump forgets: the run is planned and carried out.
    let mut worker = it.worker();
    p.until(&["--json", "receipts", "list"], |l| l["data"].as_array().unwrap().len() == 2);
    for process in [&mut worker, &mut serve] {
        assert_eq!(process.signal(Signal::TERM).code, 0);
    }

    let other = Server::shared().unwrap().fresh_database().unwrap();
    run(&programs.pg_restore, &["--exit-on-error", "--dbname", &other.url(), &dump]);
    let it = it.moved(other);
    let p = &it.project;
    it.migrate().ok();
    let (url, root) = (it.url("serve"), p.root());
    let on = |args: &[&str]| {
        let all: Vec<&str> = ["--project", root.to_str().unwrap(), "--json"].iter().chain(args).copied().collect();
        tollgate_env(&[("DATABASE_URL", &url)], &all)
    };
    let behind = on(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(behind.code == 1 && behind.err.contains("was signed") && behind.err.contains("tollgate db epoch begin"), "{}", behind.err);
    let begun = on(&["db", "epoch", "--store", "postgres", "begin"]).json();
    let (missing, open) = held(&begun);
    assert!(missing > 0 && open.len() == 1 && open[0].starts_with("run_"), "{missing} {open:?}");
    let stats = on(&["db", "stats", "--store", "postgres"]).json();
    assert_eq!((&stats["engine"], &stats["ready"], &stats["held_by_epoch"]), (&"postgres".into(), &1.into(), &true.into()), "{stats}");

    let (mut serve, mut worker) = (it.serve(), it.worker());
    is_held(&greet(p, "Eve"));
    is_held(&p.run(&["--json", "events", "send", "demo.hello", "--payload", r#"{"name": "Eve"}"#]));
    assert_eq!(worker.signal(Signal::TERM).code, 0);
    assert_eq!(serve.signal(Signal::TERM).code, 0);
    assert_eq!(it.database.psql("SELECT count(*) FROM tollgate.ready").unwrap(), "1", "the worker took nothing up");

    on(&["db", "epoch", "--store", "postgres", "resolve", "--all-applied"]).ok();
    on(&["db", "epoch", "--store", "postgres", "end"]).ok();
    let (mut serve, mut worker): (Process, Process) = (it.serve(), it.worker());
    assert_eq!(greet(p, "Eve").json()["disposition"], "applied");
    assert_eq!(greet(p, "Ada").json()["disposition"], "deduplicated");
    let runs = p.run(&["--json", "runs", "list"]).json();
    let cancelled = runs["data"].as_array().unwrap().iter().filter(|r| r["state"] == "cancelled").count();
    assert_eq!(cancelled, 1, "{runs}");
    for process in [&mut worker, &mut serve] {
        assert_eq!(process.signal(Signal::TERM).code, 0);
    }
}

#[test]
fn what_is_old_goes_and_its_receipts_verify_from_the_archive() {
    let p = Project::new();
    let dev = p.dev();
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    p.until(&["--json", "runs", "list"], |v| v["data"][0]["state"] == "succeeded");
    assert_eq!(dev.stop().code, 0);
    let usage = p.run(&["db", "retain", "--ledger", "1s"]);
    assert!(usage.code == 2 && usage.err.contains("--archive"), "{}", usage.err);
    let usage = p.run(&["db", "retain"]);
    assert!(usage.code == 2 && usage.err.contains("no age is known"), "{}", usage.err);
    let archive = p.root().join("archive").display().to_string();
    let young = p.run(&["db", "retain", "--events", "1d", "--runs", "1d", "--ledger", "1d", "--archive", &archive]).ok().out;
    assert!(young.contains("nothing is old enough") || young.contains("too young"), "{young}");
    let done = p.run(&["--json", "db", "retain", "--runs", "0s", "--compact"]).json();
    assert_eq!((&done["gone"]["runs"], done["compacted"]["after"].is_u64()), (&1.into(), true), "{done}");
}

/// The short form of `bench retention`, on both engines.
#[test]
fn what_is_retired_is_gone_and_proved_by_the_archive() {
    let server = Server::shared().unwrap();
    let url = server.url("postgres");
    for (store, engine) in [("embedded", "sqlite"), (url.as_str(), "postgres")] {
        let it = tollgate_env(&[], &["--json", "bench", "retention", "--events", "400", "--store", store]).json();
        assert_eq!((&it["store"], &it["events"]), (&engine.into(), &400.into()), "{it}");
        // Whole tiles of 256 entries, three of them an event.
        let entries = it["entries"].as_u64().unwrap();
        assert!(entries >= 1200 && (250..=400).contains(&it["verified"].as_u64().unwrap()), "{it}");
        assert!(it["retired_bytes"].as_u64() < it["full_bytes"].as_u64(), "{it}");
        assert!(it["receipt"].as_str().unwrap().starts_with("rc_"), "{it}");
    }
}
