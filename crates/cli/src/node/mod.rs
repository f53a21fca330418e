//! A running Tollgate in one process: data folder, keys, store, vault, bundles, worker, desk, server.

mod archive;
mod assemble;
mod base;
mod bundles;
mod hand;
mod home;
mod keep;
mod keyring;
mod open;
mod place;
mod private;
mod web;

pub use archive::ArchiveFolder;
pub use assemble::{Assembled, Faults, assemble};
pub use hand::{Hand, HandSetup};
pub use home::{Home, HomeError};
pub use keep::stats;
pub use open::{Node, NodeError, Part, Setup, actor, scopes};
pub use place::{Access, Place};
pub use private::Private;
pub use web::{Meter, Ready};
