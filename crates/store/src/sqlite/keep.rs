//! Retention on SQLite: found by readers, taken away in slices between other commands. What was found is judged again where it is deleted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::ledger::SignedCheckpoint;
use tollgate_core::ports::{Archivable, BoxFuture, Keep, Retire, Retired, StoreError, StoreStats};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::{OrStore, Result, damaged};
use crate::removal::{self, Removes as _};
use crate::sqlite::open::INCREMENTAL;
use crate::sqlite::store::{Sqlite, SqliteStore};
use crate::sqlite::tx::{SqliteTx, entry_position, entry_row, find_log};

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

/// Rows looked at in one slice, so that no other command waits long for the writer.
const SLICE: i64 = 512;
/// Pages given back in one slice.
const PAGES: i64 = 1024;
/// Leaves of a tile.
pub(crate) const TILE: u64 = 256;

impl Keep for SqliteStore {
    fn retire(&self, what: Retire, before: Timestamp, from: Option<u128>) -> Out<'_, Retired> {
        Box::pin(async move {
            let engine = &self.engine;
            match what {
                Retire::Runs => by_id(engine, RUNS, before, from).await,
                Retire::Blobs => blobs(engine, from).await,
                Retire::Approvals => by_id(engine, APPROVALS, before, from).await,
                Retire::Replays => engine.command(move |tx| replays(tx, before)).await,
                Retire::Events => events(engine, before, from).await,
                Retire::Changes => changes(engine, before, from).await,
                Retire::Checkpoints => checkpoints(engine, before, from).await,
            }
        })
    }
    fn logs(&self) -> Out<'_, Vec<Scope>> {
        self.engine.look(|c| {
            let mut out = Vec::new();
            crate::sqlite::store::select(c, "SELECT reseller_id, tenant_id, mode FROM logs ORDER BY log", &[], &mut |r| {
                out.push(r.scope()?);
                Ok(())
            })?;
            Ok(out)
        })
    }
    fn archivable(&self, scope: Scope, before: Timestamp, most: u64) -> Out<'_, Archivable> {
        self.engine.stroll(move |c| archivable(c, scope, before, most))
    }
    fn retire_entries(&self, scope: Scope, from: u64, to: u64) -> Out<'_, u64> {
        self.engine.command(move |tx| retire_entries(tx, scope, from, to))
    }
    fn under_way(&self, tenant: TenantId) -> Out<'_, u64> {
        self.engine.under_way(tenant)
    }
    fn remove_tenant(&self, tenant: TenantId) -> Out<'_, BTreeMap<String, u64>> {
        Box::pin(removal::remove(&self.engine, tenant))
    }
    fn give_back(&self) -> Out<'_, u64> {
        self.engine.command(give_back)
    }
    fn stats(&self) -> Out<'_, StoreStats> {
        self.engine.stroll(super::stats::stats)
    }
}

/// The position of the oldest entry that is here; the log's size when none is.
pub(crate) fn start(conn: &Connection, scope: Scope) -> Result<u64> {
    let Some((log, frontier)) = find_log(conn, scope)? else { return Ok(0) };
    let first: Option<i64> = conn
        .prepare_cached("SELECT n FROM entries WHERE n >= ?1 AND n < ?2 ORDER BY n LIMIT 1")
        .or_store()?
        .query_row(params![entry_row(log, 0), entry_row(log + 1, 0)], |r| r.get(0))
        .optional()
        .or_store()?;
    Ok(first.map_or(frontier.size(), entry_position))
}

/// What is found by an id that begins with its time, and how one of it is taken away. `$1` is the id, `$2` the instant.
#[derive(Clone, Copy)]
struct ById {
    table: &'static str,
    over: fn() -> String,
    delete: &'static [&'static str],
}

const RUNS: ById = ById {
    table: "runs",
    over: || {
        let done = ActionState::Done.as_int();
        let draft = RunState::Draft.as_int();
        format!(
            "state IN ({}) AND updated_at < ?2 AND (state = {draft} OR NOT EXISTS (SELECT 1 FROM actions a WHERE a.run_id = runs.id AND a.state <> {done}))",
            final_states()
        )
    },
    delete: &[
        "DELETE FROM actions WHERE run_id = ?1",
        "DELETE FROM journal WHERE run_id = ?1",
        "DELETE FROM graphs WHERE run_id = ?1",
        "DELETE FROM outbox_runs WHERE run_id = ?1",
        "DELETE FROM runs WHERE id = ?1",
    ],
};

const APPROVALS: ById = ById {
    table: "approvals",
    over: || "status <> 'open' AND created_at < ?2 AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.id = approvals.action)".to_owned(),
    delete: &["DELETE FROM approval_queues WHERE approval = ?1", "DELETE FROM approvals WHERE id = ?1"],
};

/// The states in which a run is over, as a list for SQL.
pub(crate) fn final_states() -> String {
    RunState::ALL.iter().filter(|s| s.is_final()).fold(String::new(), |mut out, s| {
        let comma = if out.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(out, "{comma}{}", s.as_int());
        out
    })
}

/// The first id of an instant.
pub(crate) fn floor_id(at: Timestamp) -> [u8; 16] {
    (u128::from(at.as_millis()) << 80).to_be_bytes()
}

async fn by_id(engine: &Sqlite, what: ById, before: Timestamp, from: Option<u128>) -> Result<Retired> {
    let rule = (what.over)();
    let find = format!("SELECT id, {rule} AS over FROM {} WHERE id > ?1 AND id < ?3 ORDER BY id LIMIT {SLICE}", what.table);
    let from = from.unwrap_or(0).to_be_bytes();
    let found: Vec<([u8; 16], bool)> = engine
        .stroll(move |c| {
            let mut sql = c.prepare_cached(&find).or_store()?;
            let rows = sql.query_map(params![from, before.as_micros(), floor_id(before)], |r| Ok((r.get(0)?, r.get(1)?))).or_store()?;
            rows.collect::<rusqlite::Result<_>>().or_store()
        })
        .await?;
    let next = found.last().filter(|_| found.len() as i64 == SLICE).map(|(id, _)| u128::from_be_bytes(*id));
    let over: Vec<[u8; 16]> = found.into_iter().filter(|(_, over)| *over).map(|(id, _)| id).collect();
    if over.is_empty() {
        return Ok(Retired { gone: 0, next });
    }
    let still = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE id = ?1 AND {rule})", what.table);
    let gone = engine
        .command(move |tx| {
            let mut gone = 0;
            for id in &over {
                let still: bool = tx.sql(&still)?.query_row(params![id, before.as_micros()], |r| r.get(0)).or_store()?;
                if still {
                    what.delete.iter().try_for_each(|sql| tx.exec(sql, [id]).map(drop))?;
                    gone += 1;
                }
            }
            Ok(gone)
        })
        .await?;
    Ok(Retired { gone, next })
}

/// Blobs of the next digests that no journal names. A commit that names one keeps it in the same transaction.
async fn blobs(engine: &Sqlite, from: Option<u128>) -> Result<Retired> {
    let from: Vec<u8> = from.map_or_else(Vec::new, |f| f.to_be_bytes().into_iter().chain([0xff; 16]).collect());
    let after = from.clone();
    let (last, count): (Option<Vec<u8>>, i64) = engine
        .stroll(move |c| {
            let sql =
                format!("SELECT MAX(digest), COUNT(*) FROM (SELECT digest FROM blobs WHERE digest > ?1 ORDER BY digest LIMIT {SLICE})");
            c.prepare_cached(&sql).or_store()?.query_row([&after], |r| Ok((r.get(0)?, r.get(1)?))).or_store()
        })
        .await?;
    let Some(last) = last else { return Ok(Retired::default()) };
    let next = (count == SLICE).then(|| last.first_chunk().map_or(u128::MAX, |b| u128::from_be_bytes(*b)));
    let sql = "DELETE FROM blobs WHERE digest > ?1 AND digest <= ?2 AND NOT EXISTS (
           SELECT 1 FROM journal j WHERE substr(j.result, 1, 8) = x'7b22626c6f62223a'
             AND substr(j.result, 22, 64) = CAST(lower(hex(blobs.digest)) AS BLOB)
             AND j.tenant_id = blobs.tenant_id AND j.mode = blobs.mode)";
    let gone = engine.command(move |tx| Ok(tx.exec(sql, params![from, last])? as u64)).await?;
    Ok(Retired { gone, next })
}

/// Replays that are over. The newest of a tenant and mode stays: the next one counts on from its number.
fn replays(tx: &mut SqliteTx<'_>, before: Timestamp) -> Result<Retired> {
    let sql = "DELETE FROM replays WHERE created_at < ?1 AND next >= end_at
         AND offering < (SELECT MAX(offering) FROM replays n WHERE n.tenant_id = replays.tenant_id AND n.mode = replays.mode)";
    Ok(Retired { gone: tx.exec(sql, [before.as_micros()])? as u64, next: None })
}

/// Events of the next positions. The newest stays, or its position would be given again.
async fn events(engine: &Sqlite, before: Timestamp, from: Option<u128>) -> Result<Retired> {
    let from = from.and_then(|f| i64::try_from(f).ok()).unwrap_or(0);
    let bounds: (Option<i64>, Option<i64>, i64) = engine
        .stroll(move |c| {
            let sql = format!("SELECT MAX(pos), MIN(received_at), COUNT(*) FROM (SELECT pos, received_at FROM events WHERE pos > ?1 ORDER BY pos LIMIT {SLICE})");
            c.prepare_cached(&sql).or_store()?.query_row([from], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).or_store()
        })
        .await?;
    let (Some(last), Some(oldest), count) = bounds else { return Ok(Retired::default()) };
    // Events lie in the order in which they were received: when a whole slice is young, so is the rest.
    if oldest >= before.as_micros() {
        return Ok(Retired::default());
    }
    let over = final_states();
    let sql = format!(
        "DELETE FROM events WHERE pos > ?1 AND pos <= ?2 AND received_at < ?3 AND pos < (SELECT MAX(pos) FROM events)
           AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.event_id = events.id AND r.state NOT IN ({over}))
           AND NOT EXISTS (SELECT 1 FROM replays p WHERE p.next <= events.pos AND events.pos < p.end_at)"
    );
    let gone = engine.command(move |tx| Ok(tx.exec(&sql, params![from, last, before.as_micros()])? as u64)).await?;
    Ok(Retired { gone, next: (count == SLICE).then(|| u128::try_from(last).unwrap_or(0)) })
}

/// Changes of the next positions. The newest of each tenant and mode stays: of all, or its position would be given again; of each, so that who
/// follows a quiet one finds out that nothing came after.
async fn changes(engine: &Sqlite, before: Timestamp, from: Option<u128>) -> Result<Retired> {
    let from = from.and_then(|f| i64::try_from(f).ok()).unwrap_or(0);
    let (last, oldest, count): (Option<i64>, Option<i64>, i64) = engine
        .stroll(move |c| {
            let sql =
                format!("SELECT MAX(pos), MIN(at), COUNT(*) FROM (SELECT pos, at FROM outbox WHERE pos > ?1 ORDER BY pos LIMIT {SLICE})");
            c.prepare_cached(&sql).or_store()?.query_row([from], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).or_store()
        })
        .await?;
    let Some(last) = last.filter(|_| oldest.is_some_and(|at| at < before.as_micros())) else { return Ok(Retired::default()) };
    let sql = "DELETE FROM outbox AS o WHERE o.pos > ?1 AND o.pos <= ?2 AND o.at < ?3
         AND EXISTS (SELECT 1 FROM outbox n WHERE n.pos > o.pos AND n.tenant_id = o.tenant_id AND n.mode = o.mode)";
    let gone = engine.command(move |tx| Ok(tx.exec(sql, params![from, last, before.as_micros()])? as u64)).await?;
    Ok(Retired { gone, next: (count == SLICE).then(|| u128::try_from(last).unwrap_or(0)) })
}

/// Checkpoints that are followed by another of the same day.
async fn checkpoints(engine: &Sqlite, before: Timestamp, from: Option<u128>) -> Result<Retired> {
    let at = from.unwrap_or(0);
    let part = |n: u128| i64::try_from(n & u128::from(u64::MAX)).unwrap_or(i64::MAX);
    let (log, size) = (part(at >> 64), part(at));
    let found: Vec<(i64, i64, String)> = engine
        .stroll(move |c| {
            let sql = format!("SELECT log, size, signed FROM checkpoints WHERE (log, size) > (?1, ?2) ORDER BY log, size LIMIT {SLICE}");
            let mut sql = c.prepare_cached(&sql).or_store()?;
            let rows = sql.query_map([log, size], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).or_store()?;
            rows.collect::<rusqlite::Result<_>>().or_store()
        })
        .await?;
    let full = found.len() as i64 == SLICE;
    let mut dated = Vec::with_capacity(found.len());
    for (log, size, signed) in found {
        let read: SignedCheckpoint = serde_json::from_str(&signed).map_err(|_| damaged("a checkpoint"))?;
        dated.push((log, size, read.checkpoint.at));
    }
    let day = |at: Timestamp| at.as_micros().div_euclid(86_400_000_000);
    let old: Vec<(i64, i64)> = dated
        .windows(2)
        .filter_map(|w| match w {
            [(log, size, at), (next, _, then)] if log == next && day(*at) == day(*then) && *at < before => Some((*log, *size)),
            _ => None,
        })
        .collect();
    // The last of the slice is looked at again with what follows it.
    let next = dated.iter().rev().nth(1).filter(|_| full).map(|(log, size, _)| (wide(*log) << 64) | wide(*size));
    let gone = if old.is_empty() {
        0
    } else {
        engine
            .command(move |tx| {
                for (log, size) in &old {
                    tx.exec("DELETE FROM checkpoints WHERE log = ?1 AND size = ?2", [log, size])?;
                }
                Ok(old.len() as u64)
            })
            .await?
    };
    Ok(Retired { gone, next })
}

fn wide(n: i64) -> u128 {
    u128::try_from(n).unwrap_or(0)
}

fn archivable(c: &Connection, scope: Scope, before: Timestamp, most: u64) -> Result<Archivable> {
    let Some((log, _)) = find_log(c, scope)? else { return Ok(Archivable::default()) };
    let from = start(c, scope)?;
    let signed: Option<i64> =
        c.prepare_cached("SELECT MAX(size) FROM checkpoints WHERE log = ?1").or_store()?.query_row([log], |r| r.get(0)).or_store()?;
    let end = u64::try_from(signed.unwrap_or(0)).unwrap_or(0).min(from.saturating_add(most));
    let done = ActionState::Done.as_int();
    let sql = format!(
        "SELECT e.n FROM entries e LEFT JOIN actions a ON a.id = e.action
         WHERE e.n >= ?1 AND e.n < ?2 AND (e.at >= ?3 OR a.state <> {done}) ORDER BY e.n LIMIT 1"
    );
    let stop: Option<i64> = c
        .prepare_cached(&sql)
        .or_store()?
        .query_row(params![entry_row(log, from), entry_row(log, end), before.as_micros()], |r| r.get(0))
        .optional()
        .or_store()?;
    let kept_by = stop.map(entry_position);
    let to = kept_by.unwrap_or(end) / TILE * TILE;
    Ok(Archivable { from, to: to.max(from), kept_by })
}

fn retire_entries(tx: &mut SqliteTx<'_>, scope: Scope, from: u64, to: u64) -> Result<u64> {
    let Some((log, _)) = find_log(tx.connection(), scope)? else { return Ok(0) };
    let first = start(tx.connection(), scope)?;
    if from != first || !to.is_multiple_of(TILE) {
        return Err(StoreError::Conflict(format!("the log's oldest entry is {first}: entries {from} to {to} cannot be taken away")));
    }
    // What comes after them is proved by the tiles above them, which must be there.
    let tiles: i64 = tx
        .sql("SELECT COUNT(*) FROM tiles WHERE log = ?1 AND level = 8 AND idx >= ?2 AND idx < ?3")?
        .query_row(params![log, int(from / TILE), int(to / TILE)], |r| r.get(0))
        .or_store()?;
    if u64::try_from(tiles).ok() != Some(to / TILE - from / TILE) {
        return Err(damaged("the tiles of a log"));
    }
    let gone = tx.exec("DELETE FROM entries WHERE n >= ?1 AND n < ?2", params![entry_row(log, from), entry_row(log, to)])?;
    Ok(gone as u64)
}

/// Pages that are free go back to the file system. A store made before this was possible needs one rewrite first.
fn give_back(tx: &mut SqliteTx<'_>) -> Result<u64> {
    let c = tx.connection();
    let pragma = |name: &str| c.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).or_store();
    let before = pragma("freelist_count")?;
    if before == 0 || pragma("auto_vacuum")? != INCREMENTAL {
        return Ok(0);
    }
    let mut sql = c.prepare(&format!("PRAGMA incremental_vacuum({PAGES})")).or_store()?;
    let mut rows = sql.query([]).or_store()?;
    while rows.next().or_store()?.is_some() {}
    let pages = before - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?).unwrap_or(0))
}
