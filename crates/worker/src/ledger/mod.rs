//! The ledger as people take it away: exports and their proofs.

mod export;
mod hashes;

pub(crate) use export::{Source, export};
pub(crate) use hashes::root_at;
