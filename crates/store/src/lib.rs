//! The ports over SQLite and Postgres: the only crate that knows SQL. Ports are commands of the domain; a transaction never leaves this crate.
//!
//! Commands (`command`) and reads (`query`) are written once over the traits of `tx`; an engine (`sqlite`, `postgres`) is what fetches and
//! writes rows. Hot statements stand in both engines, under the same names.

mod backend;
mod codec;
mod command;
mod error;
mod needs;
mod ports;
mod postgres;
mod query;
mod row;
mod sqlite;
mod tx;
mod value;

pub use backend::Store;
pub use sqlite::{Committed, OpenError, Options, SqliteStore};
