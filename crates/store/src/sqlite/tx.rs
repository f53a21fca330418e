//! One open transaction on SQLite: each method of the traits is one statement. The ledger's heads are kept in memory beside it.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use tollgate_core::change::{Moved, What};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ledger::Frontier;
use tollgate_core::ports::{ConfigRev, NewEntry, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::backend::Committed;
use crate::codec::int;
use crate::error::{OrStore, Result, damaged};
use crate::tx::{Notes, Outbox, Tx};

/// Bits of a row id that are the position in its log.
const POSITION_BITS: u32 = 40;

/// The row id of an entry. A position beyond every log's end, which a cursor made by hand may name, is the first row of the next
/// log and no further: rows behind that are another tenant's or mode's.
pub(crate) fn entry_row(log: i64, position: u64) -> i64 {
    let end = 1_i64 << POSITION_BITS;
    (log << POSITION_BITS) + i64::try_from(position).map_or(end, |p| p.min(end))
}

/// The position of an entry's row.
pub(crate) fn entry_position(row: i64) -> u64 {
    u64::try_from(row & ((1 << POSITION_BITS) - 1)).unwrap_or(0)
}

/// Heads of the logs written since the store was opened.
#[derive(Clone, Default)]
pub(crate) struct Heads {
    logs: BTreeMap<Scope, Head>,
    /// The last position in the outbox, once it was looked up.
    outbox: Option<i64>,
}

#[derive(Clone)]
struct Head {
    log: i64,
    frontier: Frontier,
    dirty: bool,
}

/// One open transaction.
pub(crate) struct SqliteTx<'a> {
    conn: &'a Connection,
    heads: &'a mut Heads,
    now: Timestamp,
    notify: bool,
    events: bool,
    notes: Notes,
    /// Commands leave word of what becomes of steps, and no more.
    pub(crate) word_only: bool,
    appends: u64,
}

impl<'a> SqliteTx<'a> {
    pub(crate) fn new(conn: &'a Connection, heads: &'a mut Heads, now: Timestamp) -> Self {
        Self { conn, heads, now, notify: false, events: false, notes: Notes::default(), word_only: false, appends: 0 }
    }

    /// The connection, for queries that readers use too.
    pub(crate) const fn connection(&self) -> &'a Connection {
        self.conn
    }

    /// The store's clock.
    pub(crate) const fn instant(&self) -> Timestamp {
        self.now
    }

    /// A statement, prepared once.
    pub(crate) fn sql(&self, text: &str) -> Result<CachedStatement<'a>> {
        self.conn.prepare_cached(text).or_store()
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) fn exec(&self, text: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.sql(text)?.execute(params).or_store()
    }

    /// The event log grew.
    pub(crate) const fn grew(&mut self) {
        self.events = true;
    }

    /// Rows written so far on this connection, and entries begun: a head in memory moves before its row is there.
    pub(crate) fn writes(&self) -> u64 {
        self.conn.total_changes() + self.appends
    }

    fn load_head(&mut self, scope: Scope) -> Result<()> {
        if self.heads.logs.contains_key(&scope) {
            return Ok(());
        }
        let found = find_log(self.conn, scope)?;
        let head = match found {
            Some((log, frontier)) => Head { log, frontier, dirty: false },
            None => {
                let frontier = Frontier::new();
                self.exec(
                    "INSERT INTO logs (reseller_id, tenant_id, mode, frontier) VALUES (?1, ?2, ?3, ?4)",
                    params![scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int(), frontier.to_bytes()],
                )?;
                Head { log: self.conn.last_insert_rowid(), frontier, dirty: false }
            }
        };
        self.heads.logs.insert(scope, head);
        Ok(())
    }

    /// Writes down what changed.
    fn send(&mut self) -> Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let mut last = match self.heads.outbox {
            Some(last) => last,
            None => self.sql("SELECT COALESCE(MAX(pos), 0) FROM outbox")?.query_row([], |r| r.get(0)).or_store()?,
        };
        for parcel in self.notes.parcels() {
            last += i64::from(parcel.changes);
            let s = parcel.scope;
            self.exec(
                "INSERT INTO outbox (pos, changes, at, body, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    last,
                    parcel.changes,
                    parcel.at.as_micros(),
                    parcel.body,
                    s.reseller_id.as_bytes(),
                    s.tenant_id.as_bytes(),
                    s.mode.as_int()
                ],
            )?;
            for run in &parcel.runs {
                self.exec("INSERT INTO outbox_runs (run_id, pos) VALUES (?1, ?2)", params![run.as_bytes(), last])?;
            }
        }
        self.heads.outbox = Some(last);
        Ok(())
    }

    /// Writes the heads that moved; answers what others may wait for.
    pub(crate) fn finish(mut self) -> Result<Committed> {
        self.send()?;
        let changes = !self.notes.is_empty();
        let mut news = Committed { steps: self.notify, entries: false, events: self.events, changes, config: false };
        for head in self.heads.logs.values_mut().filter(|h| h.dirty) {
            let mut update = self.conn.prepare_cached("UPDATE logs SET frontier = ?2 WHERE log = ?1").or_store()?;
            update.execute(params![head.log, head.frontier.to_bytes()]).or_store()?;
            head.dirty = false;
            news.entries = true;
        }
        Ok(news)
    }
}

impl Outbox for SqliteTx<'_> {
    fn note(&mut self, scope: Scope, run: RunId, what: What) {
        self.notes.note(scope, run, self.now, what);
    }

    fn amend(&mut self, action: ActionId, with: &dyn Fn(&mut Moved)) {
        self.notes.amend(action, with);
    }
}

impl Tx for SqliteTx<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn wake(&mut self) {
        self.notify = true;
    }

    fn append(&mut self, scope: Scope, entry: &NewEntry) -> Result<()> {
        if let Some(key) = entry.sealed.as_ref().and_then(|s| s.new_key.as_ref()) {
            self.exec(
                "INSERT INTO subject_keys (key_id, reseller_id, tenant_id, mode, subject, wrapped) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key_id) DO NOTHING",
                params![key.key_id, scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int(), key.subject.0, key.wrapped],
            )?;
        }
        self.appends += 1;
        self.load_head(scope)?;
        let head = self.heads.logs.get_mut(&scope).ok_or_else(|| damaged("a log's head"))?;
        let position = head.frontier.size();
        let log = head.log;
        let mut tiles = Vec::new();
        head.frontier
            .append(entry.leaf_hash, |level, index, hash| {
                if level > 0 && level % 8 == 0 {
                    tiles.push((level, index, hash));
                }
            })
            .map_err(|e| StoreError::Corrupt(e.to_string()))?;
        head.dirty = true;
        self.exec(
            "INSERT INTO entries (n, id, kind, at, action, leaf, leaf_hash, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                entry_row(log, position),
                entry.id.as_bytes(),
                entry.kind.as_str(),
                entry.at.as_micros(),
                entry.action.as_ref().map(|a| *a.as_bytes()),
                entry.leaf,
                entry.leaf_hash.0,
                entry.sealed.as_ref().map(|s| &s.bytes)
            ],
        )?;
        for (level, index, hash) in tiles {
            self.exec("INSERT INTO tiles (log, level, idx, hash) VALUES (?1, ?2, ?3, ?4)", params![log, level, int(index), hash.0])?;
        }
        Ok(())
    }

    fn epoch(&mut self) -> Result<u64> {
        let held: Option<i64> = self.sql("SELECT v FROM meta WHERE k = 'epoch_held'")?.query_row([], |r| r.get(0)).optional().or_store()?;
        Ok(u64::try_from(held.unwrap_or(0)).unwrap_or(0))
    }

    fn config_rev(&mut self) -> Result<ConfigRev> {
        let rev: Option<i64> = self.sql("SELECT v FROM meta WHERE k = 'config_rev'")?.query_row([], |r| r.get(0)).optional().or_store()?;
        Ok(ConfigRev(u64::try_from(rev.unwrap_or(0)).unwrap_or(0)))
    }

    fn raise_rev(&mut self) -> Result<ConfigRev> {
        let next = ConfigRev(self.config_rev()?.0 + 1);
        self.exec("INSERT INTO meta (k, v) VALUES ('config_rev', ?1) ON CONFLICT (k) DO UPDATE SET v = excluded.v", [int(next.0)])?;
        Ok(next)
    }
}

/// A log's number and frontier.
pub(crate) fn find_log(conn: &Connection, scope: Scope) -> Result<Option<(i64, Frontier)>> {
    let row: Option<(i64, Vec<u8>)> = conn
        .prepare_cached("SELECT log, frontier FROM logs WHERE reseller_id = ?1 AND tenant_id = ?2 AND mode = ?3")
        .or_store()?
        .query_row(params![scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .or_store()?;
    row.map(|(log, bytes)| Ok((log, Frontier::from_bytes(&bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?))).transpose()
}
