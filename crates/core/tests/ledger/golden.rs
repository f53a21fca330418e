//! Exports of every release verify for ever. The files under `golden/` are never written again.

use std::path::PathBuf;

use serde_json::json;
use tollgate_core::ledger::{Consistency, PublicKey, consistency_proof, verify};

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

/// A part with hidden and erased entries, and a proof for a witness who saw 5 entries.
fn part() -> String {
    let log = realistic();
    let mut manifest = log.manifest(9, 21);
    manifest.filter = Some(json!({"tool": "github.*"}));
    manifest.consistency = Some(Consistency { size: 5, proof: consistency_proof(&log, 5, 23).unwrap() });
    log.export_with(manifest, &[9, 10, 13, 15])
}

#[test]
fn the_filtered_part_of_version_1_verifies_for_its_witness() {
    let key = PublicKey::from_hex(golden("export-v1.pub").trim()).unwrap();
    let witness = realistic().checkpoint(5);
    let report = verify(golden("export-v1-part.jsonl").as_bytes(), Some(&key), Some(&witness), &recompute).unwrap();
    assert_eq!((report.entries, report.hidden, report.witness_size, report.recomputed), (8, 4, Some(5), 1));
}

#[test]
fn today_the_same_log_still_gives_the_same_bytes() {
    assert_eq!(realistic().export(0, 23, &[]), golden("export-v1.jsonl"));
    assert_eq!(part(), golden("export-v1-part.jsonl"));
    assert_eq!(public().to_hex(), golden("export-v1.pub").trim());
}
