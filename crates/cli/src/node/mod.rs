//! A running Tollgate in one process: data folder, keys, store, vault, bundles, worker, desk, server.

mod assemble;
mod bundles;
mod home;
mod open;
mod web;

pub use assemble::{Assembled, Faults, assemble};
pub use home::{Home, HomeError};
pub use open::{Node, NodeError, actor, scopes};
pub use web::Meter;
