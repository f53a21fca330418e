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

const GRAPH_TABLES: &str = "CREATE TABLE runs (id BLOB PRIMARY KEY, tenant BLOB NOT NULL, state INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE graphs (run BLOB PRIMARY KEY, entries INTEGER NOT NULL, progress BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal (run BLOB NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
    CREATE TABLE held (step BLOB NOT NULL, node INTEGER NOT NULL, fence INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (step, node)) WITHOUT ROWID;";

/// The bare statements of runs of graphs of `steps` steps, `group` runs side by side, a transaction for each step of all; in steps a second.
pub fn graphs(dir: &Path, steps: usize, group: usize) -> Result<f64, Failure> {
    let conn = Connection::open(dir.join("floor-graphs.db")).map_err(sql)?;
    conn.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    conn.pragma_update(None, "wal_autocheckpoint", 4000).map_err(sql)?;
    conn.execute_batch(GRAPH_TABLES).map_err(sql)?;
    let prepare = |text: &str| conn.prepare(text).map_err(sql);
    let mut starts = [
        prepare("INSERT INTO runs VALUES (?1, randomblob(16), 0, randomblob(100))")?,
        prepare("INSERT INTO graphs VALUES (?1, 1, randomblob(20))")?,
        prepare("INSERT INTO journal VALUES (?1, 0, randomblob(120))")?,
        prepare("INSERT INTO held VALUES (?1, 1, 1, randomblob(70))")?,
    ];
    let mut entry = prepare("INSERT INTO journal VALUES (?1, ?2, randomblob(120))")?;
    let mut moves = [
        prepare("UPDATE graphs SET entries = ?2 + 1, progress = randomblob(20) WHERE run = ?1 AND entries = ?2")?,
        prepare("UPDATE held SET node = ?2 + 1, fence = ?2 + 1 WHERE step = ?1 AND node = ?2")?,
    ];
    let mut ends = [prepare("DELETE FROM held WHERE step = ?1")?, prepare("UPDATE runs SET state = 1 WHERE id = ?1")?];
    let (watch, mut n) = (Watch::start(), 0_u64);
    let mut done = 0_usize;
    while watch.elapsed() < SPAN {
        let runs: Vec<[u8; 16]> = (0..group as u64).map(|i| u128::from(n + i).to_be_bytes()).collect();
        n += group as u64;
        for step in 0..=u32::try_from(steps).unwrap_or(u32::MAX) {
            conn.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
            for run in &runs {
                if step == 0 {
                    starts.iter_mut().try_for_each(|s| s.execute([run]).map(drop)).map_err(sql)?;
                    continue;
                }
                entry.execute(rusqlite::params![run, step]).map_err(sql)?;
                moves.iter_mut().try_for_each(|s| s.execute(rusqlite::params![run, step]).map(drop)).map_err(sql)?;
                if step as usize == steps {
                    ends.iter_mut().try_for_each(|s| s.execute([run]).map(drop)).map_err(sql)?;
                }
            }
            conn.execute_batch("COMMIT").map_err(sql)?;
        }
        done += group * steps;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Ok(done as f64 / watch.elapsed().as_secs_f64())
}
