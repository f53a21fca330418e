//! `tollgate db`: what an administrator does with the database.

use crate::context::Context;
use crate::failure::Failure;
use crate::node::{Part, Setup};
use crate::store_args::StoreArgs;

use super::{db_backup, db_epoch, db_migrate, db_retain, db_stats};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Db {
    /// Bring a Postgres to the schema of this program; several may do it at once
    Migrate(db_migrate::Migrate),
    /// Take away what is older than its age, and give the space back; ledger entries are archived first
    Retain(db_retain::Retain),
    /// Sizes, queues, and what waits longest; also of a store that is in use
    Stats(db_stats::Stats),
    /// Copy the embedded store into one file, also while it is in use
    Backup(db_backup::Backup),
    /// Put a backup of the embedded store back
    Restore(db_backup::Restore),
    /// A restored store holds all writes: say what became of what was open, and let it go on
    Epoch(db_epoch::Epoch),
}

/// Does it.
///
/// # Errors
/// When the database says no.
pub async fn run(cx: &Context, what: Db) -> Result<(), Failure> {
    match what {
        Db::Migrate(what) => db_migrate::run(cx, what).await,
        Db::Retain(what) => db_retain::run(cx, what).await,
        Db::Stats(what) => db_stats::run(cx, what).await,
        Db::Backup(what) => db_backup::backup(cx, what).await,
        Db::Restore(what) => db_backup::restore(cx, what).await,
        Db::Epoch(what) => db_epoch::run(cx, what).await,
    }
}

/// The store that the command line means.
///
/// # Errors
/// When it is not a place.
pub(super) fn setup(cx: &Context, store: &StoreArgs) -> Result<Setup, Failure> {
    let worker = tollgate_worker::Options::default();
    let place = store.place()?;
    // Nothing of it is started.
    Ok(Setup { data: cx.data_of_project(), project: cx.project.clone(), keys: store.keys.clone(), place, worker, part: Part::Control })
}

/// Work on files, where it holds nobody up.
///
/// # Errors
/// What the work says.
pub(super) async fn blocking<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::plain)?.map_err(Into::into)
}
