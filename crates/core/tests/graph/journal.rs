//! What a replay says when a journal and a graph do not agree, and hashes that are fixed for ever.

use serde_json::json;
use tollgate_core::graph::{EntryKind, GraphPlan, JournalEntry, Outcome, Stored, check_journal, replay, run_request, step_request};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;

use super::drive::{Run, kept};
use super::support::plan;

fn run_through(plan: &GraphPlan) -> Run<'_> {
    let mut run = Run::start(plan);
    for i in 0..plan.len() {
        run.finish(i, Outcome::Succeeded);
    }
    run
}

fn said(plan: &GraphPlan, journal: &[JournalEntry]) -> String {
    replay(plan, journal).map_or_else(|m| m.to_string(), |_| "agrees".to_owned())
}

#[test]
fn another_graph_is_noticed_at_once() {
    let (plan, other) = (plan(&["a", "b: a"]), plan(&["a", "b"]));
    let journal = run_through(&plan).journal;
    assert_eq!(said(&plan, &journal), "agrees");
    assert_eq!(replay(&other, &journal).unwrap_err().seq, 0);
    insta::assert_snapshot!(said(&other, &journal), @"entry 0 of the run's journal is not what its graph leads to: expected the request 94637a47cc386ac80ba00d87579f99fb4879d6a98e693a7b52088e6452fb4bd5 of the run, found 47b46bd814e83832534d999ba856b5023e16ad33691c3cbc0ac87a70ab88d8ad");
    assert_eq!(replay(&plan, &[]).unwrap_err().found, "nothing");
}

#[test]
fn another_result_is_noticed_where_it_is_read() {
    let plan = plan(&["a", "b", "c: a"]);
    let mut run = run_through(&plan);
    run.journal[1].result = Some(kept(&json!({"of": 9})));
    let found = replay(&plan, &run.journal).unwrap_err();
    assert_eq!((found.seq, found.expected.ends_with("of step `c`")), (3, true), "{found}");
    // Nobody reads the output of `c`: only the progress that was kept with the journal can tell.
    let mut run = run_through(&plan);
    run.journal[3].result = None;
    assert_eq!(said(&plan, &run.journal), "agrees");
    let short = check_journal(&plan, &run.journal[..3], &run.progress).unwrap_err();
    assert_eq!((short.seq, short.expected.as_str(), short.found.as_str()), (2, "4 entries", "3 entries"));
    insta::assert_snapshot!(check_journal(&plan, &run.journal, &run.progress).unwrap_err(), @"entry 3 of the run's journal is not what its graph leads to: expected the journal that the kept progress was written with, found one with another content up to here");
}

#[test]
fn what_the_graph_does_not_lead_to_is_noticed() {
    let plan = plan(&["a", "b: a"]);
    let good = run_through(&plan).journal;
    let with = |i: usize, f: &dyn Fn(&mut JournalEntry)| {
        let mut bad = good.clone();
        f(&mut bad[i]);
        said(&plan, &bad)
    };
    let mut all = vec![
        with(0, &|e| e.kind = EntryKind::Resumed),
        with(0, &|e| e.result = None),
        with(1, &|e| e.kind = EntryKind::Cancelled),
        with(1, &|e| e.step = None),
        with(1, &|e| e.seq = 2),
        with(2, &|e| e.run = RunId::from_bytes([8; 16])),
        with(2, &|e| e.step = Some(7)),
        with(2, &|e| e.semantics_version = 2),
    ];
    let mut twice = good.clone();
    twice.push(JournalEntry { seq: 3, ..good[2].clone() });
    all.push(said(&plan, &twice));
    let mut resumed = good.clone();
    resumed.push(JournalEntry { seq: 3, kind: EntryKind::Resumed, step: None, result: None, ..good[0].clone() });
    all.push(said(&plan, &resumed));
    let mut cancelled = Run::start(&plan);
    cancelled.cancel();
    cancelled.journal[1].request_hash = good[1].request_hash;
    all.push(said(&plan, &cancelled.journal));
    insta::assert_snapshot!(all.join("\n"), @r#"
    entry 0 of the run's journal is not what its graph leads to: expected `started`, found `resumed`
    entry 0 of the run's journal is not what its graph leads to: expected the run's input, found none
    entry 1 of the run's journal is not what its graph leads to: expected no `cancelled` of step `a`, since the run is not being cancelled, found one
    entry 1 of the run's journal is not what its graph leads to: expected a step in an entry `succeeded`, found none
    entry 1 of the run's journal is not what its graph leads to: expected entry 1, found entry 2
    entry 2 of the run's journal is not what its graph leads to: expected an entry of run_070w3ge1r70w3ge1r70w3ge1r7, found one of run_081040g2081040g2081040g208
    entry 2 of the run's journal is not what its graph leads to: expected one of 2 steps, found step 7
    entry 2 of the run's journal is not what its graph leads to: expected semantics version 1, which this program knows, found version 2
    entry 3 of the run's journal is not what its graph leads to: expected no `succeeded` of step `b`, since step 1 is `succeeded`: it cannot end in this way now, found one
    entry 3 of the run's journal is not what its graph leads to: expected no `resumed`, since the run is `succeeded`, found one
    entry 1 of the run's journal is not what its graph leads to: expected the request 47b46bd814e83832534d999ba856b5023e16ad33691c3cbc0ac87a70ab88d8ad of the run, found 7cc31df520ad8763901adcc0db6940ab3e1cda3b9216b2e64f18674c32ca98e3
    "#);
}

#[test]
fn a_request_binds_what_the_step_reads_and_nothing_else() {
    let plan = plan(&["a", "b", "c: a"]);
    let (input, x, y) = (Digest::of(b"i"), Digest::of(b"x"), Digest::of(b"y"));
    let c = |a: Option<Digest>, b: Option<Digest>| step_request(&plan, 2, input, |i| [a, b, None][i]).unwrap();
    assert_eq!(c(Some(x), Some(x)), c(Some(x), Some(y)), "`b` is not read");
    assert_ne!(c(Some(x), None), c(Some(y), None));
    assert_ne!(c(None, None), c(Some(Digest([0; 32])), None), "no output is not an output");
    assert_ne!(step_request(&plan, 0, input, |_| None), step_request(&plan, 1, input, |_| None), "the step counts");
    assert_ne!(step_request(&plan, 0, input, |_| None), step_request(&plan, 0, x, |_| None), "the input counts");
    assert_eq!(step_request(&plan, 3, input, |_| None), None);
}

/// Fixed for ever: journals hold them.
#[test]
fn hashes_and_forms_are_fixed() {
    let plan = plan(&["a", "b!: a"]);
    let input = Digest::of(b"{}");
    insta::assert_snapshot!(run_request(&plan, input), @"b454c064f571324e064115dbe568b6de5a8ed7f19d0c67408066dc378608033f");
    insta::assert_snapshot!(step_request(&plan, 1, input, |_| Some(input)).unwrap(), @"13dff848ef940f6648ba431bb04a79f9d5a0af047696d011ca678a507ac68256");
    let run = run_through(&plan);
    insta::assert_snapshot!(serde_json::to_string(&run.journal[1]).unwrap(), @r#"{"run":"run_070w3ge1r70w3ge1r70w3ge1r7","seq":1,"kind":"succeeded","step":0,"request_hash":"2bd7818eed4da9d3b5ba65febf9aaa0f9e2ad0ca386c5dd634bd0f263723d7a2","result":{"inline":{"how":"Succeeded","of":0}},"semantics_version":1}"#);
    insta::assert_snapshot!(run.progress.to_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>(), @"01000383a629072f44f2060244c25e3abd");
    let read: JournalEntry = serde_json::from_str(&serde_json::to_string(&run.journal[1]).unwrap()).unwrap();
    assert_eq!(read, run.journal[1]);
    let words: Vec<_> = EntryKind::ALL.iter().map(|k| (k.as_int(), k.as_str())).collect();
    insta::assert_compact_debug_snapshot!(words, @r#"[(0, "started"), (1, "cancelling"), (2, "resumed"), (3, "succeeded"), (4, "failed"), (5, "deferred"), (6, "unknown"), (7, "cancelled")]"#);
    assert!(EntryKind::ALL.iter().all(|k| EntryKind::parse(k.as_str()) == Some(*k) && EntryKind::from_int(k.as_int()) == Some(*k)));
}

#[test]
fn a_large_result_and_its_reference_make_the_same_requests() {
    let value = json!("x".repeat(20_000));
    let (Stored::Blob(blob), Some(bytes)) = Stored::of(&value, |h| h.to_string()).unwrap() else { panic!("it is long") };
    assert_eq!(Stored::Inline(blob.open(&bytes).unwrap()).digest(), Ok(blob.hash));
}
