//! The ports over SQLite: the only crate that knows SQL. Ports are commands of the domain; a transaction never leaves this crate.

mod codec;
mod command;
mod error;
mod open;
mod ports;
mod query;
mod sqlite;
mod tx;
mod writer;

pub use open::{Committed, OpenError, Options};
pub use sqlite::SqliteStore;
