//! What must hold when a world has come to rest, read from the ledger, the records and the remote.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::attempt::AttemptResult;
use tollgate_core::id::ActionId;
use tollgate_core::ledger::{Body, Disposition, Entry, Frontier, leaf_hash};
use tollgate_core::ports::ActionRecord;
use tollgate_core::spec::Grade;
use tollgate_testkit::scope;

use crate::house::{House, HouseError};

/// A law that no history may break.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Law {
    /// No effect twice for one key.
    OneEffect,
    /// `at_most_once` is never called twice, and what is doubtful is `unknown`.
    AtMostOnce,
    /// What took effect in a run that was cancelled meanwhile is undone by one action, and nothing else is.
    Undone,
    /// What the ledger says took effect did, and nothing else.
    Truth,
    /// Effects of one lane do not interleave; strict lanes keep the order of events.
    Lanes,
    /// One intent per attempt, closed by exactly one result.
    Attempts,
    /// One receipt per action.
    Receipts,
    /// No event unrouted, no run and no action lost.
    Complete,
    /// The ledger is whole, and its frontier is that of its leaves.
    Ledger,
    /// An export of the ledger verifies with nothing but the file and the public key.
    Verifiable,
    /// Nothing is left in a queue that nobody will ever look at.
    Stranded,
    /// No write of a lost lease is accepted.
    Fence,
    /// No more steps are held than a limit over them allows.
    Limits,
    /// A run of a graph has one result of each step, and none before what the step depends on.
    Graph,
    /// Whoever follows the changes of state knows how everything stands, and was told of each change once.
    Told,
    /// Leases stand and lapse by the store's clock.
    Lease,
    /// The world comes to rest.
    Rest,
}

/// A law that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which.
    pub law: Law,
    /// How.
    pub what: String,
}

impl Fault {
    /// A fault.
    pub fn new(law: Law, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.law, self.what)
    }
}

/// All that is checked on the ledger alone, and on the actions that it names.
pub(crate) struct Checks<'a> {
    pub(crate) ledger: &'a [Entry],
    pub(crate) actions: &'a BTreeMap<ActionId, ActionRecord>,
    pub(crate) faults: Vec<Fault>,
}

impl Checks<'_> {
    fn fault(&mut self, law: Law, what: impl Into<String>) {
        self.faults.push(Fault::new(law, what));
    }

    /// One intent per attempt, each closed by exactly one result; one receipt per disposed action, and none for others.
    pub(crate) fn entries(&mut self) {
        let (mut intents, mut ends, mut receipts): (BTreeMap<_, u32>, BTreeMap<_, u32>, BTreeMap<ActionId, u32>) = Default::default();
        for entry in self.ledger {
            match &entry.body {
                Body::Intent(i) => *intents.entry((i.of.action, i.attempt)).or_default() += 1,
                Body::Attempt(a) => *ends.entry((a.of.action, a.attempt)).or_default() += 1,
                Body::Receipt(r) => *receipts.entry(r.of.action).or_default() += 1,
                _ => {}
            }
        }
        let many = |m: &BTreeMap<(ActionId, u32), u32>, what: &str| {
            m.iter().filter(|(_, n)| **n != 1).map(|(k, n)| Fault::new(Law::Attempts, format!("{n} {what} of {k:?}"))).collect::<Vec<_>>()
        };
        self.faults.extend(many(&intents, "intents"));
        self.faults.extend(many(&ends, "results"));
        for k in ends.keys().filter(|k| !intents.contains_key(*k)) {
            self.faults.push(Fault::new(Law::Attempts, format!("a result without an intent: {k:?}")));
        }
        for (id, record) in self.actions {
            let open = intents.keys().filter(|(a, n)| a == id && !ends.contains_key(&(*a, *n))).count();
            if open != usize::from(record.open.is_some()) {
                self.faults.push(Fault::new(Law::Attempts, format!("{open} open intents of {id}, which is {}", record.state)));
            }
            let n = receipts.remove(id).unwrap_or(0);
            if n != u32::from(record.state.is_disposed()) {
                self.faults.push(Fault::new(Law::Receipts, format!("{n} receipts of {id}, which is {}", record.state)));
            }
        }
        for id in receipts.keys() {
            self.faults.push(Fault::new(Law::Receipts, format!("a receipt of {id}, which nobody proposed")));
        }
    }

    /// Between an action's first intent and its end, nobody else in its lane has one.
    pub(crate) fn lanes(&mut self) {
        let mut holder: BTreeMap<String, ActionId> = BTreeMap::new();
        for entry in self.ledger {
            let (of, begins) = match &entry.body {
                Body::Intent(i) => (&i.of, true),
                Body::Receipt(r) if r.disposition != Disposition::Unknown => (&r.of, false),
                Body::Resolution(r) => (&r.of, false),
                // Nothing holds a lane while a person thinks.
                Body::Approval(a) => (&a.of, false),
                // Nor while what undoes waits for another policy: it did not happen until then.
                Body::Attempt(a) if self.undoes(a.of.action) && matches!(a.result, AttemptResult::Rejected | AttemptResult::NotSent) => {
                    (&a.of, false)
                }
                _ => continue,
            };
            let Some(entity) = self.actions.get(&of.action).and_then(|a| a.proposal.entity_key.clone()) else { continue };
            match holder.get(&entity).copied() {
                Some(by) if by != of.action && begins => {
                    self.fault(Law::Lanes, format!("{} was called in the lane `{entity}` while {by} held it", of.action));
                    holder.insert(entity, of.action);
                }
                Some(by) if by == of.action && !begins => drop(holder.remove(&entity)),
                None if begins => drop(holder.insert(entity, of.action)),
                _ => {}
            }
        }
    }

    fn undoes(&self, id: ActionId) -> bool {
        self.actions.get(&id).is_some_and(|a| a.compensates.is_some())
    }

    /// Of what was under way when its run was cancelled, what took effect is undone by one action, if its tool can be; nothing else is.
    pub(crate) fn undone(&mut self, under_way: &BTreeSet<ActionId>, took_effect: &dyn Fn(&ActionRecord) -> bool) {
        let mut undone: BTreeMap<ActionId, u32> = BTreeMap::new();
        self.actions.values().filter_map(|a| a.compensates).for_each(|of| *undone.entry(of).or_default() += 1);
        for (id, a) in self.actions {
            let due = under_way.contains(id) && a.proposal.tool.ends_with("_undo") && took_effect(a);
            let n = undone.get(id).copied().unwrap_or(0);
            if n != u32::from(due) {
                self.faults.push(Fault::new(Law::Undone, format!("{n} actions undo {id}, which ended {:?}", a.disposition)));
            }
        }
    }

    /// In a strict lane the first intents stand in the order of events, and within one in the order of its plan.
    pub(crate) fn strict_order(&mut self, order: &BTreeMap<ActionId, (usize, u32)>) {
        let mut last: BTreeMap<String, (usize, u32)> = BTreeMap::new();
        for entry in self.ledger {
            let Body::Intent(i) = &entry.body else { continue };
            let (Some(a), Some(place)) = (self.actions.get(&i.of.action), order.get(&i.of.action)) else { continue };
            let entity = a.proposal.entity_key.clone().unwrap_or_default();
            if last.get(&entity).is_some_and(|l| l > place) {
                self.fault(Law::Lanes, format!("{} was called after a later event's action in `{entity}`", i.of.action));
            }
            last.insert(entity, *place);
        }
    }

    /// What may be called once at most, was; and when nobody knows, nobody says that it did or did not happen.
    pub(crate) fn at_most_once(&mut self, grade: &dyn Fn(&str) -> Option<Grade>) {
        let mut doubtful: BTreeMap<ActionId, u32> = BTreeMap::new();
        let mut called: BTreeMap<String, BTreeSet<(ActionId, u32)>> = BTreeMap::new();
        for entry in self.ledger {
            let Body::Attempt(a) = &entry.body else { continue };
            let Some(record) = self.actions.get(&a.of.action).filter(|r| grade(&r.proposal.tool) == Some(Grade::AtMostOnce)) else {
                continue;
            };
            if let Some(n) = doubtful.get(&a.of.action) {
                self.faults
                    .push(Fault::new(Law::AtMostOnce, format!("{} was called again after its attempt {n} was in doubt", a.of.action)));
            }
            if a.result == AttemptResult::Ambiguous {
                doubtful.insert(a.of.action, a.attempt);
            }
            if a.result == AttemptResult::Applied {
                let key = record.proposal.idempotency_key.clone().unwrap_or_default();
                called.entry(key).or_default().insert((a.of.action, a.attempt));
            }
        }
        for (key, calls) in called.iter().filter(|(_, c)| c.len() > 1) {
            self.faults.push(Fault::new(Law::AtMostOnce, format!("the key `{key}` was applied by {calls:?}")));
        }
        for id in doubtful.keys() {
            let is = self.actions.get(id).and_then(|a| a.disposition);
            if is != Some(Disposition::Unknown) {
                self.faults.push(Fault::new(Law::AtMostOnce, format!("{id} is in doubt and was disposed {is:?}")));
            }
        }
    }
}

/// Leaf by leaf, the ledger is what its frontier says.
///
/// # Errors
/// When the store says no.
pub(crate) async fn ledger(h: &House) -> Result<Vec<Fault>, HouseError> {
    let stored = h.store.entries(scope(), 0, 1_000_000).await?;
    let frontier = h.store.frontier(scope()).await?;
    let hashes = h.store.leaf_hashes(scope(), 0, frontier.size()).await?;
    let (mut grown, mut faults) = (Frontier::new(), Vec::new());
    for (i, e) in stored.iter().enumerate() {
        let hash = leaf_hash(&e.leaf);
        if e.position != Some(i as u64) || e.leaf_hash != hash || hashes.get(i) != Some(&hash) {
            faults.push(Fault::new(Law::Ledger, format!("the entry at {i} is not what its place and hash say")));
        }
        if grown.append(hash, |_, _, _| {}).is_err() {
            faults.push(Fault::new(Law::Ledger, "the log is full"));
        }
    }
    if grown != frontier || hashes.len() != stored.len() {
        faults.push(Fault::new(
            Law::Ledger,
            format!("the frontier over {} entries is not that of its {} leaves", frontier.size(), stored.len()),
        ));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tollgate_core::spec::Ordering;
    use tollgate_testkit::Behaviour;

    use super::*;

    /// Two actions of one lane, the second in doubt for ever.
    async fn world() -> (Vec<Entry>, BTreeMap<ActionId, ActionRecord>) {
        let h = House::new(1, Ordering::Relaxed).unwrap();
        let w = h.worker().await.unwrap();
        h.remote.script([Behaviour::Apply, Behaviour::Lose]);
        let in_lane = |id: &str| {
            let mut action = House::action("remote.once", id);
            action["entity_key"] = Value::from("e");
            action
        };
        h.send(&[in_lane("a"), in_lane("b")]).await.unwrap();
        h.settle(&w).await.unwrap();
        (h.ledger().await.unwrap(), h.actions().await.unwrap())
    }

    fn broken(ledger: &[Entry], actions: &BTreeMap<ActionId, ActionRecord>) -> BTreeSet<Law> {
        let mut checks = Checks { ledger, actions, faults: Vec::new() };
        checks.entries();
        checks.lanes();
        checks.at_most_once(&|_| Some(Grade::AtMostOnce));
        checks.strict_order(&actions.iter().map(|(id, a)| (*id, (0, a.seq))).collect());
        checks.faults.into_iter().map(|f| f.law).collect()
    }

    #[tokio::test]
    async fn each_law_of_the_ledger_can_be_broken() {
        let (ledger, actions) = world().await;
        let kinds: Vec<_> = ledger.iter().map(|e| e.body.kind().as_str()).collect();
        assert_eq!(kinds, ["intent", "attempt", "receipt", "intent", "attempt", "receipt"]);
        assert_eq!(broken(&ledger, &actions), BTreeSet::new());
        let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut l = ledger.clone();
            change(&mut l);
            broken(&l, &actions)
        };
        let again = |l: &mut Vec<Entry>, i: usize| l.insert(i, l[i].clone());
        assert_eq!(changed(&|l| drop(l.remove(0))), [Law::Attempts].into(), "no intent");
        assert_eq!(changed(&|l| drop(l.remove(1))), [Law::Attempts].into(), "no result");
        assert_eq!(changed(&|l| again(l, 0)), [Law::Attempts].into(), "two intents");
        assert_eq!(changed(&|l| again(l, 1)), [Law::Attempts].into(), "two results");
        assert_eq!(changed(&|l| drop(l.remove(5))), [Law::Receipts].into(), "no receipt");
        assert_eq!(changed(&|l| again(l, 2)), [Law::Receipts].into(), "two receipts");
        assert_eq!(changed(&|l| l.swap(2, 3)), [Law::Lanes].into(), "called before the first ended");
        assert_eq!(changed(&|l| l.rotate_left(3)), [Law::Lanes].into(), "the later event first");
        assert_eq!(changed(&|l| again(l, 4)), [Law::Attempts, Law::AtMostOnce].into(), "called again in doubt");
    }

    #[tokio::test]
    async fn an_unplanned_receipt_is_seen() {
        let (ledger, mut actions) = world().await;
        actions.pop_last();
        assert_eq!(broken(&ledger, &actions), [Law::Receipts].into());
    }
}
