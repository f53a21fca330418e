//! Exports of every release verify for ever. The files under `golden/` are never written again.

use std::path::PathBuf;

use tollgate_core::ledger::{PublicKey, verify};

use super::support::{public, realistic, recompute};

fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_export_of_version_1_verifies() {
    let key = PublicKey::from_hex(golden("export-v1.pub").trim()).unwrap();
    let report = verify(golden("export-v1.jsonl").as_bytes(), Some(&key), None, &recompute).unwrap();
    insta::assert_json_snapshot!(report);
}

#[test]
fn today_the_same_log_still_gives_the_same_bytes() {
    assert_eq!(realistic().export(0, 23, &[]), golden("export-v1.jsonl"));
    assert_eq!(public().to_hex(), golden("export-v1.pub").trim());
}
