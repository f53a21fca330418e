//! Reads: on the readers' connections, and inside commands on the writer's.

pub(crate) mod actions;
pub(crate) mod approvals;
pub(crate) mod events;
pub(crate) mod heads;
pub(crate) mod ledger;
pub(crate) mod lists;
pub(crate) mod registry;
