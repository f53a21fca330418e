//! A running Tollgate in one process: data folder, keys, store, vault, bundles, worker, desk, server.

mod archive;
mod assemble;
mod bundles;
mod home;
mod keep;
mod keyring;
mod open;
mod place;
mod private;
mod web;

pub use archive::ArchiveFolder;
pub use assemble::{Assembled, Faults, assemble};
pub use home::{Home, HomeError};
pub use keep::stats;
pub use open::{Node, NodeError, Setup, actor, scopes};
pub use place::{Access, Place};
pub use private::Private;
pub use web::Meter;
