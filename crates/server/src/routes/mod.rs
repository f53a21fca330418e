//! The routes, one file per group.

mod actions;
mod approvals;
mod config;
mod events;
mod events_read;
mod hooks;
mod keys;
mod meta;
mod queue;
mod receipts;
mod replays;
mod reply;
mod runs;
mod secrets;
mod stream;
mod table;
mod unknown;

pub(crate) use queue::Gauged;
pub use table::{openapi, router};
