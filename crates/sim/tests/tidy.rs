//! The house rules that no compiler keeps: borders between crates, module docs, file sizes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    sources(&root().join("crates"), &mut out);
    out.sort();
    out.into_iter().map(|p| (p.clone(), fs::read_to_string(p).unwrap())).collect()
}

#[test]
fn every_file_says_what_it_owns() {
    let bare: Vec<_> = all().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(p, _)| p).collect();
    assert!(bare.is_empty(), "these files do not start with `//!`: {bare:?}");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = all()
        .into_iter()
        .filter(|(p, _)| !p.components().any(|c| c.as_os_str() == "tests"))
        .map(|(p, text)| (p, text.lines().count()))
        .filter(|(_, n)| *n > 500)
        .collect();
    assert!(long.is_empty(), "over 500 lines: {long:?}");
}

#[test]
fn mod_files_hold_no_logic() {
    // `mod.rs` of the engine and of tests own their type or their helpers and say so.
    let allowed = ["engine/mod.rs", "tests/mod.rs", "tests.rs"];
    let with_logic: Vec<_> = all()
        .into_iter()
        .filter(|(p, _)| p.ends_with("lib.rs"))
        .filter(|(p, _)| !allowed.iter().any(|a| p.ends_with(a)))
        .filter(|(_, text)| text.lines().any(|l| l.starts_with("fn ") || l.starts_with("pub fn ") || l.starts_with("impl ")))
        .map(|(p, _)| p)
        .collect();
    assert!(with_logic.is_empty(), "lib.rs declares and re-exports only: {with_logic:?}");
}

/// What each crate of ours may depend on, tests aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("expr", &[]),
    ("policy", &["core"]),
    ("store", &["core"]),
    ("vault", &["core"]),
    ("connectors", &["core", "expr"]),
    ("operators", &["core", "expr"]),
    ("worker", &["core"]),
    ("spec", &["core", "expr"]),
    ("server", &["core"]),
    ("cli", &["connectors", "core", "lossy", "operators", "policy", "private-postgres", "server", "spec", "store", "vault", "worker"]),
    ("testkit", &["core"]),
    ("lossy", &[]),
    ("private-postgres", &[]),
    ("sim", &["core", "private-postgres", "store", "testkit", "worker"]),
];

#[test]
fn arrows_point_down() {
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let dir = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(dir.join("Cargo.toml")) else { continue };
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let allowed =
            ARROWS.iter().find(|(c, _)| *c == name).unwrap_or_else(|| panic!("`{name}` is not in ARROWS: say what it may know")).1;
        let product = manifest.split("[dev-dependencies]").next().unwrap();
        for line in product.lines().filter_map(|l| l.strip_prefix("tollgate-")) {
            let dep = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&dep), "`{name}` may not know `{dep}`");
        }
    }
}

#[test]
fn sql_cedar_and_cel_stay_where_they_belong() {
    for (path, text) in all() {
        let of = |name: &str| path.to_str().unwrap().contains(&format!("crates/{name}/"));
        assert!(of("store") || of("lossy") || of("sim") || !text.contains("rusqlite::"), "{path:?} knows SQLite");
        assert!(of("policy") || of("sim") || !text.contains("cedar_policy::"), "{path:?} knows Cedar");
        assert!(of("expr") || of("sim") || !text.contains("use cel::"), "{path:?} knows CEL");
    }
}
