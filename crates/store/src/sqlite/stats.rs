//! What there is in a store file. Reads only: a store that another process has open is looked at as well.

use rusqlite::{Connection, OptionalExtension};
use tollgate_core::ports::{StoreStats, TableSize};
use tollgate_core::time::Timestamp;

use crate::error::{OrStore, Result};
use crate::sqlite::keep::final_states;

fn number(c: &Connection, sql: &str) -> Result<u64> {
    let n: Option<i64> = c.query_row(sql, [], |r| r.get(0)).optional().or_store()?.flatten();
    Ok(u64::try_from(n.unwrap_or(0)).unwrap_or(0))
}

fn instant(c: &Connection, sql: &str) -> Result<Option<Timestamp>> {
    let at: Option<i64> = c.query_row(sql, [], |r| r.get(0)).optional().or_store()?.flatten();
    Ok(at.map(Timestamp::from_micros))
}

/// Counts. Walks every table: for people, not for a dashboard.
pub(crate) fn stats(c: &Connection) -> Result<StoreStats> {
    let page = number(c, "PRAGMA page_size")?;
    let mut out = StoreStats {
        engine: "sqlite",
        schema_version: c.query_row("PRAGMA user_version", [], |r| r.get(0)).or_store()?,
        bytes: number(c, "PRAGMA page_count")? * page,
        free_bytes: number(c, "PRAGMA freelist_count")? * page,
        wal_bytes: wal(c),
        ready: number(c, "SELECT COUNT(*) FROM ready")?,
        held: number(c, "SELECT COUNT(*) FROM held")?,
        timers: number(c, "SELECT COUNT(*) FROM timers")?,
        oldest_ready: instant(
            c,
            "SELECT COALESCE((SELECT updated_at FROM actions WHERE id = r.step), (SELECT updated_at FROM runs WHERE id = r.run_id))
             FROM ready r ORDER BY n LIMIT 1",
        )?,
        oldest_open_run: instant(c, &format!("SELECT MIN(created_at) FROM runs WHERE state NOT IN ({})", final_states()))?,
        ..StoreStats::default()
    };
    if out.schema_version >= 5 {
        out.epoch = number(c, "SELECT v FROM meta WHERE k = 'epoch'")?;
        out.held_by_epoch = number(c, "SELECT v FROM meta WHERE k = 'epoch_held'")? > 0;
    }
    let mut names =
        c.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name").or_store()?;
    let names: Vec<String> = names.query_map([], |r| r.get(0)).or_store()?.collect::<rusqlite::Result<_>>().or_store()?;
    let sizes = sizes(c);
    for name in names {
        let rows = number(c, &format!("SELECT COUNT(*) FROM \"{name}\""))?;
        let bytes = sizes.iter().filter(|(of, _)| *of == name).map(|(_, n)| n).sum();
        out.tables.insert(name, TableSize { rows, bytes });
    }
    Ok(out)
}

/// Bytes of each tree by the table that it belongs to; nothing where SQLite was built without them.
fn sizes(c: &Connection) -> Vec<(String, u64)> {
    let sql = "SELECT COALESCE(m.tbl_name, d.name), SUM(d.pgsize) FROM dbstat d LEFT JOIN sqlite_master m ON m.name = d.name GROUP BY 1";
    let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, u64::try_from(r.get::<_, i64>(1)?).unwrap_or(0)));
    let rows = c.prepare(sql).and_then(|mut s| s.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>());
    rows.unwrap_or_default()
}

fn wal(c: &Connection) -> u64 {
    let size = |path: &str| std::fs::metadata(format!("{path}-wal")).map(|m| m.len()).unwrap_or(0);
    c.path().filter(|p| !p.is_empty()).map_or(0, size)
}
