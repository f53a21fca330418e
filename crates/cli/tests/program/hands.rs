//! What people and scripts do with their hands: one action, a proof for somebody else, a pipe that closes.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{Project, tollgate};

fn id(v: &Value, pointer: &str) -> String {
    v.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {v}")).to_owned()
}

const PERMITS: &str = "@id(\"people-greet\")\npermit (principal, action == Action::\"notes.write_greeting\", resource);\n\
    @id(\"people-ask\")\n@require_approval(\"ops\")\npermit (principal, action == Action::\"notes.write_shout\", resource) when { context.args.name != \"Eve\" };\n";

/// A key that signed nothing here.
const RFC_8032_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn submit<'a>(tool: &'a str, args: &'a str, key: &'a str) -> Vec<&'a str> {
    vec!["actions", "submit", tool, "--args", args, "--entity-key", key, "--idempotency-key", key]
}

#[test]
fn an_action_by_hand_ends_with_a_code_of_its_own() {
    let p = Project::new();
    p.write("policies/main.cedar", PERMITS);
    let dev = p.dev();
    let ada = submit("notes.write_greeting", r#"{"name": "Ada", "text": "Hi"}"#, "ada");
    assert!(p.run(&ada).ok().out.ends_with("  applied\n"));
    assert!(p.run(&ada).ok().out.ends_with("  deduplicated (already_applied)\n"));
    assert_eq!(std::fs::read_to_string(p.root().join("notes/greetings/Ada.md")).unwrap(), "Hi\n");

    let refused = p.run(&submit("notes.write_shout", r#"{"name": "Eve"}"#, "eve"));
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.out.ends_with("  refused (not_permitted)\n"), "{}", refused.out);

    let asked = p.run(&submit("notes.write_shout", r#"{"name": "Bob"}"#, "bob")).ok().out;
    let request = asked.split_whitespace().last().unwrap().to_owned();
    assert!(asked.contains("waits for a person: tollgate approvals show apr_"), "{asked}");
    p.run(&["approvals", "deny", &request]).ok();
    let denied = p.run(&submit("notes.write_shout", r#"{"name": "Bob"}"#, "bob"));
    assert_eq!(denied.code, 4, "{}{}", denied.out, denied.err);
    let denied: Value = p.run(&["--json", "actions", "list", "--disposition", "denied"]).json();
    let denied = id(&denied, "/data/0/id");
    assert_eq!(p.run(&["approvals", "lift", &denied]).ok().out, format!("{denied}: the denial is lifted\n"));
    assert_eq!(p.run(&["approvals", "lift", &denied]).ok().out, format!("{denied}: no denial stood\n"));
    let again = p.run(&submit("notes.write_shout", r#"{"name": "Bob"}"#, "bob")).ok().out;
    assert!(again.contains("waits for a person"), "{again}");
    assert!(!p.root().join("notes/shouts").exists());

    let unfit = p.run(&["--json", "actions", "submit", "notes.write_greeting", "--args", "{}"]);
    assert_eq!(unfit.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&unfit.out).unwrap()["disposition"], "invalid");
    let error: Value = serde_json::from_str(&unfit.err).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["exit_code"]), (&"failed".into(), &1.into()));
    let typo = p.run(&["actions", "submit", "notes.write_greting"]);
    assert!(typo.err.contains("did you mean `notes.write_greeting`?"), "{}", typo.err);
    for wrong in [["--args", "{name"], ["--wait", "2h"], ["--amount-minor", "3"]] {
        assert_eq!(p.run(&["actions", "submit", "notes.write_greeting", wrong[0], wrong[1]]).code, 2, "{wrong:?}");
    }
    let list = p.run(&["--json", "actions", "list", "--disposition", "refused"]).json();
    let shown = p.run(&["actions", "show", &id(&list, "/data/0/id")]).ok().out;
    assert!(shown.contains("service_account:cli") && shown.contains("\"name\": \"Eve\""), "{shown}");
    dev.stop();
    let later = p.run(&submit("notes.write_greeting", r#"{"name": "Zoe", "text": "Hi"}"#, "zoe")).ok();
    assert!(later.err.contains("no server runs"), "{}", later.err);
}

#[test]
fn somebody_else_verifies_with_a_key_and_a_checkpoint() {
    let p = Project::new();
    let _dev = p.dev();
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    let receipts = p.until(&["--json", "receipts", "list"], |v| v["data"][0]["leaf"]["body"]["disposition"] == "applied");
    let shown = p.run(&["receipts", "show", &id(&receipts, "/data/0/id")]).ok().out;
    assert!(shown.contains("  disposition      applied\n") && shown.contains("ALLOW (permitted), by greetings\n"), "{shown}");
    assert!(shown.contains("  key              greet:Ada\n"), "{shown}");

    let at = |name: &str| p.root().join(name).to_str().unwrap().to_owned();
    let export = at("export.jsonl");
    assert_eq!(p.run(&["--json", "receipts", "export", "-o", &export]).json()["file"], export);
    std::fs::write(at("key"), p.run(&["receipts", "key"]).ok().out).unwrap();
    std::fs::write(at("witness"), p.run(&["receipts", "checkpoint"]).ok().out).unwrap();
    let verified = tollgate(&["receipts", "verify", &export, "--key", &at("key"), "--checkpoint", &at("witness")]).ok().out;
    assert!(verified.starts_with(&format!("{export} verifies\n")) && verified.contains("the witness saw"), "{verified}");
    assert!(!verified.contains("taken from the file"), "{verified}");
    let other = tollgate(&["receipts", "verify", &export, "--key", RFC_8032_KEY]);
    assert_eq!(other.code, 5, "{}", other.err);
    assert_eq!(tollgate(&["receipts", "verify", p.root().to_str().unwrap()]).code, 1);
}

#[test]
fn what_cannot_be_printed_is_not_lost_in_silence() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let ran = command.arg("schema").stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output took not everything"), "{said}");
    // A reader that had enough is no failure.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let mut child = command.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), ran.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn what_is_typed_stays_where_it_was_typed() {
    let p = Project::new();
    let _dev = p.dev();
    for (args, said) in [
        (vec!["runs", "list", "--state", "failed&limit=3"], "`failed&limit=3` is not one of"),
        (vec!["runs", "show", "../events"], "`../events` is not a run id"),
        (vec!["operators", "pause", "a/b"], "there is no operator `a/b`"),
        (vec!["secrets", "rm", "a?b"], "no secret `a?b`"),
    ] {
        let refused = p.run(&args);
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    p.run(&["events", "send", "other.thing"]).ok();
    p.run(&["events", "send", "other.thing"]).ok();
    let first = p.run(&["events", "list", "--limit", "1"]).ok();
    let cursor = first.err.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert!(first.err.starts_with("there are more: add --cursor "), "{}", first.err);
    let second = p.run(&["events", "list", "--limit", "1", "--cursor", &cursor]).ok();
    assert!(second.out != first.out && second.err.is_empty(), "{}{}", second.out, second.err);
    assert_eq!(p.run(&["runs", "list"]).ok().out, "no runs\n");
}
