//! Copies of a store file: made while another process writes it, put back where none is. Whatever is there is whole, or it is not there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tollgate_core::ports::{StoreError, StoreStats};
use tollgate_core::time::Timestamp;

use crate::error::from_sqlite;
use crate::sqlite::open::{self, APPLICATION_ID, OpenError, VERSION};

/// Why a copy was not made, or not put back. Nothing is half there.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing is overwritten.
    #[error("`{0}` is there already: nothing is overwritten")]
    Exists(PathBuf),
    /// There is nothing to copy.
    #[error("there is no store `{0}`")]
    Missing(PathBuf),
    /// The copy, or what is to be put back, is damaged.
    #[error("`{path}` is damaged: {message}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check said first.
        message: String,
    },
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite said no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The file system said no.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, BackupError>;

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    |source| BackupError::Io { path: path.to_owned(), source }
}

fn sql(e: rusqlite::Error) -> BackupError {
    BackupError::Store(from_sqlite(&e))
}

/// Where a file is made before it has its name.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// An empty private file; what an earlier try left is gone.
fn fresh(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(path)(e)),
        _ => {}
    }
    File::options().create_new(true).write(true).mode(0o600).open(path).map(drop).map_err(at(path))
}

/// Gives a finished file its name, durably, unless the name is taken.
fn name(from: &Path, to: &Path) -> Result<()> {
    File::open(from).and_then(|f| f.sync_all()).map_err(at(from))?;
    match fs::hard_link(from, to) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Exists(to.to_owned())),
        other => other.map_err(at(to))?,
    }
    fs::remove_file(from).map_err(at(from))?;
    sync_folder(to)
}

fn sync_folder(of: &Path) -> Result<()> {
    let folder = of.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(at(folder))
}

/// One file, checked from end to end: nothing beside it belongs to it.
fn checked(conn: &Connection, path: &Path) -> Result<()> {
    conn.pragma_update(None, "journal_mode", "DELETE").map_err(sql)?;
    let said: String = conn.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0)).map_err(sql)?;
    if said == "ok" { Ok(()) } else { Err(BackupError::Damaged { path: path.to_owned(), message: said }) }
}

/// Copies a store as it is at one moment, while it is written; answers the copy's size in bytes.
///
/// # Errors
/// When there is no store, the file is there already, there is no space, or the copy does not check. No file is left then.
pub fn backup(store: &Path, to: &Path) -> Result<u64> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    if !store.exists() {
        return Err(BackupError::Missing(store.to_owned()));
    }
    let temp = partial(to);
    fresh(&temp)?;
    let made = copy(store, &temp).and_then(|()| name(&temp, to));
    if made.is_err() {
        // It failed already; what cannot be taken away says nothing new.
        let _ = fs::remove_file(&temp);
    }
    made?;
    Ok(fs::metadata(to).map_err(at(to))?.len())
}

fn copy(store: &Path, to: &Path) -> Result<()> {
    let from = open::reader(store)?;
    let mut copy = Connection::open(to).map_err(sql)?;
    {
        let backup = Backup::new(&from, &mut copy).map_err(sql)?;
        // All pages in one step are one snapshot, whoever commits meanwhile.
        if backup.step(-1).map_err(sql)? != StepResult::Done {
            return Err(StoreError::Unavailable("the store is locked".to_owned()).into());
        }
    }
    checked(&copy, to)
}

/// Puts a copy into a place where no store is, marked as restored: whoever opens it first begins an epoch. With `replace`, a store that is
/// there is kept under another name, which is answered.
///
/// # Errors
/// When a process has the store, one is there and is not to be replaced, or the copy is damaged or of a later version. Nothing is changed
/// then.
pub fn restore(from: &Path, store: &Path, replace: Option<&str>, now: Timestamp) -> Result<Option<PathBuf>> {
    if !from.exists() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    let _lock = open::lock_beside(store)?;
    let there = store.symlink_metadata().is_ok();
    if there && replace.is_none() {
        return Err(BackupError::Exists(store.to_owned()));
    }
    let temp = partial(store);
    fresh(&temp)?;
    let made = fill(from, &temp, now).and_then(|()| match replace.filter(|_| there) {
        None => name(&temp, store).map(|()| None),
        Some(mark) => swap(&temp, store, mark).map(Some),
    });
    if made.is_err() {
        // It failed already; what cannot be taken away says nothing new.
        let _ = fs::remove_file(&temp);
    }
    made
}

/// A copy of the copy, checked and marked.
fn fill(from: &Path, to: &Path, now: Timestamp) -> Result<()> {
    let mut private = File::options().write(true).open(to).map_err(at(to))?;
    io::copy(&mut File::open(from).map_err(at(from))?, &mut private).map_err(at(from))?;
    drop(private);
    let conn = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sql)?;
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0));
    let not_ours = || BackupError::Open(OpenError::NotAStore(from.to_owned()));
    let (application, version) = (pragma("application_id").map_err(|_| not_ours())?, pragma("user_version").map_err(|_| not_ours())?);
    if application != i64::from(APPLICATION_ID) {
        return Err(not_ours());
    }
    if version > VERSION {
        return Err(OpenError::Newer { path: from.to_owned(), found: version }.into());
    }
    checked(&conn, from)?;
    conn.execute("INSERT INTO meta (k, v) VALUES ('restored_at', ?1) ON CONFLICT (k) DO UPDATE SET v = excluded.v", [now.as_micros()])
        .map_err(sql)?;
    conn.close().map_err(|(_, e)| sql(e))?;
    File::open(to).and_then(|f| f.sync_all()).map_err(at(to))
}

/// The old store keeps a name throughout; the new one takes its place in one rename.
fn swap(temp: &Path, store: &Path, mark: &str) -> Result<PathBuf> {
    let beside = |path: &Path, tail: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(tail);
        PathBuf::from(name)
    };
    let kept = store.with_extension(format!("{mark}.db"));
    fs::hard_link(store, &kept)
        .map_err(|e| if e.kind() == io::ErrorKind::AlreadyExists { BackupError::Exists(kept.clone()) } else { at(&kept)(e) })?;
    // What the old store's log holds belongs to the old store.
    for tail in ["-wal", "-shm"] {
        match fs::rename(beside(store, tail), beside(&kept, tail)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(store)(e)),
            _ => {}
        }
    }
    fs::rename(temp, store).map_err(at(store))?;
    sync_folder(store)?;
    Ok(kept)
}

/// What there is in a store that another process may have open.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn stats_of(store: &Path) -> Result<StoreStats> {
    if !store.exists() {
        return Err(BackupError::Missing(store.to_owned()));
    }
    let conn = open::reader(store)?;
    Ok(super::stats::stats(&conn)?)
}

/// Whether a store was restored and no epoch was begun for it yet.
///
/// # Errors
/// When it cannot be read.
pub fn is_restored(store: &Path) -> Result<bool> {
    let conn = open::reader(store)?;
    conn.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE k = 'restored_at' AND v > 0)", [], |r| r.get(0)).map_err(sql)
}
