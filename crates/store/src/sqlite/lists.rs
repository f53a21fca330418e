//! What reads by the order of one writer: positions of events, lists by row numbers.

use rusqlite::{Connection, params};
use tollgate_core::event::Event;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, BoxFuture, Claimed, EntryFilter, EventFilter, ListOut, Listed, Page, QUEUE_BOUND, QueueLine, ReplayRange,
    ReplayState, StoredEntry,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::backend::{Backend, Ordered};
use crate::codec::int;
use crate::command::replay;
use crate::error::{OrStore, Result};
use crate::query::actions::{COLUMNS, FROM, read_action};
use crate::query::events::read_event;
use crate::query::lists::{action_state, read_line};
use crate::row::Row;
use crate::sqlite::ledger::read_entry;
use crate::sqlite::single::claim_of;
use crate::sqlite::store::{Sqlite, select};
use crate::sqlite::tx::{SqliteTx, entry_row, find_log};
use crate::tx::Tx;
use crate::value::{Value, values};

/// The row before which a page lies, for lists ordered by a number.
fn before_number(page: Page) -> i64 {
    page.before.and_then(|b| i64::try_from(b).ok()).unwrap_or(i64::MAX)
}

fn collect<T>(conn: &Connection, sql: &str, values: &[Value], read: impl Fn(Row<'_>) -> Result<(u64, T)>) -> Result<Vec<Listed<T>>> {
    let mut out = Vec::new();
    select(conn, sql, values, &mut |r| {
        let (row, item) = read(r)?;
        out.push(Listed { row: u128::from(row), item });
        Ok(())
    })?;
    Ok(out)
}

/// Events after a position.
fn events_after(conn: &Connection, s: Scope, position: u64, limit: u32) -> Result<Vec<(u64, Event)>> {
    let sql = "SELECT * FROM events WHERE pos > $1 AND tenant_id = $2 AND mode = $3 ORDER BY pos LIMIT $4";
    let found = collect(conn, sql, &values![int(position), s.tenant_id.as_bytes(), s.mode.as_int(), limit], |r| {
        Ok((r.get("pos")?, read_event(r)?))
    })?;
    Ok(found.into_iter().filter_map(|l| Some((u64::try_from(l.row).ok()?, l.item))).collect())
}

/// One past the last position.
fn end_of_events(tx: &SqliteTx<'_>) -> Result<u64> {
    let end: i64 = tx.sql("SELECT COALESCE(MAX(pos), 0) + 1 FROM events")?.query_row([], |r| r.get(0)).or_store()?;
    Ok(u64::try_from(end).unwrap_or(1))
}

/// Events.
fn events(conn: &Connection, s: Scope, f: &EventFilter, page: Page) -> Result<Vec<Listed<Event>>> {
    let sql = "SELECT * FROM events WHERE pos < $1 AND tenant_id = $2 AND mode = $3 AND (event_type = $4 OR $4 IS NULL)
         AND (source = $5 OR $5 IS NULL) AND (subject = $6 OR $6 IS NULL) ORDER BY pos DESC LIMIT $7";
    let (kind, source, subject) = (f.event_type.clone(), f.source.clone(), f.subject.clone());
    let values = values![before_number(page), s.tenant_id.as_bytes(), s.mode.as_int(), kind, source, subject, page.limit];
    collect(conn, sql, &values, |r| Ok((r.get("pos")?, read_event(r)?)))
}

/// Actions.
fn actions(conn: &Connection, s: Scope, f: &ActionFilter, page: Page) -> Result<Vec<Listed<ActionRecord>>> {
    let Ok(state) = action_state(f.state.as_deref()) else { return Ok(Vec::new()) };
    let sql = format!(
        "{COLUMNS}, a.n {FROM} WHERE a.n < $1 AND a.tenant_id = $2 AND a.mode = $3 AND (a.run_id = $4 OR $4 IS NULL) AND (a.state = $5 OR $5 IS NULL)
         AND (a.disposition = $6 OR $6 IS NULL) AND (a.tool = $7 OR $7 IS NULL) ORDER BY a.n DESC LIMIT $8"
    );
    let (run, disposition) = (f.run.map(|r| *r.as_bytes()), f.disposition.map(tollgate_core::ledger::Disposition::as_str));
    let values = values![before_number(page), s.tenant_id.as_bytes(), s.mode.as_int(), run, state, disposition, f.tool.clone(), page.limit];
    collect(conn, &sql, &values, |r| Ok((r.get("n")?, read_action(r)?)))
}

/// Ledger entries.
fn entries(conn: &Connection, s: Scope, f: &EntryFilter, page: Page) -> Result<Vec<Listed<StoredEntry>>> {
    let Some((log, _)) = find_log(conn, s)? else { return Ok(Vec::new()) };
    let position = page.before.and_then(|b| u64::try_from(b).ok());
    let end = position.map_or(entry_row(log + 1, 0), |p| entry_row(log, p));
    let sql = "SELECT * FROM entries WHERE n >= $1 AND n < $2 AND (kind = $3 OR $3 IS NULL) AND (action = $4 OR $4 IS NULL) ORDER BY n DESC LIMIT $5";
    let (kind, action) = (f.kind.map(tollgate_core::ledger::Kind::as_str), f.action.map(|a| *a.as_bytes()));
    collect(conn, sql, &values![entry_row(log, 0), end, kind, action, page.limit], |r| {
        let entry = read_entry(r)?;
        Ok((entry.position.unwrap_or(0), entry))
    })
}

/// Forgets up to `limit` idempotency keys whose time is over. Walks the table: no index pays for a sweep of once an hour.
fn forget_keys(tx: &SqliteTx<'_>, lapsed: &[LapsedKey]) -> Result<u32> {
    let mut n = 0;
    for key in lapsed {
        // One that was given anew meanwhile stays.
        n += tx.exec(
            "DELETE FROM idempotency WHERE tenant_id = ?1 AND mode = ?2 AND route = ?3 AND key = ?4 AND expires_at <= ?5",
            params![key.tenant, key.mode, key.route, key.key, tx.now().as_micros()],
        )?;
    }
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

/// An idempotency key whose time is over.
struct LapsedKey {
    tenant: [u8; 16],
    mode: i64,
    route: String,
    key: String,
}

/// Idempotency keys whose time is over.
fn lapsed_keys(conn: &Connection, now: Timestamp, limit: u32) -> Result<Vec<LapsedKey>> {
    let mut out = Vec::new();
    let sql = "SELECT tenant_id, mode, route, key FROM idempotency WHERE expires_at <= $1 LIMIT $2";
    select(conn, sql, &values![now, limit], &mut |r| {
        out.push(LapsedKey { tenant: r.at(0)?, mode: r.at(1)?, route: r.at(2)?, key: r.at(3)? });
        Ok(())
    })?;
    Ok(out)
}

/// How much waits. One process takes everything, and few tables are small enough to be counted by tenant: those are counted as far as the bound.
fn queue(conn: &Connection, scope: Option<Scope>) -> Result<Vec<QueueLine>> {
    let of = scope.map(|s| (*s.tenant_id.as_bytes(), s.mode.as_int())).unzip();
    let sql = "WITH sets(id, labels) AS (SELECT 0, '' UNION ALL SELECT id, labels FROM label_sets)
         SELECT s.labels,
           (SELECT count(*) FROM (SELECT * FROM ready LIMIT ?3) q WHERE q.label = s.id AND (?1 IS NULL OR (q.tenant_id = ?1 AND q.mode = ?2))),
           (SELECT count(*) FROM (SELECT * FROM parked LIMIT ?3) q WHERE q.label = s.id AND (?1 IS NULL OR (q.tenant_id = ?1 AND q.mode = ?2))),
           (SELECT count(*) FROM (SELECT * FROM held LIMIT ?3) q WHERE q.label = s.id AND (?1 IS NULL OR (q.tenant_id = ?1 AND q.mode = ?2))),
           (SELECT count(*) FROM (SELECT * FROM timers LIMIT ?3) q WHERE q.label = s.id AND (?1 IS NULL OR (q.tenant_id = ?1 AND q.mode = ?2))),
           (SELECT min(q.at) FROM (SELECT * FROM ready ORDER BY n LIMIT ?3) q WHERE q.label = s.id AND (?1 IS NULL OR (q.tenant_id = ?1 AND q.mode = ?2)))
         FROM sets s ORDER BY s.labels";
    let mut out = Vec::new();
    select(conn, sql, &values![of.0, of.1, QUEUE_BOUND], &mut |r| {
        out.push(read_line(r)?);
        Ok(())
    })?;
    Ok(out)
}

impl Ordered for Sqlite {
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> BoxFuture<'_, Result<Vec<(u64, Event)>>> {
        self.look(move |c| events_after(c, scope, position, limit))
    }
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> BoxFuture<'_, Result<ReplayState>> {
        self.command(move |tx| {
            let end = end_of_events(tx)?;
            replay::begin(tx, scope, &range, end, at)
        })
    }
    fn forget_keys(&self, limit: u32) -> BoxFuture<'_, Result<u32>> {
        Box::pin(async move {
            let now = self.now().await?;
            let lapsed = self.stroll(move |c| lapsed_keys(c, now, limit)).await?;
            if lapsed.is_empty() {
                return Ok(0);
            }
            self.command(move |tx| forget_keys(tx, &lapsed)).await
        })
    }
    fn claim_after(&self, session: SessionId, (_, run): (Scope, RunId), steps: u32) -> BoxFuture<'_, Result<Vec<Claimed>>> {
        match self.apart {
            Some(_) => self.exec_command(move |tx| Ok(claim_of(tx, session, run, steps)?.claimed)),
            None => Box::pin(std::future::ready(Ok(Vec::new()))),
        }
    }
    fn list_events(&self, scope: Scope, filter: EventFilter, page: Page) -> ListOut<'_, Event> {
        self.stroll(move |c| events(c, scope, &filter, page))
    }
    fn queue(&self, scope: Option<Scope>) -> BoxFuture<'_, Result<Vec<QueueLine>>> {
        self.stroll(move |c| queue(c, scope))
    }
    fn list_actions(&self, scope: Scope, filter: ActionFilter, page: Page) -> ListOut<'_, ActionRecord> {
        self.stroll(move |c| actions(c, scope, &filter, page))
    }
    fn list_entries(&self, scope: Scope, filter: EntryFilter, page: Page) -> ListOut<'_, StoredEntry> {
        self.stroll(move |c| entries(c, scope, &filter, page))
    }
}
