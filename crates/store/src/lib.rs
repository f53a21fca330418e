//! The ports over SQLite and Postgres: the only crate that knows SQL. Ports are commands of the domain; a transaction never leaves this crate.
//!
//! Commands (`command`) and reads (`query`) are written once over the traits of `tx`; an engine (`sqlite`, `postgres`) is what fetches and
//! writes rows. Hot statements stand in both engines, under the same names.

mod apart;
mod backend;
mod codec;
mod command;
mod error;
mod job;
mod needs;
mod ports;
mod postgres;
mod query;
mod removal;
mod retention;
mod row;
mod sqlite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tx;
mod value;

pub use apart::Between;
pub use backend::{Committed, Store};
pub use postgres::{
    Heard, Login, PgOptions, PgStore, Role, SetupError, create_database, create_login, drop_database, drop_logins, migrate,
    migrate_on_start,
};
pub use retention::{RETENTION, Removal, Rule};
pub use sqlite::{BackupError, OpenError, Options, SqliteStore, backup, compact, is_restored, restore, stats_of};
