//! The `files` transport on a real folder: what it does, and what it cannot be made to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_core::attempt::AttemptOutcome::{self, Applied, NotSent, Rejected};
use tollgate_core::hash::Digest;
use tollgate_core::ports::{CallRequest, Rendered, ToolCaller as _};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{ConnectorSpec, Effect, FilesOp, ToolSpec, Transport};

use super::support::*;
use crate::Connectors;

fn spec() -> ConnectorSpec {
    let mut spec = connector("");
    spec.transport = Transport::Files { root: "box".into() };
    spec
}

fn tools() -> Vec<ToolSpec> {
    let path = "${args.path}".to_owned();
    let content = json!("${args.content}");
    vec![
        files_tool("write", Effect::Write, FilesOp::Write { path: path.clone(), content: content.clone() }),
        files_tool("read", Effect::Read, FilesOp::Read { path: path.clone() }),
        files_tool("check", Effect::Read, FilesOp::Check { path, content }),
    ]
}

fn open(project: &Path) -> Connectors {
    compile_with(spec(), tools(), project, &(Arc::new(Silent) as _)).unwrap()
}

async fn write(c: &Connectors, path: &str, content: &str) -> AttemptOutcome {
    run(c, "shop.write", &json!({"path": path, "content": content}), None, PLENTY).await
}

async fn output(c: &Connectors, tool: &str, path: &str, content: &str) -> Value {
    match run(c, tool, &json!({"path": path, "content": content}), None, PLENTY).await {
        Applied { output, status: None } => output,
        other => panic!("{other:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_are_written_read_and_checked() {
    let dir = TempDir::new().unwrap();
    let c = open(dir.path());
    let sha = Digest::of(b"hello").to_hex();
    let nothing = json!({"exists": false, "sha256": null, "matches": false});
    assert_eq!(output(&c, "shop.check", "a/b.txt", "hello").await, nothing);
    assert_eq!(output(&c, "shop.write", "a/b.txt", "hello").await, json!({"path": "a/b.txt", "bytes": 5, "sha256": sha}));
    assert_eq!(output(&c, "shop.read", "a/b.txt", "").await, json!({"path": "a/b.txt", "content": "hello", "sha256": sha}));
    assert_eq!(output(&c, "shop.check", "a/b.txt", "hello").await, json!({"exists": true, "sha256": sha, "matches": true}));
    assert_eq!(output(&c, "shop.check", "a/b.txt", "other").await["matches"], false);
    write(&c, "a/b.txt", "second").await;
    assert_eq!(fs::read_to_string(dir.path().join("box/a/b.txt")).unwrap(), "second");
    assert_eq!(names(&dir.path().join("box/a")), ["b.txt"], "no temporary file stays");
    fs::set_permissions(dir.path().join("box/a/b.txt"), fs::Permissions::from_mode(0o750)).unwrap();
    write(&c, "a/b.txt", "third").await;
    assert_eq!(fs::metadata(dir.path().join("box/a/b.txt")).unwrap().permissions().mode() & 0o777, 0o750);
    let json_args = json!({"path": "j.json", "content": {"b": 1, "a": [true]}});
    run(&c, "shop.write", &json_args, None, PLENTY).await;
    assert_eq!(fs::read_to_string(dir.path().join("box/j.json")).unwrap(), r#"{"a":[true],"b":1}"#);
}

#[tokio::test]
async fn missing_strange_and_oversized_files_are_refused() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("box");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("bin"), [0xff, 0xfe]).unwrap();
    fs::write(root.join("big"), vec![b'x'; 256 * 1024 + 1]).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    let c = open(dir.path());
    for (path, says) in [
        ("none", "no file"),
        ("no/such", "no file"),
        ("bin", "not UTF-8"),
        ("big", "longer than 262144"),
        ("pipe", "not a file"),
        ("folder", "not a file"),
    ] {
        let outcome = run(&c, "shop.read", &json!({"path": path}), None, PLENTY).await;
        assert!(matches!(&outcome, Rejected { message, retryable: false, .. } if message.contains(says)), "{path}: {outcome:?}");
    }
    for path in ["folder", "pipe", "bin/x"] {
        let outcome = write(&c, path, "x").await;
        assert!(matches!(&outcome, Rejected { retryable: false, settles_doubt: false, .. }), "{path}: {outcome:?}");
    }
}

#[tokio::test]
async fn no_path_leaves_the_root() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("box");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "theirs").unwrap();
    symlink(dir.path().join("outside"), root.join("link")).unwrap();
    symlink(dir.path().join("outside/secret"), root.join("file-link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let c = open(dir.path());
    for path in
        ["../outside/secret", "/etc/passwd", "a/../../outside/secret", "link/../../x", "", "a//b", "./a", "a\0b", "a\nb", ".tollgate-x"]
    {
        for tool in ["shop.write", "shop.read", "shop.check"] {
            let error = c.render(tool, Mode::Live, &json!({"path": path, "content": "x"})).unwrap_err();
            assert_eq!(error.place, "request.path", "{path:?}");
            // A stored rendering is not trusted either.
            let op = tool.trim_start_matches("shop.").to_owned();
            let content = (op != "read").then(|| "x".to_owned());
            let outcome = send(&c, tool, &Rendered::Files { op, path: path.into(), content }, None, PLENTY).await;
            assert!(matches!(outcome, Rejected { retryable: false, .. }), "{path:?} {tool}: {outcome:?}");
        }
    }
    for path in ["link/secret", "link/new", "file-link", "dangling"] {
        for tool in ["shop.write", "shop.read", "shop.check"] {
            let outcome = run(&c, tool, &json!({"path": path, "content": "mine"}), None, PLENTY).await;
            assert!(matches!(&outcome, Rejected { message, .. } if message.contains("link")), "{path} {tool}: {outcome:?}");
        }
    }
    assert_eq!(fs::read_to_string(dir.path().join("outside/secret")).unwrap(), "theirs");
    assert_eq!(names(&dir.path().join("outside")), ["secret"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_swapped_for_a_link_while_writing_gains_nothing() {
    let dir = TempDir::new().unwrap();
    let (root, outside) = (dir.path().join("box"), dir.path().join("outside"));
    fs::create_dir_all(root.join("real")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, root.join("evil")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, root) = (stop.clone(), root.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                // `real` is now the folder, now the link.
                let _ = rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    root.join("real"),
                    rustix::fs::CWD,
                    root.join("evil"),
                    rustix::fs::RenameFlags::EXCHANGE,
                );
            }
        }
    });
    let c = open(dir.path());
    let mut written = 0;
    for n in 0..100 {
        match write(&c, &format!("real/f{n}"), "x").await {
            Applied { .. } => written += 1,
            Rejected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert_eq!(names(&outside), Vec::<String>::new(), "{written} written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_half_a_file_and_writers_never_trip() {
    let dir = TempDir::new().unwrap();
    let c = Arc::new(open(dir.path()));
    let contents: Vec<String> = (0..4).map(|n| n.to_string().repeat(20_000)).collect();
    write(&c, "shared", &contents[0]).await;
    let writers = contents.iter().cloned().map(|content| {
        let c = c.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                assert!(matches!(write(&c, "shared", &content).await, Applied { .. }));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..20 {
        let seen = output(&c, "shop.read", "shared", "").await;
        assert!(contents.iter().any(|w| seen["content"] == **w));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(names(&dir.path().join("box")), ["shared"]);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_cleaned_and_held_ones_are_not() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("box");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join(".tollgate-dead"), "half").unwrap();
    let held = fs::File::create(root.join(".tollgate-held")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    fs::write(root.join("theirs"), "x").unwrap();
    let c = open(dir.path());
    write(&c, "mine", "x").await;
    assert_eq!(names(&root), [".tollgate-held", "mine", "theirs"]);
}

#[tokio::test]
async fn a_deadline_that_passed_writes_nothing() {
    let dir = TempDir::new().unwrap();
    let c = open(dir.path());
    let outcome = run(&c, "shop.write", &json!({"path": "a", "content": "x"}), None, Duration::ZERO).await;
    assert!(matches!(outcome, NotSent { retryable: true, .. }), "{outcome:?}");
    assert!(!dir.path().join("box").exists());
}

#[tokio::test]
async fn a_write_given_up_before_the_rename_leaves_no_trace() {
    let dir = TempDir::new().unwrap();
    let commit = crate::commit::Commit::within(std::time::Duration::from_secs(60));
    assert!(commit.abandon());
    let operation = crate::files::Operation::Write { path: "a".into(), content: "x".into() };
    let outcome = crate::files::perform(dir.path(), &operation, &commit, &crate::files::Cleaned::default());
    assert!(matches!(outcome, NotSent { retryable: true, .. }), "{outcome:?}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn test_mode_has_a_root_of_its_own_or_none() {
    let dir = TempDir::new().unwrap();
    let call = |c: Connectors| async move {
        let rendered = c.render("shop.write", Mode::Test, &json!({"path": "a", "content": "x"})).unwrap();
        let request = CallRequest {
            tool: "shop.write",
            mode: Mode::Test,
            rendered: &rendered,
            remote_key: None,
            secret: None,
            deadline_at: NOW.plus(PLENTY),
            now: NOW,
        };
        c.call(request).await
    };
    let stubbed = |config: Option<Value>| {
        let mut spec = spec();
        spec.test_config = config.map(object);
        compile_with(spec, tools(), dir.path(), &(Arc::new(Silent) as _))
    };
    for config in [None, Some(json!({"other": 1}))] {
        let outcome = call(stubbed(config).unwrap()).await;
        assert!(matches!(&outcome, Applied { output, .. } if output["stub"] == true), "{outcome:?}");
    }
    call(stubbed(Some(json!({"root": "sandbox"}))).unwrap()).await;
    assert!(dir.path().join("sandbox/a").exists() && !dir.path().join("box").exists());
    for shared in ["box", "./box", "box/test", ".", "x/../box"] {
        assert_eq!(stubbed(Some(json!({ "root": shared }))).unwrap_err()[0].place, "test_config.root", "{shared}");
    }
}

#[test]
fn a_root_over_the_project_is_refused_and_so_is_a_live_root_as_the_test_root() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("policies/deep")).unwrap();
    fs::create_dir(dir.path().join("box")).unwrap();
    symlink("policies", dir.path().join("innocent")).unwrap();
    symlink("box", dir.path().join("alias")).unwrap();
    let places = |root: &str, test: Option<&str>| -> Vec<String> {
        let mut spec = spec();
        spec.transport = Transport::Files { root: root.into() };
        spec.test_config = test.map(|t| object(json!({ "root": t })));
        let compiled = compile_with(spec, tools(), dir.path(), &(Arc::new(Silent) as _));
        compiled.err().unwrap_or_default().iter().map(|f| f.place.clone()).collect()
    };
    let above = dir.path().parent().unwrap().to_str().unwrap().to_owned();
    for over in [".", "./", "x/..", "..", "/", &above, "specs", "specs/own", "policies/deep", "innocent", ".tollgate", "box/../policies"] {
        assert_eq!(places(over, None), ["transport.files.root"], "{over}");
        assert!(places("box", Some(over)).contains(&"test_config.root".to_owned()), "{over}");
    }
    for fine in ["box", "new/folder", "../beside", "specs-of-others"] {
        assert!(places(fine, None).is_empty(), "{fine}");
    }
    for (live, test) in [("x/../box", "box"), ("box", "alias"), ("alias", "box/below")] {
        assert_eq!(places(live, Some(test)), ["test_config.root"], "{live} {test}");
    }
}

#[tokio::test]
async fn what_the_system_refuses_is_said_in_words() {
    use rustix::io::Errno;
    for (errno, says, passing) in [
        (Errno::NOSPC, "the disk is full", true),
        (Errno::ROFS, "read-only", false),
        (Errno::ACCESS, "permission is denied", false),
        (Errno::DQUOT, "quota", true),
    ] {
        assert!(crate::files::words(errno).contains(says));
        assert_eq!(crate::files::is_passing(errno), passing);
    }
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("box");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o500)).unwrap();
    let outcome = write(&open(dir.path()), "a", "x").await;
    // The administrator's account may write anywhere.
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(&outcome, Rejected { message, retryable: false, .. } if message.contains("permission")), "{outcome:?}");
    }
}
