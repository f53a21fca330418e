//! Changes of state leave with the transaction that makes them. The traits of this folder note them where a state changes, so that no command
//! can forget one, and an engine writes a group's notes down as one row of each tenant and mode.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::change::{Change, Moved, What};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

#[cfg(test)]
mod tests;

/// Where changes are noted.
pub(crate) trait Outbox {
    /// Something changed.
    fn note(&mut self, scope: Scope, run: RunId, what: What);
    /// More is known of an action's move that this command noted last.
    fn amend(&mut self, action: ActionId, with: &dyn Fn(&mut Moved));
}

/// Notes, in their order.
#[derive(Clone, Default, Debug)]
pub(crate) struct Notes(Vec<(Scope, Change)>);

impl Notes {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn note(&mut self, scope: Scope, run: RunId, at: Timestamp, what: What) {
        self.0.push((scope, Change { run, at, what }));
    }

    pub(crate) fn amend(&mut self, action: ActionId, with: &dyn Fn(&mut Moved)) {
        let moves = self.0.iter_mut().rev().filter_map(|(_, c)| if let What::Action(m) = &mut c.what { Some(m) } else { None });
        if let Some(m) = moves.into_iter().find(|m| m.action == action) {
            with(m);
        }
    }

    pub(crate) fn append(&mut self, later: &mut Self) {
        self.0.append(&mut later.0);
    }

    /// As rows.
    pub(crate) fn parcels(&self) -> impl Iterator<Item = Parcel> + use<> {
        let mut of: BTreeMap<Scope, Parcel> = BTreeMap::new();
        for (scope, change) in &self.0 {
            let parcel = of.entry(*scope).or_insert_with(|| Parcel::of(*scope));
            parcel.changes += 1;
            parcel.at = parcel.at.max(change.at);
            parcel.runs.insert(change.run);
            change.write(&mut parcel.body);
        }
        of.into_values()
    }
}

/// The changes of one group of commands in one tenant and mode.
pub(crate) struct Parcel {
    pub(crate) scope: Scope,
    pub(crate) changes: u32,
    pub(crate) at: Timestamp,
    pub(crate) runs: BTreeSet<RunId>,
    pub(crate) body: Vec<u8>,
}

impl Parcel {
    const fn of(scope: Scope) -> Self {
        Self { scope, changes: 0, at: Timestamp::from_micros(i64::MIN), runs: BTreeSet::new(), body: Vec::new() }
    }
}
