//! Databases through the lossy layer: what a crash would leave is what the real files hold at that moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tollgate_lossy::{NAME, register};

const ROWS: i64 = 70;

fn through_the_layer(path: &Path) -> Connection {
    register(11).unwrap();
    Connection::open_with_flags_and_vfs(path, OpenFlags::default(), NAME).unwrap()
}

fn database(dir: &Path, synchronous: &str, checkpoint: i64) -> Connection {
    let db = through_the_layer(&dir.join("a.db"));
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", synchronous).unwrap();
    db.pragma_update(None, "wal_autocheckpoint", checkpoint).unwrap();
    db.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, body TEXT); CREATE INDEX by_body ON t (body, n);").unwrap();
    db
}

fn commit(db: &Connection, n: i64) {
    db.execute("INSERT INTO t VALUES (?1, ?2)", (n, format!("{n}").repeat(300))).unwrap();
}

fn count(db: &Connection) -> i64 {
    db.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)).unwrap()
}

/// The files as a kill would leave them, opened by another process: by path, with the default layer.
fn after_a_crash(dir: &Path) -> Result<i64, String> {
    let left = tempfile::tempdir().unwrap();
    for name in ["a.db", "a.db-wal", "a.db-journal"] {
        if dir.join(name).exists() {
            fs::copy(dir.join(name), left.path().join(name)).unwrap();
        }
    }
    let db = Connection::open(left.path().join("a.db")).map_err(|e| e.to_string())?;
    let sound: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).map_err(|e| e.to_string())?;
    if sound != "ok" {
        return Err(sound);
    }
    db.query_row("SELECT COUNT(*) FROM t", [], |r| r.get(0)).map_err(|e| e.to_string())
}

#[test]
fn with_full_every_commit_survives_a_crash_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    // Checkpoints in between: the main file is written, too, and the log starts over.
    let db = database(dir.path(), "FULL", 20);
    for n in 1..=ROWS {
        commit(&db, n);
        if n % 7 == 0 {
            assert_eq!(after_a_crash(dir.path()), Ok(n));
        }
    }
    assert_eq!(count(&db), ROWS);
}

#[test]
fn an_open_transaction_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path(), "FULL", 1000);
    commit(&db, 1);
    // A small cache spills the transaction's pages into the log before the commit.
    db.pragma_update(None, "cache_size", 10).unwrap();
    db.execute_batch("BEGIN").unwrap();
    (2..=ROWS).for_each(|n| commit(&db, n));
    assert_eq!(after_a_crash(dir.path()), Ok(1));
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(after_a_crash(dir.path()), Ok(ROWS));
}

#[test]
fn with_off_a_crash_loses_commits() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path(), "OFF", 20);
    (1..=ROWS).for_each(|n| commit(&db, n));
    assert_eq!(count(&db), ROWS, "the process itself sees all of it");
    let left = after_a_crash(dir.path());
    assert_ne!(left, Ok(ROWS), "a layer that cannot lose proves nothing");
}

#[test]
fn normal_keeps_the_database_whole_and_may_lose_the_last_commits() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path(), "NORMAL", 30);
    (1..=ROWS).for_each(|n| commit(&db, n));
    let left = after_a_crash(dir.path()).unwrap_or_else(|e| panic!("{e}"));
    assert!(left < ROWS, "the log was not synced after the last checkpoint, yet all {left} are there");
}

#[test]
fn a_second_connection_sees_what_is_not_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path(), "OFF", 1000);
    (1..=20).for_each(|n| commit(&db, n));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags_and_vfs(dir.path().join("a.db"), flags, NAME).unwrap();
    assert_eq!(count(&reader), 20);
    drop((db, reader));
    assert_eq!(count(&through_the_layer(&dir.path().join("a.db"))), 20, "closing a file does not lose it");
}

#[test]
fn a_rollback_journal_works_through_the_layer() {
    let dir = tempfile::tempdir().unwrap();
    let db = through_the_layer(&dir.path().join("a.db"));
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, body TEXT)").unwrap();
    for n in 1..=30 {
        commit(&db, n);
        assert_eq!(after_a_crash(dir.path()), Ok(n));
    }
    db.execute_batch("DELETE FROM t WHERE n > 5; VACUUM").unwrap();
    assert_eq!(after_a_crash(dir.path()), Ok(5), "a shortened file stays shortened");
}
