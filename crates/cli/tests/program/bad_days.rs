//! What goes wrong on a user's machine, and what the program says.

use std::net::TcpListener;

use rustix::process::Signal;

use super::support::{Project, tollgate};

#[test]
fn wrong_command_lines_and_folders() {
    let gone = tollgate(&["--project", "/no/such/folder", "check"]);
    assert_eq!(gone.code, 3);
    insta::assert_snapshot!(gone.err, @"
    error: the project has 1 fault
      /no/such/folder: this folder does not exist (`tollgate init /no/such/folder` makes a project)
    ");
    let nothing = tollgate(&["--project", "/no/such/folder", "runs", "list"]);
    assert_eq!(nothing.code, 6);
    insta::assert_snapshot!(nothing.err, @"error: there is no data folder `/no/such/folder/.tollgate` yet, and no server runs: start `tollgate dev`");
    let kind = tollgate(&["schema", "Operater"]);
    assert_eq!(kind.code, 2);
    insta::assert_snapshot!(kind.err, @"error: there is no spec kind `Operater` (did you mean `Operator`?)");
    let port = Project::new().run(&["dev", "--listen", "8080"]);
    assert_eq!(port.code, 2);
    insta::assert_snapshot!(port.err, @"error: `8080` is not an address with a port: write it like 127.0.0.1:3001");
    let unnamed = tollgate(&["init", "/no/such/folder", "--name", ""]);
    assert_eq!(unnamed.code, 2);
    insta::assert_snapshot!(unnamed.err, @"error: --name is empty: give the project a name");
    let demo = tollgate(&["demo", "--example", "/no/such/folder"]);
    assert_eq!(demo.code, 1);
    insta::assert_snapshot!(demo.err, @"error: there is no example at `/no/such/folder`: run the demo in a checkout of Tollgate's repository, or name the folder with --example");
    assert!(!std::path::Path::new(".tollgate-demo").exists(), "a demo that does not begin leaves nothing");
    let neither = tollgate(&["approvals", "resolve", "act_x"]);
    assert_eq!(neither.code, 2);
    assert!(neither.err.contains("<--happened|--did-not-happen>"), "{}", neither.err);
    let nobody = tollgate(&["--url", "http://127.0.0.1:1", "runs", "list"]);
    insta::assert_snapshot!(nobody.err, @"error: --url needs a key: set TOLLGATE_API_KEY");
}

#[test]
fn init_heeds_the_project_folder_and_a_project_without_policies_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("my shop");
    let made = tollgate(&["--project", root.to_str().unwrap(), "init"]).ok();
    assert!(made.out.contains("my shop' dev\n"), "{}", made.out);
    assert!(root.join("tollgate.toml").exists());
    let check = |root: &std::path::Path| tollgate(&["--project", root.to_str().unwrap(), "check"]).ok().out;
    assert_eq!(check(&root), "my shop: 1 connector, 2 tools, 1 operator, 1 policy file; no faults\n");
    std::fs::remove_dir_all(root.join("policies")).unwrap();
    assert!(check(&root).ends_with("  warning: there are no policies: every action will be blocked\n"));
}

#[test]
fn a_broken_project_never_starts() {
    let p = Project::new();
    p.write(
        "specs/greeter.yaml",
        "kind: Operator\nname: greeter\non: [demo.hello]\nwhen: event.payload.name ==\npropose:\n  - tool: notes.wriet\n    entity_key: \"${event.payload.name\"\n    idempotency_key: x\n",
    );
    p.write("policies/main.cedar", "permit (principal == Operator::\"greeter\", action == Action::\"notes.write_greting\", resource);\n");
    for command in ["check", "dev"] {
        let refused = p.run(&[command]);
        assert_eq!((refused.code, refused.out.as_str()), (3, ""));
        insta::assert_snapshot!("faults", refused.err);
    }
    assert!(!p.root().join(".tollgate").exists());
}

#[test]
fn a_port_and_a_folder_belong_to_one_process() {
    let p = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let refused = p.run(&["dev", "--listen", &addr]);
    assert!(refused.err.contains("another process listens there"), "{}", refused.err);
    let _dev = p.dev();
    let second = p.run(&["dev", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 6);
    assert!(second.err.contains("is in use by another process"), "{}", second.err);
}

#[test]
fn a_kill_leaves_nothing_that_needs_a_hand() {
    let p = Project::new();
    let mut dev = p.dev();
    p.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    dev.signal(Signal::KILL);
    assert!(p.root().join(".tollgate/server.json").exists(), "it had no time to clean up");
    // The file of a server that is gone misleads nobody.
    assert_eq!(p.run(&["--json", "events", "list"]).json()["data"].as_array().unwrap().len(), 1);
    let mut dev = p.dev();
    p.until(&["--json", "runs", "list"], |v| v["data"][0]["state"] == "succeeded");
    assert_eq!(dev.signal(Signal::INT).code, 0, "Ctrl-C is a clean stop");
}

#[test]
fn a_store_that_is_none_or_damaged_or_newer_is_left_alone() {
    let p = Project::new();
    p.dev().stop();
    let store = p.root().join(".tollgate/store.db");
    let good = std::fs::read(&store).unwrap();
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&999_u32.to_be_bytes());
    let mut damaged = good.clone();
    damaged[100..400].fill(0xff);
    for (bytes, said) in [(newer, "has version 999"), (b"hello".repeat(400), "is not a Tollgate store"), (damaged, "damaged")] {
        std::fs::write(&store, &bytes).unwrap();
        let refused = p.run(&["dev", "--listen", "127.0.0.1:0"]);
        assert_eq!(refused.code, 1, "{}", refused.err);
        assert!(refused.err.contains(said), "{}", refused.err);
        assert_eq!(std::fs::read(&store).unwrap(), bytes, "nothing was changed");
    }
}
