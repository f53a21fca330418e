//! The embedded engine: one writer that commits in groups, many readers.

mod actions;
mod backup;
mod dispatch;
mod events;
mod exec;
mod graphs;
mod keep;
mod keys;
mod lanes;
mod ledger;
mod limits;
mod lists;
mod open;
mod remove;
mod runs;
mod single;
mod stats;
mod store;
mod tx;
mod writer;

pub use backup::{BackupError, backup, is_restored, restore, stats_of};
pub use open::{OpenError, Options, compact};
pub use store::SqliteStore;
