//! The end of a history: nothing goes wrong any more, people answer what is asked, and then every law must hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ledger::{Body, Disposition, Entry};
use tollgate_core::ports::{ActionRecord, Clock, DurableExec, Effects, Page};
use tollgate_core::run::RunState;
use tollgate_core::spec::Ordering;
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::Verdict;
use tollgate_testkit::{Odds, TAKE_BACK, scope, spec, undo_id};

use crate::checks::{Checks, Fault, Law, ledger};
use crate::history::{History, Sent};
use crate::house::{House, HouseError};
use crate::told::told;

const ROUNDS_MAX: u32 = 400;
/// A lease and a little.
const LAPSE: u64 = 61;

impl House {
    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl History {
    pub(crate) async fn send(&mut self, plan: &[Value]) -> Result<(), HouseError> {
        let (event, run) = self.h.send(plan).await?;
        self.sent.push(Sent { event, run, actions: plan.len() });
        Ok(())
    }

    /// Brings the world to rest, lets the zombies wake in it, and sends one more action through every lane.
    pub(crate) async fn rest(&mut self) -> Result<(), HouseError> {
        self.h.fates.set_odds(Odds::CALM);
        self.h.policy.set(Verdict::Allow);
        self.h.watch.wake_blocked().await?;
        self.workers.iter().for_each(|w| w.clock.set_ahead(0));
        self.hand_over().await?;
        self.come_to_rest().await?;
        self.tasks.wake_all();
        self.work();
        // The same zombies once more: a slow answer takes two polls.
        self.tasks.wake_all();
        self.work();
        self.come_to_rest().await?;
        self.probe().await
    }

    /// All leases lapse and one worker takes what was held; the zombies wake among its work.
    async fn hand_over(&mut self) -> Result<(), HouseError> {
        self.pass(LAPSE);
        self.h.watch.reap().await?;
        self.claim(0, 64).await?;
        self.tasks.wake_all();
        self.work();
        Ok(())
    }

    fn work(&mut self) {
        self.h.remote.clear();
        loop {
            let polled = self.tasks.next(&mut self.rng);
            if !self.polled(polled) {
                return;
            }
        }
    }

    async fn come_to_rest(&mut self) -> Result<(), HouseError> {
        for _ in 0..ROUNDS_MAX {
            self.work();
            self.pass(LAPSE);
            let reaped = self.h.watch.reap().await?;
            let (fired, next) = self.h.watch.fire_timers(64).await?;
            let claimed = self.claim(0, 64).await?;
            self.work();
            let moved = reaped > 0 || fired > 0 || claimed > 0;
            let asked = self.answer_one().await? | self.resolve_one().await?;
            if moved || asked {
                continue;
            }
            match next {
                Some(at) => self.h.clock.advance_to(at),
                None if self.nobody_waits().await? => return Ok(()),
                None => {}
            }
        }
        let stuck: Vec<_> = self.h.actions().await?.into_values().filter(|a| a.state != ActionState::Done).map(|a| a.state).collect();
        self.faults.push(Fault::new(Law::Rest, format!("the world never comes to rest; actions are {stuck:?}")));
        Ok(())
    }

    /// No action waits for a person; an `unknown` waits until its remote is settled.
    async fn nobody_waits(&self) -> Result<bool, HouseError> {
        Ok(!self.h.actions().await?.values().any(House::waits_for_person))
    }

    /// A lane that nobody holds lets the next one through, and so does a key.
    async fn probe(&mut self) -> Result<(), HouseError> {
        let ids: Vec<String> = self.tools.keys().cloned().collect();
        let entities: BTreeSet<&str> = ids.iter().filter_map(|id| id.split_once('-')).map(|(e, _)| e).collect();
        let probes: Vec<String> = entities.into_iter().map(|e| format!("{e}-probe")).collect();
        for id in probes {
            let plan = [self.action(&id)];
            self.send(&plan).await?;
            self.tools.insert(id, "remote.keyed");
        }
        // Every old key again: consumed ones are duplicates, free ones take effect now.
        let mut plan: Vec<Value> = ids.iter().map(|id| self.action(id)).collect();
        plan.iter_mut().filter_map(Value::as_object_mut).for_each(|a| drop(a.insert("continue".to_owned(), json!(true))));
        self.send(&plan).await?;
        self.come_to_rest().await
    }

    /// Every law.
    pub(crate) async fn check(&mut self) -> Result<(), HouseError> {
        let actions = self.h.actions().await?;
        let entries = self.h.ledger().await?;
        let grades = spec(self.ordering).tools;
        let mut checks = Checks { ledger: &entries, actions: &actions, faults: std::mem::take(&mut self.faults) };
        checks.faults.extend(self.h.watch.faults());
        checks.entries();
        checks.lanes();
        checks.at_most_once(&|tool| grades.get(tool).map(|t| t.grade));
        if self.ordering == Ordering::Strict {
            // What undoes comes when it may, not when its event does.
            let planned = actions.iter().filter(|(_, a)| a.compensates.is_none());
            let runs = planned.map(|(id, a)| (*id, (a.run, a.seq))).collect();
            checks.strict_order(&self.order(&runs));
        }
        let resolved = resolved(&entries);
        let took_effect = |a: &ActionRecord| a.disposition == Some(Disposition::Applied) || resolved.contains(&a.id);
        checks.undone(&self.under_way, &took_effect);
        self.faults = checks.faults;
        self.faults.extend(ledger(&self.h).await?);
        self.faults.extend(told(&self.h, &actions).await?);
        self.effects(&actions, &took_effect);
        self.complete(&actions).await?;
        self.graphs_ended().await?;
        self.stranded().await?;
        self.faults.extend(self.h.unverifiable().await?);
        // The order of entries and their salts come from the seed: the root is a word over all of them.
        self.h.fates.note(&self.h.store.frontier(scope()).await?.root().0);
        Ok(())
    }

    /// The remote agrees with the ledger, key by key.
    fn effects(&mut self, actions: &BTreeMap<ActionId, ActionRecord>, took_effect: &dyn Fn(&ActionRecord) -> bool) {
        let own = self.tools.iter().map(|(id, tool)| (id.clone(), *tool));
        let undoing = self.tools.iter().filter(|(_, tool)| tool.ends_with("_undo")).map(|(id, _)| (undo_id(id), TAKE_BACK));
        for (id, tool) in own.chain(undoing) {
            let n = self.h.remote.effects(&id, self.h.clock.now());
            if n > 1 {
                self.faults.push(Fault::new(Law::OneEffect, format!("{n} effects of `{id}` by {tool}")));
            }
            let of_id = actions.values().filter(|a| a.proposal.args.get("id").and_then(Value::as_str) == Some(id.as_str()));
            let applied = of_id.filter(|a| took_effect(a)).count();
            if n != applied {
                self.faults.push(Fault::new(Law::Truth, format!("{n} effects of `{id}` by {tool}, and {applied} in the ledger")));
            }
            if id.ends_with("-probe") && applied != 1 {
                self.faults.push(Fault::new(Law::Stranded, format!("the lane of `{id}` lets nobody through")));
            }
        }
    }

    async fn complete(&mut self, actions: &BTreeMap<ActionId, ActionRecord>) -> Result<(), HouseError> {
        let mut of_run: BTreeMap<RunId, usize> = BTreeMap::new();
        for a in actions.values() {
            *of_run.entry(a.run).or_default() += usize::from(a.compensates.is_none());
            if a.state != ActionState::Done {
                self.faults.push(Fault::new(Law::Complete, format!("{} is {} at rest", a.id, a.state)));
            }
        }
        let page = Page { before: None, limit: 100_000 };
        let runs = self.h.store.list_runs(scope(), Default::default(), page).await?;
        let runs: BTreeMap<RunId, _> = runs.into_iter().map(|l| (l.item.id, l.item)).collect();
        for sent in &self.sent {
            let run = runs.get(&sent.run).filter(|r| r.event == Some(sent.event));
            let state = run.map(|r| r.state);
            let n = of_run.get(&sent.run).copied().unwrap_or(0);
            let cancelled_unplanned = n == 0 && state == Some(RunState::Cancelled);
            if !state.is_some_and(RunState::is_final) || (n != sent.actions && !cancelled_unplanned) {
                self.faults.push(Fault::new(Law::Complete, format!("{} is {state:?} with {n} of {} actions", sent.run, sent.actions)));
            }
        }
        let (events, graphs) = (self.sent.len(), self.graphs.len());
        if runs.len() != events + graphs {
            self.faults.push(Fault::new(Law::Complete, format!("{events} events, {graphs} graphs and {} runs", runs.len())));
        }
        Ok(())
    }

    /// No step is ready, held or timed.
    async fn stranded(&mut self) -> Result<(), HouseError> {
        self.pass(LAPSE);
        let (ready, held) = (self.h.watch.pending().await?, self.h.watch.reap().await?);
        let (fired, next) = self.h.watch.fire_timers(64).await?;
        if ready || held > 0 || fired > 0 || next.is_some() {
            self.faults.push(Fault::new(Law::Stranded, format!("left at rest: ready {ready}, held {held}, timers {fired} and {next:?}")));
        }
        Ok(())
    }
}

/// What a person said had taken effect.
fn resolved(entries: &[Entry]) -> BTreeSet<ActionId> {
    let applied = |e: &Entry| match &e.body {
        Body::Resolution(r) if r.resolved == Disposition::Applied => Some(r.of.action),
        _ => None,
    };
    entries.iter().filter_map(applied).collect()
}
