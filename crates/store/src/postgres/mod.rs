//! The engine over Postgres 15 and newer: group commits over rows that are fetched and written together.

pub(crate) mod cell;
mod connection;
mod exec;
mod fetch;
mod flush;
mod group;
mod inline;
mod ledger;
mod lists;
mod lookup;
mod migrate;
mod options;
mod pool;
mod publish;
mod statics;
mod store;
mod table;
mod tx;

pub(crate) use lookup::Of;
pub use migrate::migrate;
pub use options::{Login, PgOptions, Role, SetupError};
pub use store::PgStore;
