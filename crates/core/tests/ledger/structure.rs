//! Entries that contradict each other are named, even in a log that is whole and signed: the service itself is checked.

use serde_json::json;
use tollgate_core::attempt::AttemptResult;
use tollgate_core::hash::Digest;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::*;
use tollgate_core::spec::Effect;
use tollgate_core::verdict::Verdict;

use super::support::{Act, Log, act, check, entry_id, realistic};

/// A log begun with an applied write (intent, attempt, receipt), then what the case adds.
fn broken(add: impl FnOnce(&mut Log, &Act)) -> String {
    let mut log = Log::default();
    let a = act(1, "github.add_label", Effect::Write, json!({"issue": 7}));
    let intent = log.push(a.intent(1, vec![]), vec![]);
    let attempt = log.push(a.attempt(1, intent, AttemptResult::Applied), vec![]);
    log.push(a.receipt(Disposition::Applied, Some(Verdict::Allow), 1, refs(intent, attempt)), vec![]);
    assert!(check(&log.export(0, 3, &[])).is_ok());
    add(&mut log, &a);
    let failure = check(&log.export(0, log.size(), &[])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Structure, "{failure}");
    failure.to_string()
}

fn refs(intent: EntryId, attempt: EntryId) -> Refs {
    Refs { intent: Some(intent), attempt: Some(attempt), ..Refs::default() }
}

fn label(n: u64) -> Act {
    act(n, "github.add_label", Effect::Write, json!({"issue": n}))
}

#[test]
fn calls() {
    let cases = [
        ("an intent after the end", broken(|l, a| _ = l.push(a.intent(2, vec![]), vec![]))),
        (
            "two open intents",
            broken(|l, _| {
                l.push(label(2).intent(1, vec![]), vec![]);
                l.push(label(2).intent(2, vec![]), vec![]);
            }),
        ),
        ("an attempt number left out", broken(|l, _| _ = l.push(label(2).intent(2, vec![]), vec![]))),
        ("an intent closed twice", broken(|l, a| _ = l.push(a.attempt(1, entry_id(0), AttemptResult::Applied), vec![]))),
        ("an attempt without intent", broken(|l, _| _ = l.push(label(2).attempt(1, entry_id(77), AttemptResult::Applied), vec![]))),
        (
            "another action's intent",
            broken(|l, _| {
                l.push(label(2).intent(1, vec![]), vec![]);
                l.push(label(3).attempt(1, entry_id(3), AttemptResult::Applied), vec![]);
            }),
        ),
        (
            "a call under BLOCK",
            broken(|l, _| {
                let b = act(2, "shop.refund", Effect::Write, json!({"amount_minor": 200_000}));
                l.push(b.intent(1, vec![]), vec![]);
            }),
        ),
        (
            "a call without the approval",
            broken(|l, _| {
                let b = act(2, "shop.refund", Effect::Write, json!({"amount_minor": 7500}));
                l.push(b.intent(1, vec![]), vec![]);
            }),
        ),
        (
            "a call on a request",
            broken(|l, _| {
                let b = act(2, "shop.refund", Effect::Write, json!({"amount_minor": 7500}));
                let asked = l.push(b.approval(1, ApprovalStep::Requested), vec![]);
                l.push(b.intent(1, vec![asked]), vec![]);
            }),
        ),
        (
            "other arguments",
            broken(|l, _| {
                l.push(label(2).approval(1, ApprovalStep::Requested), vec![]);
                let mut other = label(2);
                l.push(other.intent(1, vec![]), vec![]);
                l.push(other.attempt(1, entry_id(4), AttemptResult::Rejected), vec![]);
                other.args = json!({"issue": 99});
                l.push(other.intent(2, vec![]), vec![]);
            }),
        ),
        (
            "another principal",
            broken(|l, _| {
                l.push(label(2).intent(1, vec![]), vec![]);
                let mut other = label(2);
                other.of.principal = "operator:other".into();
                l.push(other.attempt(1, entry_id(3), AttemptResult::Rejected), vec![]);
            }),
        ),
    ];
    insta::assert_snapshot!(cases.map(|(what, said)| format!("{what}\n  {said}")).join("\n"));
}

#[test]
fn ends() {
    let receipt = |l: &mut Log, disposition, verdict, r| _ = l.push(label(2).receipt(disposition, verdict, 0, r), vec![]);
    let cases = [
        ("two receipts", broken(|l, a| _ = l.push(a.receipt(Disposition::Failed, None, 1, Refs::default()), vec![]))),
        ("applied out of nothing", broken(|l, _| receipt(l, Disposition::Applied, Some(Verdict::Allow), Refs::default()))),
        ("applied under no verdict", broken(|l, _| receipt(l, Disposition::Applied, None, Refs::default()))),
        (
            "applied by another's call",
            broken(|l, _| {
                receipt(l, Disposition::Applied, Some(Verdict::Allow), refs(entry_id(0), entry_id(1)));
            }),
        ),
        (
            "applied by a rejected call",
            broken(|l, _| {
                let b = label(2);
                let intent = l.push(b.intent(1, vec![]), vec![]);
                let attempt = l.push(b.attempt(1, intent, AttemptResult::Rejected), vec![]);
                l.push(b.receipt(Disposition::Applied, Some(Verdict::Allow), 1, refs(intent, attempt)), vec![]);
            }),
        ),
        (
            "the end before the answer",
            broken(|l, _| {
                let intent = l.push(label(2).intent(1, vec![]), vec![]);
                let r = Refs { intent: Some(intent), ..Refs::default() };
                l.push(label(2).receipt(Disposition::Unknown, Some(Verdict::Allow), 1, r), vec![]);
            }),
        ),
        (
            "calls not counted",
            broken(|l, _| {
                let b = label(2);
                let intent = l.push(b.intent(1, vec![]), vec![]);
                let attempt = l.push(b.attempt(1, intent, AttemptResult::Rejected), vec![]);
                l.push(b.receipt(Disposition::Failed, Some(Verdict::Allow), 0, refs(intent, attempt)), vec![]);
            }),
        ),
        ("refused under ALLOW", broken(|l, _| receipt(l, Disposition::Refused, Some(Verdict::Allow), Refs::default()))),
        ("a duplicate of nothing", broken(|l, _| receipt(l, Disposition::Deduplicated, Some(Verdict::Dedup), Refs::default()))),
        (
            "a duplicate of a refusal",
            broken(|l, _| {
                let c = act(3, "shop.refund", Effect::Write, json!({"amount_minor": 200_000}));
                let refused = l.push(c.receipt(Disposition::Refused, Some(Verdict::Block), 0, Refs::default()), vec![]);
                receipt(l, Disposition::Deduplicated, Some(Verdict::Dedup), Refs { duplicate_of: Some(refused), ..Refs::default() });
            }),
        ),
        (
            "a duplicate of what is not there",
            broken(|l, _| {
                receipt(l, Disposition::Deduplicated, Some(Verdict::Dedup), Refs { duplicate_of: Some(entry_id(77)), ..Refs::default() });
            }),
        ),
        (
            "denied by an approval",
            broken(|l, _| {
                l.push(label(2).approval(1, ApprovalStep::Requested), vec![]);
                let yes = l.push(label(2).approval(1, ApprovalStep::Approved), vec![]);
                receipt(l, Disposition::Denied, None, Refs { approval: Some(yes), ..Refs::default() });
            }),
        ),
        (
            "a stub in live mode",
            broken(|l, _| {
                let Body::Receipt(mut r) = label(2).receipt(Disposition::Failed, None, 0, Refs::default()) else { unreachable!() };
                r.stub = true;
                l.push(Body::Receipt(r), vec![]);
            }),
        ),
    ];
    insta::assert_snapshot!(cases.map(|(what, said)| format!("{what}\n  {said}")).join("\n"));
}

#[test]
fn what_comes_after() {
    let resolution = |a: &Act, receipt, resolved| {
        let (of, committed) = (a.of.clone(), Committed::new());
        Body::Resolution(Box::new(Resolution { of, receipt, resolved, by: "service_account:ada".into(), evidence: None, committed }))
    };
    let cases = [
        ("an answer nobody asked for", broken(|l, _| _ = l.push(label(2).approval(1, ApprovalStep::Approved), vec![]))),
        (
            "two answers",
            broken(|l, _| {
                for step in [ApprovalStep::Requested, ApprovalStep::Denied, ApprovalStep::Approved] {
                    l.push(label(2).approval(1, step), vec![]);
                }
            }),
        ),
        (
            "asked twice",
            broken(|l, _| {
                for step in [ApprovalStep::Requested, ApprovalStep::Requested] {
                    l.push(label(2).approval(1, step), vec![]);
                }
            }),
        ),
        ("a resolution of what is known", broken(|l, a| _ = l.push(resolution(a, entry_id(2), Disposition::Failed), vec![]))),
        ("a resolution as something else", broken(|l, a| _ = l.push(resolution(a, entry_id(2), Disposition::Skipped), vec![]))),
        ("two resolutions", {
            let mut log = realistic();
            let b = act(2, "shop.refund", Effect::Write, json!({"amount_minor": 7500, "order": "7"}));
            log.push(resolution(&b, entry_id(8), Disposition::Failed), vec![]);
            check(&log.export(0, log.size(), &[])).unwrap_err().to_string()
        }),
        ("an id used twice", {
            let mut log = realistic();
            log.entries.push(log.entries[0].clone());
            check(&log.export(0, log.size(), &[])).unwrap_err().to_string()
        }),
    ];
    insta::assert_snapshot!(cases.map(|(what, said)| format!("{what}\n  {said}")).join("\n"));
}

#[test]
fn a_verdict_that_policy_does_not_give_is_named_in_a_signed_log() {
    let mut log = Log::default();
    let a = act(1, "shop.refund", Effect::Write, json!({"amount_minor": 7500}));
    let Body::Intent(mut intent) = a.intent(1, vec![]) else { unreachable!() };
    (intent.decision.verdict, intent.decision.queues) = (Verdict::Allow, vec![]);
    log.push(Body::Intent(intent), a.openings(true));
    insta::assert_snapshot!(check(&log.export(0, 1, &[])).unwrap_err(), @"line 3, position 0, rc_01m3250zw8ee4820g30g2gc1r8, field `decision`: the entry says ALLOW, policy says REQUIRE_APPROVAL of the same request");
}

#[test]
fn the_writer_makes_no_export_that_would_not_verify() {
    let log = realistic();
    let begin = |from, to| ExportWriter::begin(Vec::new(), log.manifest(from, to)).unwrap();
    let entry = |pos: u64| Item::Entry { pos, leaf: log.entries[pos as usize].leaf.clone(), openings: vec![], erased: None };
    assert!(matches!(begin(0, 3).write(entry(1)), Err(ExportError::Order { want: 0, got: 1 })));
    assert!(matches!(begin(0, 3).write(Item::Hidden { pos: 0, hash: Digest::of(b"") }), Err(ExportError::Unfiltered(0))));
    assert!(matches!(begin(0, 1).write_all([entry(0), entry(1)]), Err(ExportError::Order { want: 1, got: 1 })));
    let mut short = begin(0, 3);
    short.write(entry(0)).unwrap();
    assert!(matches!(short.finish(&super::support::key()), Err(ExportError::Incomplete { end: 1, .. })));
    let mut other = begin(0, 1);
    other.write(Item::Entry { pos: 0, leaf: log.entries[1].leaf.clone(), openings: vec![], erased: None }).unwrap();
    assert!(matches!(other.finish(&super::support::key()), Err(ExportError::Root)));
    let mut strange = begin(0, 1);
    strange.write(entry(0)).unwrap();
    assert!(matches!(strange.finish(&ed25519_dalek::SigningKey::from_bytes(&[1; 32])), Err(ExportError::Key)));
    let spaced = Item::Entry { pos: 0, leaf: b"{ }".to_vec(), openings: vec![], erased: None };
    assert!(matches!(begin(0, 1).write(spaced), Err(ExportError::Form(_))));
}

#[test]
fn numbers_that_would_not_read_back_travel_as_text() {
    let mut log = Log::default();
    let a = act(1, "github.add_label", Effect::Write, json!({"weight": 1e17}));
    log.push(a.intent(1, vec![]), a.openings(true));
    let file = log.export(0, 1, &[]);
    assert!(file.contains(r#"{"text":"{\"weight\":100000000000000000}"}"#), "{file}");
    assert_eq!(check(&file).map(|r| (r.opened, r.recomputed)), Ok((3, 1)));
}

#[test]
fn what_a_look_settled_has_the_verdict_of_its_intent() {
    let mut log = Log::default();
    let a = act(1, "github.add_label", Effect::Write, json!({"issue": 7}));
    let intent = log.push(a.intent(1, vec![]), vec![]);
    log.push(a.attempt(1, intent, AttemptResult::Ambiguous), vec![]);
    let cited = Refs { intent: Some(intent), ..Refs::default() };
    let mut verified = a.receipt(Disposition::Applied, None, 1, cited);
    if let Body::Receipt(receipt) = &mut verified {
        receipt.decision = None;
    }
    log.push(verified, vec![]);
    let report = check(&log.export(0, 3, &[])).unwrap();
    assert_eq!(report.verdicts.get(&Verdict::Allow), Some(&1));
}
