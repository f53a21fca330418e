//! Opening a store: the lock, the version, the pragmas. Whatever is wrong is said, nothing is guessed.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tollgate_core::ports::Clock;

use crate::backend::Committed;

/// The version this binary writes and reads.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;
/// `tgat` in ASCII: a SQLite file of another program is not ours.
pub(crate) const APPLICATION_ID: i32 = 0x7467_6174;
/// `PRAGMA auto_vacuum` of a store that gives space back.
pub(crate) const INCREMENTAL: i64 = 2;
/// By their numbers, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/sqlite/0002_processes.sql"),
    include_str!("../../migrations/sqlite/0003_graphs.sql"),
    include_str!("../../migrations/sqlite/0004_streams.sql"),
    include_str!("../../migrations/sqlite/0005_retention.sql"),
    include_str!("../../migrations/sqlite/0006_limits.sql"),
    include_str!("../../migrations/sqlite/0007_fronts.sql"),
];
/// Pages of WAL before a checkpoint: measured against rate and tail latency, see `facts` in ARCHITECTURE.md.
const AUTOCHECKPOINT: i64 = 4000;
const STATEMENTS: usize = 256;
/// A store made before space could be given back is rewritten for it when it opens, up to this size; a larger one when it is asked to.
const REWRITTEN_MAX: i64 = 64 * 1024 * 1024;

/// How to open a store.
pub struct Options {
    /// The file; `None` keeps everything in memory, for tests and the simulator.
    pub path: Option<PathBuf>,
    /// The store's clock.
    pub clock: Arc<dyn Clock>,
    /// Commands run in the caller's thread, one transaction each. For the simulator.
    pub inline: bool,
    /// Called after a commit that others may wait for. Must not block.
    pub on_commit: Box<dyn Fn(Committed) + Send>,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the store `{0}` is in use by another process: stop that one first")]
    Locked(PathBuf),
    /// A later version wrote it.
    #[error("the store `{path}` has version {found}, this program reads up to {VERSION}: use the newer program")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Not a store.
    #[error("`{0}` is not a Tollgate store")]
    NotAStore(PathBuf),
    /// Damaged.
    #[error("the store `{path}` is damaged: {message}; restore a backup, nothing was changed")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        message: String,
    },
    /// The file system said no.
    #[error("the store `{path}` cannot be opened: {message}")]
    Unavailable {
        /// The file or folder.
        path: PathBuf,
        /// What was said.
        message: String,
    },
}

/// The file lock that keeps a second process out; held as long as the store.
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock, released when dropped")] Option<File>);

fn private(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Takes the lock beside the store file, and makes the file if there is none.
pub(crate) fn lock(path: Option<&Path>) -> Result<Lock, OpenError> {
    let Some(path) = path else { return Ok(Lock(None)) };
    let unavailable = |e: std::io::Error| OpenError::Unavailable { path: path.to_owned(), message: e.to_string() };
    let file = private(&path.with_extension("lock")).map_err(unavailable)?;
    // SQLite would make it readable for everybody; what lies beside it takes its mode over.
    if !path.exists() {
        private(path).map_err(unavailable)?;
    }
    hold(path, file)
}

/// Takes the lock of a store that may not be there.
pub(crate) fn lock_beside(path: &Path) -> Result<Lock, OpenError> {
    let file = private(&path.with_extension("lock"));
    hold(path, file.map_err(|e| OpenError::Unavailable { path: path.to_owned(), message: e.to_string() })?)
}

fn hold(path: &Path, file: File) -> Result<Lock, OpenError> {
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(Some(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(path.to_owned())),
        Err(e) => Err(OpenError::Unavailable { path: path.to_owned(), message: std::io::Error::from(e).to_string() }),
    }
}

/// The writer's connection, migrated.
pub(crate) fn writer(path: Option<&Path>) -> Result<Connection, OpenError> {
    let shown = path.unwrap_or(Path::new(":memory:")).to_owned();
    let fail = |e: rusqlite::Error| map_error(&shown, &e);
    let conn = match path {
        Some(p) => Connection::open(p).map_err(fail)?,
        None => Connection::open_in_memory().map_err(fail)?,
    };
    let version: i64 = conn.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(fail)?;
    let application: i32 = conn.query_row("PRAGMA application_id", [], |r| r.get(0)).map_err(fail)?;
    let tables: i64 = conn.query_row("SELECT COUNT(*) FROM sqlite_master", [], |r| r.get(0)).map_err(fail)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(OpenError::NotAStore(shown));
    }
    if version > VERSION {
        return Err(OpenError::Newer { path: shown, found: version });
    }
    if tables == 0 {
        // Pages that retention empties go back to the file system slice by slice. Only an empty file takes it without a rewrite.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(fail)?;
    }
    conn.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    conn.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT).map_err(fail)?;
    conn.pragma_update(None, "foreign_keys", true).map_err(fail)?;
    conn.pragma_update(None, "cell_size_check", true).map_err(fail)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    for (number, sql) in (1_i64..).zip(MIGRATIONS).filter(|(n, _)| *n > version) {
        let script = format!("BEGIN IMMEDIATE; {sql} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;");
        conn.execute_batch(&script).map_err(fail)?;
    }
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).map_err(fail);
    if path.is_some() && pragma("auto_vacuum")? != INCREMENTAL && pragma("page_count")? * pragma("page_size")? <= REWRITTEN_MAX {
        rewrite(&conn).map_err(fail)?;
    }
    Ok(conn)
}

/// Rewrites the file without holes, so that it can give space back slice by slice from then on. Needs as much space again while it runs.
fn rewrite(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
}

/// Rewrites a store that nobody has open; answers its size in bytes before and after.
///
/// # Errors
/// When another process has it, it does not open, or there is no space for a second copy. Nothing is lost then.
pub fn compact(path: &Path) -> Result<(u64, u64), OpenError> {
    let _lock = lock(Some(path))?;
    let conn = writer(Some(path))?;
    let fail = |e: rusqlite::Error| map_error(path, &e);
    let size =
        || std::fs::metadata(path).map(|m| m.len()).map_err(|e| OpenError::Unavailable { path: path.to_owned(), message: e.to_string() });
    conn.pragma_update(None, "wal_checkpoint", "TRUNCATE").map_err(fail)?;
    let before = size()?;
    rewrite(&conn).map_err(fail)?;
    conn.pragma_update(None, "wal_checkpoint", "TRUNCATE").map_err(fail)?;
    Ok((before, size()?))
}

/// A reader's connection.
pub(crate) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| map_error(path, &e))?;
    conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(|e| map_error(path, &e))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

fn map_error(path: &Path, e: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode as C;
    let path = path.to_owned();
    match e.sqlite_error_code() {
        Some(C::NotADatabase) => OpenError::NotAStore(path),
        Some(C::DatabaseCorrupt) => OpenError::Corrupt { path, message: e.to_string() },
        Some(C::DatabaseBusy | C::DatabaseLocked) => OpenError::Locked(path),
        _ => OpenError::Unavailable { path, message: e.to_string() },
    }
}
