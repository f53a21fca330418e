//! The engine over Postgres 15 and newer: group commits over rows that are fetched and written together.

pub(crate) mod cell;
mod connection;
mod exec;
mod fetch;
mod flush;
mod fronts;
mod group;
mod inline;
mod keep;
mod ledger;
mod listen;
mod lists;
mod lookup;
mod migrate;
mod options;
mod pool;
mod provision;
mod publish;
mod remove;
mod single;
mod statics;
mod stats;
mod store;
mod table;
mod tls;
mod tx;

pub use listen::Heard;
pub(crate) use lookup::Of;
pub use migrate::{migrate, migrate_on_start};
pub use options::{Login, PgOptions, Role, SetupError};
pub use provision::{create_database, create_login, drop_database, drop_logins};
pub use store::PgStore;
pub(crate) use tls::refusal;
