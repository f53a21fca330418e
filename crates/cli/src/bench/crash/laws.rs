//! The promises, each a law with a name: what the node told, what the store kept and what the upstream counted must agree. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::attempt::AttemptResult;
use tollgate_core::ledger::Disposition;

use super::effects::{Lanes, Mark, Told};
use super::facts::{Facts, StoredAction};
use super::send::Acknowledged;
use super::spec::Kind;

/// A law that does not hold, and where.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Broken {
    /// Its name.
    pub law: &'static str,
    /// What was found.
    pub detail: String,
}

/// Everything that is compared.
pub struct Case<'a> {
    /// How many events were to be sent.
    pub sent: u64,
    /// What the node acknowledged.
    pub acknowledged: &'a [Acknowledged],
    /// Operations that were asked for otherwise than by an event.
    pub others: &'a BTreeSet<(Kind, String)>,
    /// What the store kept.
    pub facts: &'a Facts,
    /// What the upstream counted.
    pub told: &'a BTreeMap<(Kind, String), Told>,
    /// In which order its entities changed.
    pub order: &'a BTreeMap<String, Vec<String>>,
    /// What happened in each lane.
    pub lanes: &'a Lanes,
}

/// Judges; an empty list is what is hoped for.
pub fn judge(case: &Case<'_>) -> Vec<Broken> {
    let mut out = Vec::new();
    events(case, &mut out);
    runs(case, &mut out);
    for action in &case.facts.actions {
        one_disposition(action, &mut out);
        effect(case, action, &mut out);
    }
    asked_for(case, &mut out);
    order(case, &mut out);
    lanes(case, &mut out);
    ledger(case, &mut out);
    out
}

fn broken(out: &mut Vec<Broken>, law: &'static str, detail: String) {
    out.push(Broken { law, detail });
}

/// No acknowledged event is lost, and none is there twice.
fn events(case: &Case<'_>, out: &mut Vec<Broken>) {
    let mut by_n: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for e in &case.facts.events {
        by_n.entry(e.n).or_default().push(&e.id);
    }
    for a in case.acknowledged {
        match by_n.get(&a.job.n).map(Vec::as_slice) {
            Some([id]) if *id == a.id => {}
            found => {
                let found = found.unwrap_or_default().join(", ");
                let why = format!("event {} was acknowledged as `{}`, the store has `{found}`", a.job.n, a.id);
                broken(out, "acknowledged_events_kept", why);
            }
        }
    }
    let (acknowledged, stored) = (case.acknowledged.len() as u64, by_n.len() as u64);
    if acknowledged != case.sent || stored != case.sent {
        broken(out, "every_event_stored_once", format!("{} sent, {acknowledged} acknowledged, {stored} stored", case.sent));
    }
}

/// Each event has one run, of its operator, with one action, and the run is over.
fn runs(case: &Case<'_>, out: &mut Vec<Broken>) {
    let mut by_event: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for r in &case.facts.runs {
        by_event.entry(&r.event).or_default().push(r);
    }
    let mut actions: BTreeMap<&str, u32> = BTreeMap::new();
    for a in &case.facts.actions {
        *actions.entry(&a.event).or_default() += 1;
    }
    for a in case.acknowledged {
        let found = by_event.get(a.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let [run] = found else {
            broken(out, "events_routed_once", format!("event {} has {} runs", a.job.n, found.len()));
            continue;
        };
        let there = actions.get(a.id.as_str()).copied().unwrap_or(0);
        if run.operator != a.job.kind.word() || run.actions != 1 || there != 1 {
            let why = format!("event {} went to `{}` and made {} actions, {there} of them stored", a.job.n, run.operator, run.actions);
            broken(out, "events_routed_once", why);
        }
        if !matches!(run.state.as_str(), "succeeded" | "failed" | "needs_resolution") {
            broken(out, "runs_finished", format!("the run of event {} is `{}`", a.job.n, run.state));
        }
    }
}

fn one_disposition(a: &StoredAction, out: &mut Vec<Broken>) {
    if a.disposition.is_none() || a.receipts.as_slice() != a.disposition.as_slice() {
        broken(out, "one_disposition_one_receipt", format!("`{}` of {}: {:?}, receipts {:?}", a.op, a.tool, a.disposition, a.receipts));
    }
}

/// What the receipt says is what the upstream counted.
fn effect(case: &Case<'_>, a: &StoredAction, out: &mut Vec<Broken>) {
    let Some(kind) = Kind::ALL.into_iter().find(|k| k.tool() == a.tool) else {
        return broken(out, "nothing_unasked", format!("an action of the tool `{}` that nobody asked for", a.tool));
    };
    let told = case.told.get(&(kind, a.op.clone())).copied().unwrap_or_default();
    let right = match (a.disposition, kind) {
        (Some(Disposition::Applied), _) => told.applied == 1,
        (Some(Disposition::Failed | Disposition::Refused), _) => told.applied == 0,
        (Some(Disposition::Unknown), Kind::Once) => told.applied <= 1,
        // The other grades can always find out.
        _ => false,
    };
    if !right {
        let disposition = a.disposition.map_or("none", Disposition::as_str);
        broken(out, law_of(kind), format!("`{}` ended `{disposition}` and took effect {} times", a.op, told.applied));
    }
    if kind == Kind::Once {
        doubt(a, told, out);
    }
}

const fn law_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Keyed => "keyed_exactly_once",
        Kind::Verifiable => "verifiable_exactly_once",
        Kind::Once => "at_most_once_never_twice",
        Kind::Strict => "strict_exactly_once",
    }
}

/// Nobody guesses: what is in doubt is receipted `unknown`, and nothing else is.
fn doubt(a: &StoredAction, told: Told, out: &mut Vec<Broken>) {
    let ambiguous = a.attempts.contains(&AttemptResult::Ambiguous);
    let unknown = a.receipts.contains(&Disposition::Unknown);
    if unknown != ambiguous || (told.doubtful > 0 && !unknown) {
        let why = format!("`{}`: attempts {:?}, {} answers lost, receipts {:?}", a.op, a.attempts, told.doubtful, a.receipts);
        broken(out, "doubt_is_receipted_unknown", why);
    }
}

/// The upstream was called for nothing but acknowledged events, and what else was asked for.
fn asked_for(case: &Case<'_>, out: &mut Vec<Broken>) {
    let events = case.acknowledged.iter().map(|a| (a.job.kind, a.job.op.as_str()));
    let asked: BTreeSet<(Kind, &str)> = events.chain(case.others.iter().map(|(kind, op)| (*kind, op.as_str()))).collect();
    for (kind, op) in case.told.keys().filter(|(k, op)| !asked.contains(&(*k, op.as_str()))) {
        broken(out, "nothing_unasked", format!("`{op}` was called at `{}`", kind.word()));
    }
}

/// Per entity, effects come in the order of their events.
fn order(case: &Case<'_>, out: &mut Vec<Broken>) {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for a in case.acknowledged {
        numbers.insert(&a.job.op, a.job.n);
    }
    for (entity, ops) in case.order {
        let seen: Vec<Option<u64>> = ops.iter().map(|op| numbers.get(op.as_str()).copied()).collect();
        if let Some(at) = seen.windows(2).position(|w| w[0] >= w[1]) {
            broken(out, "strict_order", format!("`{entity}`: `{}` took effect before `{}`", ops[at], ops[at + 1]));
        }
    }
}

/// What takes effect in one lane comes one after the other: between the first call of an operation and its effect there is nothing of
/// another's. A call that a stopped process makes late, and that does nothing any more, breaks no lane.
fn lanes(case: &Case<'_>, out: &mut Vec<Broken>) {
    for ((kind, entity), marks) in case.lanes {
        let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
        let mut spans: Vec<(usize, usize, &str)> = Vec::new();
        for (at, (op, mark)) in marks.iter().enumerate() {
            let began = *begun.entry(op).or_insert(at);
            if *mark == Mark::Applied {
                spans.push((began, at, op));
            }
        }
        spans.sort_unstable();
        // An operation that took effect twice breaks another law.
        spans.dedup_by_key(|(began, _, _)| *began);
        if let Some([(_, _, first), (_, _, second)]) = spans.windows(2).find_map(|w| <[_; 2]>::try_from(w).ok().filter(|[a, b]| b.0 < a.1))
        {
            let lane = kind.word();
            broken(out, "lanes_one_by_one", format!("`{entity}` of {lane}: `{second}` was called before `{first}` took effect"));
        }
    }
}

fn ledger(case: &Case<'_>, out: &mut Vec<Broken>) {
    for (intent, n) in case.facts.closed.iter().filter(|(_, n)| **n != 1) {
        broken(out, "intents_closed_once", format!("`{intent}` has {n} attempt results"));
    }
    match &case.facts.verified {
        Some(Ok(report)) if report.open_intents.is_empty() => {}
        Some(Ok(report)) => broken(out, "ledger_verifies", format!("{} intents are open", report.open_intents.len())),
        Some(Err(e)) => broken(out, "ledger_verifies", e.clone()),
        None => broken(out, "ledger_verifies", "it was not checked".to_owned()),
    }
}

#[cfg(test)]
mod tests;
