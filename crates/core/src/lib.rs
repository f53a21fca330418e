//! The heart of Tollgate: ids, envelopes, states, the pure decisions, the ledger's formats, and the ports.
//!
//! Nothing here does I/O, reads the clock or makes randomness: state and input go in, commands and effects come
//! out as data. That is what makes replay, simulation and recomputable receipts possible.

pub mod action;
pub mod attempt;
pub mod canon;
pub mod change;
pub mod entries;
pub mod event;
pub mod gate;
pub mod graph;
pub mod hash;
pub mod id;
pub mod ledger;
pub mod plan;
pub mod ports;
pub mod route;
pub mod run;
pub mod scope;
pub mod spec;
pub mod terms;
pub mod time;
pub mod verdict;
