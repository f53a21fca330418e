//! Projects as people write them: what loads, and every fault with its place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::fs;
use std::path::Path;

use tollgate_core::spec::{Effect, FilesOp, Grade, ToolRequest};
use tollgate_spec::{Kind, Project, scaffold, schema};

/// A project of these files; faults as lines.
fn faults(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (_, faults) = Project::load_lenient(folder.path());
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const SHOP: &str = "\
kind: Connector
name: shop
tools:
  hold:
    grade: keyed
    key_ttl: 24h
    input: { type: object, required: [order], properties: { order: { type: string } } }
    request: { method: POST, url: 'http://shop/${args.order}', idempotency_header: Idempotency-Key }
";

#[test]
fn the_example_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/github-triage");
    let project = Project::load(&root).unwrap_or_else(|f| panic!("{f:#?}"));
    assert_eq!(project.settings.name, "github-triage");
    assert_eq!(project.bundle.operators.len(), 9);
    assert_eq!(project.bundle.bindings["issues.label"], "tracker.add_label");
    let write = &project.bundle.tools["reports.write_push"];
    assert_eq!((write.effect, write.grade), (Effect::Write, Grade::Verifiable));
    assert_eq!(write.verify.as_ref().unwrap().tool, "write_push.check");
    assert!(matches!(&project.bundle.tools["reports.write_push.check"].request, ToolRequest::Files(FilesOp::Check { .. })));
    assert_eq!(write.input["additionalProperties"], false, "objects are closed unless they say otherwise");
    assert_eq!(project.bundle.tools["tracker.has_label"].effect, Effect::Read);
    assert_eq!(project.bundle.connectors["tracker"].config["base"], "http://127.0.0.1:4010", "settings override the connector");
}

#[test]
fn a_new_project_loads_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let files = scaffold(&folder.path().join("new"), "it's \"mine\"").unwrap();
    assert!(files.iter().all(|f| f.is_file()));
    let project = Project::load(&folder.path().join("new")).unwrap_or_else(|f| panic!("{f:#?}"));
    assert_eq!(project.settings.name, "it's mine");
    fs::write(folder.path().join("new/specs/notes.yaml"), "mine").unwrap();
    let again = scaffold(&folder.path().join("new"), "x").unwrap_err().to_string();
    assert!(again.contains("is there already, and nothing was written"), "{again}");
    assert_eq!(fs::read_to_string(folder.path().join("new/specs/notes.yaml")).unwrap(), "mine");
}

#[test]
fn what_is_no_project_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let told = |path: &Path| Project::load(path).unwrap_err()[0].to_string().replace(&place, "ROOT");
    insta::assert_snapshot!(told(&folder.path().join("gone")), @"ROOT/gone: this folder does not exist (`tollgate init ROOT/gone` makes a project)");
    insta::assert_snapshot!(told(folder.path()), @"ROOT: this folder is not a project: it holds neither `tollgate.toml` nor `specs` (`tollgate init ROOT` makes a project)");
}

#[test]
fn every_fault_at_once_with_its_place() {
    let operator = "\
kind: Operator
name: Holder
on: [order.held, 'a..b']
wen: event.payload.x
propose:
  - tool: shop.hodl
    args: { order: 1 }
  - tool: shop.hold
    idempotency_key: \"hold:${event.id}\"
";
    insta::assert_snapshot!(faults(&[("specs/shop.yaml", SHOP), ("specs/op.yaml", operator)]));
}

#[test]
fn tools_say_what_their_grade_needs() {
    let connector = "\
kind: Connector
name: shop
tools:
  keyed_without:
    grade: keyed
    request: { method: POST, url: http://shop }
  verifiable_without:
    grade: verifiable
    request: { method: POST, url: http://shop }
  asks_a_write:
    grade: verifiable
    verify: { tool: keyed_without, settle: 10 }
    request: { method: POST, url: http://shop }
  asks_nobody:
    grade: verifiable
    verify: { tool: has_it, settle: 10s }
    request: { methd: POST, url: http://shop }
  reads_with_grade:
    effect: read
    grade: keyed
    request: { method: GET, url: http://shop }
  file_in_http:
    request: { op: write, path: x, content: y }
";
    insta::assert_snapshot!(faults(&[("specs/shop.yaml", connector)]));
}

#[test]
fn what_takes_back_is_another_write() {
    let connector = "\
kind: Connector
name: shop
tools:
  hold:
    undo: { tool: relase, args: { hold: '${output.id}' } }
    request: { method: POST, url: http://shop }
  release:
    request: { method: POST, url: http://shop }
  itself:
    undo: { tool: itself }
    request: { method: POST, url: http://shop }
  by_a_read:
    undo: { tool: shop.state }
    request: { method: POST, url: http://shop }
  state:
    undo: { tool: release }
    request: { method: GET, url: http://shop }
  back_and_forth:
    undo: { tool: hold, arg: {} }
    request: { method: POST, url: http://shop }
";
    insta::assert_snapshot!(faults(&[("specs/shop.yaml", connector)]));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("specs")).unwrap();
    let undoable = SHOP.replace("    request:", "    undo: { tool: release, args: { order: '${args.order}' } }\n    request:");
    let release = "  release:\n    request: { method: POST, url: http://shop }\n";
    fs::write(folder.path().join("specs/shop.yaml"), format!("{undoable}{release}")).unwrap();
    let tools = Project::load(folder.path()).unwrap().bundle.tools;
    assert_eq!(tools["shop.hold"].undo.as_ref().map(|u| u.tool.as_str()), Some("release"));
    assert_eq!(tools["shop.release"].undo, None);
}

#[test]
fn yaml_that_is_none_and_yaml_that_surprises() {
    let tabs = "kind: Operator\n\tname: x\n";
    let twice = "kind: Operator\nname: a\nname: b\non: [x]\npropose: [{ tool: shop.hold, entity_key: a, idempotency_key: b }]\n";
    let anchor = "kind: Operator\nname: &a x\non: [*a]\npropose: []\n";
    let open = "kind: Operator\nname: [x\n";
    let kinds = "kind: Opertor\nname: x\n---\nname: y\n---\n- 1\n";
    insta::assert_snapshot!(faults(&[
        ("specs/anchor.yaml", anchor),
        ("specs/kinds.yaml", kinds),
        ("specs/open.yaml", open),
        ("specs/shop.yaml", SHOP),
        ("specs/tabs.yaml", tabs),
        ("specs/twice.yaml", twice),
    ]));
}

#[test]
fn settings_have_places_too() {
    let toml = "[server]\nlisten = 3001\n\n[bindings]\n\"orders.hold\" = \"shop.hodl\"\n\"shop.hold\" = \"shop.hold\"\n\n[conectors.shop.config]\nbase = 1\n";
    insta::assert_snapshot!(faults(&[("tollgate.toml", toml), ("specs/shop.yaml", SHOP)]));
    insta::assert_snapshot!(faults(&[("tollgate.toml", "[server\nlisten = 1"), ("specs/shop.yaml", SHOP)]));
    insta::assert_snapshot!(faults(&[
        ("tollgate.toml", "[data]\ndir = \"specs/data\"\n[server]\nlisten = \"here\""),
        ("specs/shop.yaml", SHOP)
    ]));
}

#[test]
fn schemas_of_arguments_are_looked_at() {
    let connector = "\
kind: Connector
name: shop
tools:
  a:
    identity: [ordr]
    input: { type: object, requird: [order], properties: { order: { type: strng } } }
    request: { method: POST, url: http://shop }
  b:
    input: { type: array }
    request: { method: POST, url: http://shop }
  c:
    input: { type: object, required: [order], properties: { ordr: { type: string, pattern: '(' } } }
    request: { method: POST, url: http://shop }
";
    insta::assert_snapshot!(faults(&[("specs/shop.yaml", connector)]));
}

#[test]
fn a_name_is_given_once() {
    insta::assert_snapshot!(faults(&[("specs/a.yaml", SHOP), ("specs/b.yaml", SHOP)]));
}

#[test]
fn what_is_faulty_is_left_out_and_the_rest_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("specs")).unwrap();
    let broken = format!("{SHOP}  bad:\n    request: {{ method: POST }}\n");
    fs::write(folder.path().join("specs/shop.yaml"), broken).unwrap();
    let (project, faults) = Project::load_lenient(folder.path());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(project.unwrap().bundle.tools.keys().collect::<Vec<_>>(), ["shop.hold"]);
}

#[test]
fn places_of_compilers_become_places_of_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("specs")).unwrap();
    fs::write(folder.path().join("specs/shop.yaml"), SHOP).unwrap();
    let (project, _) = Project::load_lenient(folder.path());
    let project = project.unwrap();
    let (file, at) = project.locate_connector("shop", Some("shop.hold"), "request.url", 1, 13);
    let line = SHOP.lines().nth(at.line as usize - 1).unwrap();
    assert_eq!(file, "specs/shop.yaml");
    assert_eq!(&line[at.column as usize - 1..][..13], "${args.order}");
}

#[test]
fn links_lead_nowhere_outside() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("x.yaml"), "kind: Connector\nname: x\n").unwrap();
    fs::create_dir(folder.path().join("specs")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.yaml"), folder.path().join("specs/x.yaml")).unwrap();
    let told = Project::load(folder.path()).unwrap_err()[0].to_string();
    assert!(told.contains("specs/x.yaml: this link leads out of the project"), "{told}");
}

#[test]
fn the_published_schemas_say_what_the_checker_says() {
    for kind in Kind::ALL {
        let schema = schema(kind);
        assert!(jsonschema::meta::is_valid(&schema), "{kind:?}");
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    let validator = jsonschema::validator_for(&schema(Kind::Connector)).unwrap();
    let tool =
        |request: serde_json::Value| serde_json::json!({"kind": "Connector", "name": "shop", "tools": {"hold": {"request": request}}});
    assert!(validator.is_valid(&tool(serde_json::json!({"method": "POST", "url": "http://shop"}))));
    assert!(!validator.is_valid(&tool(serde_json::json!({"methd": "POST", "url": "http://shop"}))));
}

#[test]
fn what_steps_wait_for_is_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let waits =
        |labels: &str| format!("{}    requires: [{labels}]\n    priority: 3\n    concurrency: {{ limit: 5, key: args.order }}\n", SHOP);
    fs::create_dir_all(folder.path().join("specs")).unwrap();
    fs::write(folder.path().join("tollgate.toml"), "[limits]\nconcurrency = 20\n").unwrap();
    fs::write(folder.path().join("specs/shop.yaml"), waits("gpu, eu")).unwrap();
    let project = Project::load(folder.path()).unwrap_or_else(|f| panic!("{f:#?}"));
    assert_eq!(project.bundle.concurrency, Some(20));
    let waits_for = &project.bundle.tools["shop.hold"].dispatch;
    assert_eq!(waits_for.requires.iter().map(String::as_str).collect::<Vec<_>>(), ["eu", "gpu"]);
    assert_eq!(
        (waits_for.priority, waits_for.concurrency.as_ref().map(|c| (c.limit, c.key.as_deref()))),
        (Some(3), Some((5, Some("args.order"))))
    );
    let wrong = faults(&[("tollgate.toml", ""), ("specs/shop.yaml", &waits("Gpu"))]);
    assert!(wrong.contains("`requires` names `Gpu`: a label has 1 to 63 characters"), "{wrong}");
}
