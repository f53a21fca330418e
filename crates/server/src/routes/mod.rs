//! The routes, one file per group.

mod actions;
mod approvals;
mod events;
mod hooks;
mod meta;
mod receipts;
mod reply;
mod runs;
mod table;

pub use table::{openapi, router};
