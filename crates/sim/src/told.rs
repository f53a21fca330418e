//! Whoever reads the changes of state from the first to the last knows how every run and action stands, without having looked at one.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::action::{ActionState, TRANSITIONS};
use tollgate_core::change::{Change, What};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{ActionRecord, Page, RunFilter};
use tollgate_core::run::RunState;
use tollgate_testkit::scope;

use crate::checks::{Fault, Law};
use crate::house::{House, HouseError};

/// More than any history has.
const RUNS_MAX: u32 = 1_000_000;

/// How things stand by what was told.
#[derive(Default)]
struct Heard {
    runs: BTreeMap<RunId, (Option<RunState>, bool)>,
    actions: BTreeMap<ActionId, (ActionState, Option<String>)>,
    faults: Vec<Fault>,
}

impl Heard {
    fn fault(&mut self, what: String) {
        self.faults.push(Fault::new(Law::Told, what));
    }

    fn hear(&mut self, change: &Change) {
        match &change.what {
            What::Run(state) => {
                let run = self.runs.entry(change.run).or_default();
                run.0 = Some(*state);
                run.1 |= *state == RunState::Cancelled;
            }
            What::Cancelling => self.runs.entry(change.run).or_default().1 = true,
            What::Action(m) => {
                let before = self.actions.get(&m.action).map(|(s, _)| *s);
                if before != m.from {
                    self.fault(format!("{} is told to leave {:?}, and was told to be {before:?}", m.action, m.from));
                }
                if m.from.is_some_and(|from| !TRANSITIONS.iter().any(|(f, _, to)| *f == from && *to == m.to)) {
                    self.fault(format!("{} is told to go from {:?} to {}", m.action, m.from, m.to));
                }
                let known = self.actions.get(&m.action).and_then(|(_, d)| d.clone());
                let disposition = m.disposition.map(|d| d.as_str().to_owned()).or(known);
                self.actions.insert(m.action, (m.to, disposition));
            }
            What::Node { .. } => {}
        }
    }
}

/// Reads all changes, page by page, and compares what they come to with the records.
///
/// # Errors
/// When the store says no.
pub(crate) async fn told(h: &House, actions: &BTreeMap<ActionId, ActionRecord>) -> Result<Vec<Fault>, HouseError> {
    h.store.publish().await?;
    let mut heard = Heard::default();
    let (mut position, mut all) = (0, Vec::new());
    loop {
        let page = h.store.changes_after(scope(), None, position).await?;
        for (at, change) in page.found {
            if at <= position {
                heard.fault(format!("the position {at} comes after {position}"));
            }
            position = at;
            heard.hear(&change);
            all.push((at, change));
        }
        if !page.more {
            break;
        }
    }
    for (id, a) in actions {
        let told = heard.actions.remove(id);
        let is = Some((a.state, a.disposition.map(|d| d.as_str().to_owned())));
        if told != is {
            heard.fault(format!("{id} is {is:?}, and told to be {told:?}"));
        }
    }
    let page = Page { before: None, limit: RUNS_MAX };
    for run in h.store.list_runs(scope(), RunFilter::default(), page).await? {
        let told = heard.runs.remove(&run.item.id);
        let is = Some((Some(run.item.state), run.item.cancelling));
        if told != is {
            heard.fault(format!("{} is {is:?}, and told to be {told:?}", run.item.id));
        }
    }
    let strangers: BTreeSet<String> =
        heard.actions.keys().map(ToString::to_string).chain(heard.runs.keys().map(ToString::to_string)).collect();
    if !strangers.is_empty() {
        heard.fault(format!("changes are told of what is not there: {strangers:?}"));
    }
    one_by_one(h, &all, &mut heard).await?;
    Ok(heard.faults)
}

/// What is told of one run is what all changes say of it.
async fn one_by_one(h: &House, all: &[(u64, Change)], heard: &mut Heard) -> Result<(), HouseError> {
    let runs: BTreeSet<RunId> = all.iter().map(|(_, c)| c.run).collect();
    // A few of them: each is a read of its own.
    for run in runs.into_iter().take(3) {
        let (mut position, mut found) = (0, Vec::new());
        loop {
            let page = h.store.changes_after(scope(), Some(run), position).await?;
            found.extend(page.found);
            position = page.to;
            if !page.more {
                break;
            }
        }
        if !found.iter().eq(all.iter().filter(|(_, c)| c.run == run)) {
            heard.fault(format!("the stream of {run} is not what all changes say of it"));
        }
    }
    Ok(())
}
