//! Leaves: one text per entry, and nothing else reads.

use serde_json::{Value, json};
use tollgate_core::canon::canonical;
use tollgate_core::ledger::{Body, Entry, Kind, LeafError};

use super::support::realistic;

#[test]
fn every_kind_survives_its_leaf() {
    let mut kinds = std::collections::BTreeSet::new();
    for stored in realistic().entries {
        let entry = Entry::from_leaf(&stored.leaf).unwrap();
        assert_eq!(entry.to_leaf().unwrap(), stored.leaf);
        kinds.insert(entry.body.kind());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::ALL.to_vec(), "the log of these tests has every kind");
}

#[test]
fn the_leaf_of_an_intent_is_fixed() {
    let log = realistic();
    insta::assert_snapshot!(String::from_utf8(log.entries[1].leaf.clone()).unwrap());
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Entry, LeafError> {
    let mut leaf: Value = serde_json::from_slice(&realistic().entries[1].leaf).unwrap();
    change(&mut leaf);
    Entry::from_leaf(&canonical(&leaf).unwrap())
}

#[test]
fn nothing_but_the_one_text_reads() {
    assert!(matches!(with(|_| {}), Ok(Entry { body: Body::Intent(_), .. })));
    assert_eq!(with(|l| l["v"] = json!(2)), Err(LeafError::Version));
    assert_eq!(with(|l| l["v"] = json!("1")), Err(LeafError::Version));
    assert_eq!(with(|l| l["kind"] = json!("wish")), Err(LeafError::Kind("wish".into())));
    assert!(matches!(with(|l| l["kind"] = json!("receipt")), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["extra"] = json!(1)), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["body"]["extra"] = json!(1)), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["body"]["of"]["extra"] = json!(1)), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["body"]["committed"]["extra"] = l["body"]["committed"]["args"].clone()), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["id"] = json!("act_01")), Err(LeafError::Field(_))));
    assert!(matches!(with(|l| l["at"] = json!("2026-09-21T14:13:20Z")), Err(LeafError::Spelling(_))));
    assert!(matches!(with(|l| l["body"]["approvals"] = json!([])), Err(LeafError::Spelling(_))));
    assert!(matches!(with(|l| l["body"]["of"]["event"] = Value::Null), Err(LeafError::Spelling(_))));
    assert!(matches!(
        with(|l| {
            l.as_object_mut().unwrap().remove("mode");
        }),
        Err(LeafError::Field(_))
    ));
}

#[test]
fn other_bytes_for_the_same_value_are_refused() {
    let leaf = String::from_utf8(realistic().entries[1].leaf.clone()).unwrap();
    let spaced = leaf.replacen(':', ": ", 1);
    let escaped = leaf.replacen("\"intent\"", "\"\\u0069ntent\"", 1);
    let doubled = leaf.replacen("\"v\":1", "\"v\":1,\"v\":1", 1);
    let float = leaf.replacen("\"v\":1", "\"v\":1.0", 1);
    for other in [spaced, escaped, doubled, float] {
        assert_ne!(other, leaf);
        assert_eq!(Entry::from_leaf(other.as_bytes()), Err(LeafError::NotCanonical), "{other}");
    }
    assert!(matches!(Entry::from_leaf(b"{"), Err(LeafError::NotJson(_))));
    assert!(matches!(Entry::from_leaf(&vec![b' '; 70_000]), Err(LeafError::TooLong(70_000))));
}
