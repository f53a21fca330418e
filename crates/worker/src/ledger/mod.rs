//! The ledger as people take it away: exports and their proofs.

mod archive;
mod export;
mod hashes;

pub use archive::Archive;
pub(crate) use archive::archive;
pub(crate) use export::{Source, export};
pub(crate) use hashes::root_at;
