//! The embedded engine: one writer that commits in groups, many readers.

mod actions;
mod dispatch;
mod events;
mod exec;
mod graphs;
mod keys;
mod lanes;
mod ledger;
mod limits;
mod lists;
mod open;
mod runs;
mod store;
mod tx;
mod writer;

pub use open::{OpenError, Options};
pub use store::SqliteStore;
