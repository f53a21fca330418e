//! Nothing in an export can change: no byte, no line, no order; and no attacker without the key can make it fit again.

use std::collections::BTreeMap;

use serde_json::json;
use tollgate_core::ledger::{Consistency, FailureKind, SignatureHex, VerifyFailure, consistency_proof, verify};

use super::support::{Log, check, check_with, entry_id, public, realistic, recompute, reseal, tampered};

#[test]
fn an_export_says_what_was_shown() {
    let report = check(&realistic().export(0, 23, &[])).unwrap();
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn any_range_and_any_filter_verifies() {
    let log = realistic();
    for from in 0..=log.size() {
        for to in from..=log.size() {
            let report = check(&log.export(from, to, &[])).unwrap();
            assert_eq!((report.entries, report.hidden), (to - from, 0));
            if to > from + 1 {
                let report = check(&log.export(from, to, &[from, (from + to) / 2])).unwrap();
                assert_eq!(report.entries + report.hidden, to - from);
            }
        }
    }
}

/// Tries each replacement at each byte, on two threads; gives how often each kind of failure came.
fn every_byte(file: &str, replacements: impl Fn(u8) -> Vec<u8> + Sync) -> BTreeMap<String, usize> {
    let half = |first: usize| {
        let (mut bytes, mut kinds) = (file.as_bytes().to_vec(), BTreeMap::new());
        for i in (first..bytes.len()).step_by(2) {
            let original = bytes[i];
            for other in replacements(original) {
                bytes[i] = other;
                match verify(&bytes[..], Some(&public()), None, &recompute) {
                    Ok(_) => panic!("byte {i}: {:?} became {:?} unnoticed", char::from(original), char::from(other)),
                    Err(VerifyFailure { line, message, kind, .. }) => {
                        assert!(line > 0 && !message.is_empty());
                        *kinds.entry(format!("{kind:?}")).or_default() += 1;
                    }
                }
            }
            bytes[i] = original;
        }
        kinds
    };
    std::thread::scope(|s| {
        let other = s.spawn(|| half(1));
        let mut kinds = half(0);
        for (kind, n) in other.join().unwrap() {
            *kinds.entry(kind).or_default() += n;
        }
        kinds
    })
}

/// A neighbour of the same sort (so that the line stays well formed), the other case, white space, a quote, a digit.
fn replacements(b: u8) -> Vec<u8> {
    let neighbour = match b {
        b'9' => b'0',
        b'f' => b'a',
        b'z' => b'y',
        _ => b.wrapping_add(1),
    };
    let mut others = vec![neighbour, b ^ 0x20, b' ', b'"', b'0'];
    others.sort_unstable();
    others.dedup();
    others.retain(|o| *o != b);
    others
}

#[test]
fn no_byte_of_a_part_with_hidden_and_erased_entries_can_change() {
    let log = realistic();
    let file = log.export(12, 20, &[13, 14, 17]);
    assert!(check(&file).is_ok());
    let kinds = every_byte(&file, replacements);
    // The checks before the seal do the work; what they cannot see, the seal does.
    for kind in ["Format", "NotCanonical", "Inclusion", "Completeness", "Commitment", "Signature", "Artifact"] {
        assert!(kinds.contains_key(kind), "{kind} is missing in {kinds:?}");
    }
}

#[test]
fn no_byte_of_a_whole_export_can_change() {
    let file = cut(&realistic(), 11).export(0, 11, &[]);
    every_byte(&file, |b| vec![replacements(b)[usize::from(b) % replacements(b).len()], b ^ 1]);
}

#[test]
fn no_byte_can_be_dropped_or_put_in() {
    let file = realistic().export(12, 15, &[14]);
    for i in 0..file.len() {
        let (before, after) = file.split_at(i);
        assert!(check(&format!("{before}{}", &after[1..])).is_err(), "byte {i} dropped");
        let put_in = if i % 2 == 0 { ' ' } else { '0' };
        assert!(check(&format!("{before}{put_in}{after}")).is_err(), "{put_in:?} put in at {i}");
    }
}

#[test]
fn a_cut_file_is_rejected_wherever_it_is_cut() {
    let file = realistic().export(0, 3, &[]);
    for end in 0..file.len() {
        let failure = check(&file[..end]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Format, "{failure}");
    }
    insta::assert_snapshot!(check(&file[..file.len() - 1]).unwrap_err(), @"line 6: the file is cut off in the middle of this line");
    let without_seal: String = file.split_inclusive('\n').take(5).collect();
    insta::assert_snapshot!(check(&without_seal).unwrap_err(), @"line 6: the file ends without its seal: it is cut off");
    insta::assert_snapshot!(check("").unwrap_err(), @"line 1: the file is empty");
}

#[test]
fn no_line_can_be_dropped_doubled_moved_or_put_in() {
    let log = realistic();
    let file = log.export(0, 23, &[]);
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    let foreign = log.export(0, 23, &[3]);
    let hidden = foreign.split_inclusive('\n').find(|l| l.contains("\"hidden\",")).unwrap_or("{}\n");
    let rejected = |what: &str, lines: Vec<&str>| assert!(check(&lines.concat()).is_err(), "{what}");
    for i in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(i);
        rejected(&format!("line {} dropped", i + 1), dropped);
        for j in 0..=lines.len() {
            let mut doubled = lines.clone();
            doubled.insert(j, lines[i]);
            rejected(&format!("line {} again as line {}", i + 1, j + 1), doubled);
        }
        for j in 0..i {
            let mut swapped = lines.clone();
            swapped.swap(i, j);
            rejected(&format!("lines {} and {} swapped", j + 1, i + 1), swapped);
        }
        for strange in ["\n", "{}\n", "null\n", "{\"type\":\"note\"}\n", " \n", hidden] {
            let mut more = lines.clone();
            more.insert(i, strange);
            rejected(&format!("{strange:?} before line {}", i + 1), more);
        }
    }
    rejected("something after the seal", [&lines[..], &["\n"]].concat());
}

#[test]
fn equal_json_in_other_bytes_is_rejected() {
    let file = realistic().export(0, 23, &[]);
    let variants: [(&str, String); 7] = [
        ("a space", file.replacen("\"pos\":0", "\"pos\": 0", 1)),
        (
            "another order",
            file.replacen("{\"hash\":", "{\"pos\":0,\"hash\":", 1).replacen(",\"pos\":0,\"type\":\"entry\"}", ",\"type\":\"entry\"}", 1),
        ),
        ("an escape", file.replacen("\"type\":\"entry\"", "\"type\":\"\\u0065ntry\"", 1)),
        ("a double key", file.replacen("\"pos\":0", "\"pos\":0,\"pos\":0", 1)),
        ("a float", file.replacen("\"pos\":1,", "\"pos\":1.0,", 1)),
        ("an exponent", file.replacen("\"pos\":1,", "\"pos\":1e0,", 1)),
        ("other line ends", file.replace('\n', "\r\n")),
    ];
    for (what, variant) in variants {
        assert_ne!(variant, file, "{what}");
        assert_eq!(check(&variant).unwrap_err().kind, FailureKind::NotCanonical, "{what}");
    }
}

/// Everything that an attacker can recompute is recomputed: leaf hashes, addresses, counts, the seal's digests. Only keys are lacking.
#[test]
fn what_an_attacker_makes_fit_again_is_still_named() {
    let file = realistic().export(0, 23, &[]);
    let at = |text: &str| file.lines().position(|l| l.contains(text)).unwrap();
    let refused = at("\"disposition\":\"refused\"");
    let seen = [
        (
            "a verdict",
            tampered(&file, refused, |l| {
                l["leaf"]["body"]["decision"]["verdict"] = json!("ALLOW");
            }),
        ),
        (
            "a verdict and the disposition",
            tampered(&file, refused, |l| {
                l["leaf"]["body"]["decision"]["verdict"] = json!("ALLOW");
                l["leaf"]["body"]["verdict"] = json!("ALLOW");
                l["leaf"]["body"]["disposition"] = json!("failed");
            }),
        ),
        ("the reason", tampered(&file, refused, |l| l["leaf"]["body"]["decision"]["reason"] = json!("not_permitted"))),
        ("the determining policies", tampered(&file, refused, |l| l["leaf"]["body"]["decision"]["determining"] = json!(["refunds"]))),
        (
            "a verdict without opening",
            tampered(&file, refused, |l| {
                l["leaf"]["body"]["decision"]["verdict"] = json!("REQUIRE_APPROVAL");
                l.as_object_mut().unwrap().remove("open");
            }),
        ),
        ("the principal", tampered(&file, refused, |l| l["leaf"]["body"]["of"]["principal"] = json!("operator:other"))),
        ("the policy artifact", tampered(&file, 1, |l| l["value"]["rules"][3]["over"] = json!(1_000_000))),
        (
            "an opened value",
            tampered(&file, refused, |l| {
                let open = l["open"].as_object_mut().unwrap();
                let args = open.values_mut().find(|o| o["value"]["json"]["amount_minor"] == 200_000).unwrap();
                args["value"]["json"]["amount_minor"] = json!(100);
            }),
        ),
        ("the time", tampered(&file, refused, |l| l["leaf"]["at"] = json!("2026-09-21T14:13:21.000000Z"))),
        ("another tenant", tampered(&file, refused, |l| l["leaf"]["tenant"] = json!("t_00000000000000000000000000"))),
        (
            "an opening left out",
            tampered(&file, refused, |l| {
                l.as_object_mut().unwrap().remove("open");
            }),
        ),
        (
            "an erasure claimed",
            tampered(&file, refused, |l| {
                l.as_object_mut().unwrap().remove("open");
                l["erased"] = json!(entry_id(20));
            }),
        ),
        (
            "a false erasure claimed",
            tampered(&file, refused, |l| {
                l.as_object_mut().unwrap().remove("open");
                l["erased"] = json!(entry_id(3));
            }),
        ),
        ("the filter", tampered(&file, 0, |l| l["filter"] = json!("none"))),
        ("the range", tampered(&file, 0, |l| l["to"] = json!(22))),
        ("the root", tampered(&file, 0, |l| l["checkpoint"]["checkpoint"]["root"] = json!("00".repeat(32)))),
        ("the time of the checkpoint", tampered(&file, 0, |l| l["checkpoint"]["checkpoint"]["at"] = json!("2027-01-01T00:00:00.000000Z"))),
        (
            "the public key",
            tampered(&file, 0, |l| l["public_key"] = json!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
        ),
    ];
    let said: Vec<String> = seen.into_iter().map(|(what, file)| format!("{what}\n  {}", check(&file).unwrap_err())).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn lines_made_to_fit_again_are_still_named() {
    let file = realistic().export(0, 23, &[]);
    let lines: Vec<serde_json::Value> = file.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let without = |n: usize| lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| l.clone()).collect::<Vec<_>>();
    // Positions closed up again, too.
    let renumbered = |mut lines: Vec<serde_json::Value>| {
        for (pos, line) in lines.iter_mut().filter(|l| l["type"] == "entry").enumerate() {
            line["pos"] = json!(pos);
        }
        reseal(lines)
    };
    let mut swapped = lines.clone();
    swapped.swap(10, 11);
    let mut short = without(24);
    short[0]["to"] = json!(22);
    let mut foreign = lines.clone();
    foreign.insert(2, json!({"type": "artifact", "digest": tollgate_core::hash::Digest::of(b"{}"), "value": {}}));
    let said: Vec<String> = [
        ("the first entry dropped", renumbered(without(2))),
        ("the resolution dropped", renumbered(without(12))),
        ("the last entry dropped, and the range", reseal(short)),
        ("evidence moved", renumbered(swapped)),
        ("the artifact dropped", reseal(without(1))),
        ("an artifact put in", reseal(foreign)),
    ]
    .into_iter()
    .map(|(what, file)| format!("{what}\n  {}", check(&file).unwrap_err()))
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn another_key_is_not_believed() {
    let file = realistic().export(0, 23, &[]);
    let other = tollgate_core::ledger::PublicKey(ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key());
    let failure = verify(file.as_bytes(), Some(&other), None, &recompute).unwrap_err();
    insta::assert_snapshot!(failure, @"line 1, field `checkpoint`: the checkpoint is signed by key b600306cfa76723f, not by the given key 34750f98bd59fcfc");
    let report = verify(file.as_bytes(), None, None, &recompute).unwrap();
    assert!(!report.key_given && report.to_string().contains("compare it with one you trust"));
}

fn cut(log: &Log, size: usize) -> Log {
    Log { entries: log.entries[..size].to_vec() }
}

#[test]
fn a_log_that_the_witness_did_not_see_is_rejected() {
    let log = realistic();
    let witness = log.checkpoint(15);
    let back = cut(&log, 11);
    assert!(check(&back.export(0, 11, &[])).is_ok(), "the file alone does not show that the log was cut back");
    insta::assert_snapshot!(check_with(&back.export(0, 11, &[]), &witness).unwrap_err(), @"line 1: the witness saw 15 entries, this export's checkpoint has 11: the log was cut back, or the export is older than the witness's checkpoint");

    // The owner of the key rewrites history from position 12 on.
    let mut forked = log.clone();
    forked.entries.remove(12);
    assert!(check(&forked.export(0, 12, &[])).is_ok());
    for (from, to) in [(0, 22), (13, 22), (15, 15)] {
        let failure = check_with(&forked.export(from, to, &[]), &witness).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Witness, "{failure}");
    }
    insta::assert_snapshot!(check_with(&forked.export(0, 22, &[]), &witness).unwrap_err(), @"line 17, position 14: the first 15 entries are not those that the witness saw: the log was forked or rewritten");

    let mut altered = witness.clone();
    altered.signature = SignatureHex([0; 64]);
    insta::assert_snapshot!(check_with(&log.export(0, 23, &[]), &altered).unwrap_err(), @"line 1: the witness's checkpoint is not to be believed: the signature of the checkpoint at 15 entries is not valid");
}

#[test]
fn every_earlier_checkpoint_is_a_witness() {
    let log = realistic();
    for size in 0..=23 {
        let witness = log.checkpoint(size);
        assert_eq!(check_with(&log.export(0, 23, &[]), &witness).unwrap().witness_size, Some(size));
        // Also where the range does not reach it: by a proof, or not at all.
        let outside = size > 0 && size < 23 && !(8..=12).contains(&size);
        assert_eq!(check_with(&log.export(8, 12, &[]), &witness).is_err(), outside, "{size}");
        let mut manifest = log.manifest(8, 12);
        manifest.consistency = Some(Consistency { size, proof: consistency_proof(&log, size, 23).unwrap() });
        let file = log.export_with(manifest, &[]);
        assert!(check_with(&file, &witness).is_ok(), "{size}");
        if outside {
            let mut other = log.clone();
            other.entries[0].leaf = other.entries[20].leaf.clone();
            assert_eq!(check_with(&file, &other.checkpoint(size)).unwrap_err().kind, FailureKind::Witness);
        }
    }
    insta::assert_snapshot!(check_with(&log.export(8, 12, &[]), &log.checkpoint(20)).unwrap_err(), @"line 1: positions 8 to 12 cannot be compared with the witness's checkpoint of 20 entries: export from position 20 or before, or with a proof for that size");
}
