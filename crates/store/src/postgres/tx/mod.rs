//! A group of commands in one transaction: they run over rows that were fetched together, and what they change is written together.
//! This half is pure: it knows what is missing and what changed, and sends nothing.

mod actions;
mod dispatch;
mod events;
mod graphs;
mod keys;
mod lanes;
mod output;
mod runs;

pub(crate) use actions::ActionState;
pub(crate) use dispatch::HeldRow;
pub(crate) use events::RequestRow;
pub(crate) use graphs::GraphState;
pub(crate) use keys::Waiters;
pub(crate) use lanes::{FRONT, LaneBook};
pub(crate) use output::{Memo, Output, Select};
pub(crate) use runs::RunState;

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::change::{Moved, What};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId, RunId, SessionId};
use tollgate_core::ports::{ConfigRev, NewEntry};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::needs::Lock;
use crate::postgres::table::{Table, not_fetched};
use crate::tx::{KeyRecord, Outbox, StepName, Tx};

/// What a group knows and does.
#[derive(Debug, Default)]
pub(crate) struct PgTx {
    pub(crate) now: Timestamp,
    pub(crate) rev: ConfigRev,
    /// The epoch that holds all writes.
    pub(crate) epoch: u64,
    pub(crate) sessions: Table<SessionId, Timestamp>,
    pub(crate) held: Table<StepName, HeldRow>,
    pub(crate) runs: Table<RunId, RunState>,
    /// The actions of a run, in the order of its plan.
    pub(crate) plans: Table<RunId, Vec<ActionId>>,
    pub(crate) actions: Table<ActionId, ActionState>,
    pub(crate) graphs: Table<RunId, GraphState>,
    pub(crate) keys: Table<Digest, (Scope, KeyRecord)>,
    pub(crate) denials: Table<(Digest, Digest), (Scope, EntryId)>,
    pub(crate) waiters: Table<Digest, Waiters>,
    pub(crate) requests: Table<Digest, RequestRow>,
    /// The names behind digests of idempotency keys that are asked for.
    pub(crate) request_names: BTreeMap<Digest, (Scope, String, String)>,
    pub(crate) lanes: BTreeMap<Digest, LaneBook>,
    pub(crate) memo: Memo,
    /// Locks that the transaction has, and those that a command found it needs.
    pub(crate) locks: BTreeSet<Lock>,
    pub(crate) missing_locks: BTreeSet<Lock>,
    /// Of all commands, and of the one that runs.
    pub(crate) out: Output,
    layer: Output,
    /// Commands leave word of what becomes of steps, and no more.
    word_only: bool,
    /// The revision was raised by the running command.
    raised: bool,
    pub(crate) rev_raised: bool,
}

impl PgTx {
    /// Whether the command that just ran asked for something that is not here.
    pub(crate) fn is_missing(&self) -> bool {
        !self.missing_locks.is_empty()
            || self.sessions.is_missing()
            || self.held.is_missing()
            || self.runs.is_missing()
            || self.plans.is_missing()
            || self.actions.is_missing()
            || self.graphs.is_missing()
            || self.keys.is_missing()
            || self.denials.is_missing()
            || self.waiters.is_missing()
            || self.requests.is_missing()
            || self.lanes.values().any(LaneBook::is_missing)
            || self.memo.is_missing()
    }

    /// Keeps what the command did.
    pub(crate) fn merge(&mut self) {
        self.held.merge();
        self.runs.merge();
        self.plans.merge();
        self.actions.merge();
        self.graphs.merge();
        self.keys.merge();
        self.denials.merge();
        self.waiters.merge();
        self.requests.merge();
        self.lanes.values_mut().for_each(LaneBook::merge);
        let layer = std::mem::take(&mut self.layer);
        self.out.take(layer);
        self.rev_raised |= std::mem::take(&mut self.raised);
    }

    /// Forgets what the command did.
    pub(crate) fn discard(&mut self) {
        self.held.discard();
        self.runs.discard();
        self.plans.discard();
        self.actions.discard();
        self.graphs.discard();
        self.keys.discard();
        self.denials.discard();
        self.waiters.discard();
        self.requests.discard();
        self.lanes.values_mut().for_each(LaneBook::discard);
        self.layer = Output::default();
        if std::mem::take(&mut self.raised) {
            self.rev = ConfigRev(self.rev.0.saturating_sub(1));
        }
    }

    /// Nothing is read or written whose lock the transaction does not have.
    fn lock(&mut self, lock: Lock) -> Result<()> {
        if self.locks.contains(&lock) {
            return Ok(());
        }
        self.missing_locks.insert(lock);
        Err(not_fetched())
    }
}

impl Outbox for PgTx {
    fn note(&mut self, scope: Scope, run: RunId, what: What) {
        self.layer.notes.note(scope, run, self.now, what);
    }

    fn amend(&mut self, action: ActionId, with: &dyn Fn(&mut Moved)) {
        self.layer.notes.amend(action, with);
    }
}

impl Tx for PgTx {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn wake(&mut self) {
        self.layer.wake = true;
    }

    fn append(&mut self, scope: Scope, entry: &NewEntry) -> Result<()> {
        self.layer.entries.push((scope, entry.clone()));
        Ok(())
    }

    fn epoch(&mut self) -> Result<u64> {
        Ok(self.epoch)
    }

    fn config_rev(&mut self) -> Result<ConfigRev> {
        Ok(self.rev)
    }

    fn raise_rev(&mut self) -> Result<ConfigRev> {
        if !self.raised {
            self.rev = ConfigRev(self.rev.0 + 1);
            self.raised = true;
        }
        Ok(self.rev)
    }
}
