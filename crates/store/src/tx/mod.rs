//! What a command may do inside a transaction, as traits by what they are about. Commands are written once over them: on SQLite each
//! method is a statement, on Postgres the rows of a whole group of commands are fetched and written together.
//!
//! A command may be run again from its beginning at any time: it does nothing but ask and change through its transaction.

mod actions;
mod cold;
mod dispatch;
mod events;
mod graphs;
mod keys;
mod lanes;
mod outbox;
mod runs;

pub(crate) use actions::{ActionChange, ActionHead, Actions, NewActionRow, View, inherits};
pub(crate) use cold::{Cold, Query, Statement, fetch, fetch_one};
pub(crate) use dispatch::{Dispatch, Held, StepName, StepRow, step_kind, step_name, step_of, step_terms};
pub(crate) use events::{Events, Remembered};
pub(crate) use graphs::{GraphRow, Graphs};
pub(crate) use keys::{KeyEnd, KeyRecord, KeyRowState, Keys};
pub(crate) use lanes::{Lanes, Ticket};
pub(crate) use outbox::{Notes, Outbox};
pub(crate) use runs::{NewRunRow, RunChange, RunRow, Runs};

use tollgate_core::ports::{ConfigRev, NewEntry};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;

/// One open transaction.
pub(crate) trait Tx: Events + Runs + Actions + Lanes + Keys + Dispatch + Graphs + Cold {
    /// The store's clock, read once per group.
    fn now(&self) -> Timestamp;
    /// Steps became ready, or a timer earlier: whoever waits looks again after the commit.
    fn wake(&mut self);
    /// Appends an entry to its log, with the key that sealed its values.
    fn append(&mut self, scope: Scope, entry: &NewEntry) -> Result<()>;
    /// The epoch that holds all writes; 0 when none does.
    fn epoch(&mut self) -> Result<u64>;
    /// The revision of all that governs actions.
    fn config_rev(&mut self) -> Result<ConfigRev>;
    /// Raises it.
    fn raise_rev(&mut self) -> Result<ConfigRev>;
}
