//! One file per command, and what they share: dispatch rows, lanes, keys. Written once, over the traits of `tx`; knows no engine.

pub(crate) mod approval;
pub(crate) mod begin;
pub(crate) mod compensate;
pub(crate) mod defer;
pub(crate) mod dispatch;
pub(crate) mod dispose;
pub(crate) mod epoch;
pub(crate) mod graph;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod lanes;
pub(crate) mod plan;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod resolve;
pub(crate) mod runs;
