//! The physical limit on this disk, measured in the same run: durable writes a second, and the bare rows of the work in groups.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::load::Watch;
use crate::failure::Failure;

const SPAN: Duration = Duration::from_millis(1500);
/// Members of a group commit, as the store's writer forms them under load.
const GROUP: usize = 64;

fn sql(e: rusqlite::Error) -> Failure {
    Failure::plain(e)
}

/// `fdatasync` of one appended kilobyte, a second.
pub fn fdatasync(dir: &Path) -> Result<f64, Failure> {
    let mut file = File::create(dir.join("floor.bin"))?;
    let (block, watch, mut n) = ([7_u8; 1024], Watch::start(), 0_u32);
    while watch.elapsed() < SPAN {
        file.write_all(&block)?;
        file.sync_data()?;
        n += 1;
    }
    Ok(f64::from(n) / watch.elapsed().as_secs_f64())
}

/// Bare inserts of `rows` rows a unit of work, `group` units a transaction, in units a second: SQLite without anything round it.
pub fn inserts(dir: &Path, rows: usize, group: usize) -> Result<f64, Failure> {
    let conn = Connection::open(dir.join(format!("floor-{rows}-{group}.db"))).map_err(sql)?;
    conn.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    conn.pragma_update(None, "wal_autocheckpoint", 4000).map_err(sql)?;
    conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, id BLOB NOT NULL, body BLOB NOT NULL); CREATE UNIQUE INDEX t_id ON t (id);")
        .map_err(sql)?;
    let mut insert = conn.prepare("INSERT INTO t (id, body) VALUES (randomblob(16), ?1)").map_err(sql)?;
    let (body, watch, mut n) = (vec![7_u8; 1024 / rows.max(1) + 64], Watch::start(), 0_usize);
    while watch.elapsed() < SPAN {
        conn.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        for _ in 0..group * rows {
            insert.execute([&body]).map_err(sql)?;
        }
        conn.execute_batch("COMMIT").map_err(sql)?;
        n += group;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Ok(n as f64 / watch.elapsed().as_secs_f64())
}

/// The group that callers at this concurrency can form.
pub fn group(concurrency: usize) -> usize {
    concurrency.clamp(1, GROUP)
}
