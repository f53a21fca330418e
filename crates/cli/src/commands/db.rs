//! `tollgate db`: what an administrator does with the database.

use crate::context::Context;
use crate::failure::Failure;

use super::db_migrate;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Db {
    /// Bring a Postgres to the schema of this program; several may do it at once
    Migrate(db_migrate::Migrate),
}

/// Does it.
///
/// # Errors
/// When the database says no.
pub async fn run(cx: &Context, what: Db) -> Result<(), Failure> {
    match what {
        Db::Migrate(what) => db_migrate::run(cx, what).await,
    }
}
