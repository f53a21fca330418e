//! Reads as data: a text in the subset that both engines share, its values, and how a row reads. Whoever has a connection runs them.

pub(crate) mod actions;
pub(crate) mod approvals;
pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod graphs;
pub(crate) mod lists;
pub(crate) mod registry;
