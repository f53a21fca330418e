//! A check that cannot fail proves nothing: a sound run, and each law broken once.

use tollgate_core::hash::Digest;
use tollgate_core::id::EntryId;
use tollgate_core::ledger;

use super::*;
use crate::bench::crash::facts::{StoredEvent, StoredRun};
use crate::bench::crash::send::Job;

/// Eight events, two of each grade; the second `at_most_once` is in doubt.
struct World {
    acknowledged: Vec<Acknowledged>,
    facts: Facts,
    told: BTreeMap<(Kind, String), Told>,
    order: BTreeMap<String, Vec<String>>,
    lanes: Lanes,
}

const DOUBTFUL: usize = 6;

fn verified() -> ledger::Report {
    ledger::Report {
        log: String::new(),
        from: 0,
        to: 0,
        tree_size: 0,
        root: Digest::of(b""),
        checkpoint_at: tollgate_core::time::Timestamp::default(),
        key_id: String::new(),
        key_given: true,
        witness_size: None,
        entries: 0,
        hidden: 0,
        kinds: BTreeMap::new(),
        dispositions: BTreeMap::new(),
        verdicts: BTreeMap::new(),
        recomputed: 0,
        attested: 0,
        erased: BTreeMap::new(),
        opened: 0,
        stubs: 0,
        open_intents: Vec::new(),
    }
}

fn sound() -> World {
    let mut w =
        World { acknowledged: Vec::new(), facts: Facts::default(), told: BTreeMap::new(), order: BTreeMap::new(), lanes: Lanes::new() };
    for n in 0..8 {
        let mut job = Job::new(n);
        if job.kind == Kind::Strict {
            job.entity = "account".into();
            w.order.entry(job.entity.clone()).or_default().push(job.op.clone());
        }
        let id = format!("ev_{n}");
        let doubtful = n as usize == DOUBTFUL;
        let (disposition, result) =
            if doubtful { (Disposition::Unknown, AttemptResult::Ambiguous) } else { (Disposition::Applied, AttemptResult::Applied) };
        let operator = job.kind.word().to_owned();
        let state = if doubtful { "needs_resolution" } else { "succeeded" }.to_owned();
        w.facts.events.push(StoredEvent { id: id.clone(), n });
        w.facts.runs.push(StoredRun { event: id.clone(), operator, state, actions: 1 });
        w.facts.actions.push(StoredAction {
            tool: job.kind.tool(),
            op: job.op.clone(),
            event: id.clone(),
            disposition: Some(disposition),
            receipts: vec![disposition],
            attempts: vec![result],
        });
        w.told.insert((job.kind, job.op.clone()), Told { calls: 1, applied: 1, late: 0, doubtful: u32::from(doubtful) });
        w.facts.closed.insert(EntryId::from_bytes([n as u8; 16]), 1);
        w.lanes.entry((job.kind, job.entity.clone())).or_default().extend([Mark::Called, Mark::Applied].map(|mark| (job.op.clone(), mark)));
        w.acknowledged.push(Acknowledged { job, id, resent: 0, repeated: false, turned_away: 0, turned_away_rudely: 0 });
    }
    w.facts.verified = Some(Ok(verified()));
    w
}

fn laws(w: &World) -> Vec<&'static str> {
    let (others, lanes) = (&BTreeSet::new(), &w.lanes);
    let case = Case { sent: 8, acknowledged: &w.acknowledged, others, facts: &w.facts, told: &w.told, order: &w.order, lanes };
    let mut laws: Vec<_> = judge(&case).into_iter().map(|b| b.law).collect();
    laws.dedup();
    laws
}

fn broken_by(change: impl FnOnce(&mut World)) -> Vec<&'static str> {
    let mut w = sound();
    change(&mut w);
    laws(&w)
}

fn told(w: &mut World, n: u64) -> &mut Told {
    let job = Job::new(n);
    w.told.get_mut(&(job.kind, job.op)).unwrap()
}

#[test]
fn a_sound_run_breaks_nothing() {
    assert!(laws(&sound()).is_empty());
}

#[test]
fn lost_and_doubled_events_show() {
    assert_eq!(
        broken_by(|w| drop(w.facts.events.remove(0))),
        ["acknowledged_events_kept", "every_event_stored_once"],
        "an acknowledged event is gone"
    );
    let twice = |w: &mut World| w.facts.events.push(StoredEvent { id: "ev_again".into(), n: 0 });
    assert_eq!(broken_by(twice), ["acknowledged_events_kept"], "sent twice, stored twice");
}

#[test]
fn events_without_a_finished_run_show() {
    assert_eq!(broken_by(|w| drop(w.facts.runs.remove(0))), ["events_routed_once"]);
    assert_eq!(broken_by(|w| w.facts.runs.push(w.facts.runs[0].clone())), ["events_routed_once"]);
    assert_eq!(broken_by(|w| w.facts.runs[0].operator = "strict".into()), ["events_routed_once"]);
    assert_eq!(broken_by(|w| w.facts.runs[0].state = "running".into()), ["runs_finished"]);
}

#[test]
fn an_action_without_exactly_one_receipt_shows() {
    assert_eq!(broken_by(|w| w.facts.actions[0].receipts.clear()), ["one_disposition_one_receipt"]);
    assert_eq!(broken_by(|w| w.facts.actions[0].receipts.push(Disposition::Applied)), ["one_disposition_one_receipt"]);
}

#[test]
fn doubled_and_lost_effects_show_in_every_grade() {
    let names = ["keyed_exactly_once", "verifiable_exactly_once", "at_most_once_never_twice", "strict_exactly_once"];
    for (n, name) in (0..4).zip(names) {
        assert_eq!(broken_by(|w| told(w, n).applied = 2), [name]);
        assert_eq!(broken_by(|w| told(w, n).applied = 0), [name], "receipted `applied`, and nothing happened");
    }
    assert_eq!(broken_by(|w| told(w, DOUBTFUL as u64).applied = 2), ["at_most_once_never_twice"]);
    assert!(broken_by(|w| told(w, DOUBTFUL as u64).applied = 0).is_empty(), "doubt may end either way");
}

#[test]
fn a_failed_action_that_took_effect_shows() {
    let failed = |w: &mut World| {
        w.facts.actions[0].disposition = Some(Disposition::Failed);
        w.facts.actions[0].receipts = vec![Disposition::Failed];
    };
    assert_eq!(broken_by(failed), ["keyed_exactly_once"]);
}

#[test]
fn a_guess_in_doubt_shows() {
    let guessed = |w: &mut World| {
        w.facts.actions[DOUBTFUL].disposition = Some(Disposition::Applied);
        w.facts.actions[DOUBTFUL].receipts = vec![Disposition::Applied];
    };
    assert_eq!(broken_by(guessed), ["doubt_is_receipted_unknown"]);
    assert_eq!(broken_by(|w| w.facts.actions[DOUBTFUL].attempts = vec![AttemptResult::Applied]), ["doubt_is_receipted_unknown"]);
}

#[test]
fn an_effect_nobody_asked_for_shows() {
    let unasked = |w: &mut World| {
        w.told.insert((Kind::Once, "op-x".into()), Told { applied: 1, ..Told::default() });
    };
    assert_eq!(broken_by(unasked), ["nothing_unasked"]);
}

#[test]
fn a_changed_order_shows() {
    assert_eq!(broken_by(|w| w.order.get_mut("account").unwrap().reverse()), ["strict_order"]);
}

#[test]
fn a_ledger_with_a_gap_shows() {
    assert_eq!(broken_by(|w| *w.facts.closed.get_mut(&EntryId::from_bytes([0; 16])).unwrap() = 0), ["intents_closed_once"]);
    assert_eq!(broken_by(|w| *w.facts.closed.get_mut(&EntryId::from_bytes([0; 16])).unwrap() = 2), ["intents_closed_once"]);
    assert_eq!(broken_by(|w| w.facts.verified = Some(Err("a leaf is missing".into()))), ["ledger_verifies"]);
    assert_eq!(broken_by(|w| w.facts.verified = None), ["ledger_verifies"]);
}

#[test]
fn effects_of_one_lane_that_interleave_show() {
    let lane = |w: &mut World, marks: &[(&str, Mark)]| {
        w.lanes.insert((Kind::Keyed, "shared".into()), marks.iter().map(|(op, mark)| ((*op).to_owned(), *mark)).collect());
    };
    let (called, applied) = (Mark::Called, Mark::Applied);
    assert_eq!(broken_by(|w| lane(w, &[("a", called), ("b", called), ("a", applied), ("b", applied)])), ["lanes_one_by_one"]);
    assert_eq!(broken_by(|w| lane(w, &[("a", called), ("b", called), ("b", applied), ("a", applied)])), ["lanes_one_by_one"]);
    let late = [("a", called), ("a", called), ("a", applied), ("b", called), ("a", called), ("b", applied)];
    assert!(broken_by(|w| lane(w, &late)).is_empty(), "a call that comes late and does nothing");
    assert!(broken_by(|w| lane(w, &[("a", called), ("b", called), ("b", applied)])).is_empty(), "the first took no effect");
}
