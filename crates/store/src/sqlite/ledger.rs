//! The ledger on SQLite: positions are given at commit, so that a row's number is its log and position.

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::hash::Digest;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::Frontier;
use tollgate_core::ports::{BoxFuture, LedgerLog, StoreError, StoredEntry, SubjectKeyRow};
use tollgate_core::scope::Scope;

use crate::codec::{digest_of, int};
use crate::error::{OrStore, Result};
use crate::row::Row;
use crate::sqlite::store::SqliteStore;
use crate::sqlite::tx::{entry_position, entry_row, find_log};

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

impl LedgerLog for SqliteStore {
    fn start(&self, scope: Scope) -> Out<'_, u64> {
        self.engine.look(move |c| crate::sqlite::keep::start(c, scope))
    }
    fn entries(&self, scope: Scope, from: u64, limit: u32) -> Out<'_, Vec<StoredEntry>> {
        self.engine.look(move |c| range(c, scope, from, limit))
    }
    fn entry(&self, scope: Scope, id: EntryId) -> Out<'_, Option<StoredEntry>> {
        self.engine.look(move |c| get(c, scope, id))
    }
    fn entries_of(&self, scope: Scope, action: tollgate_core::id::ActionId) -> Out<'_, Vec<StoredEntry>> {
        self.engine.look(move |c| of_action(c, scope, action))
    }
    fn frontier(&self, scope: Scope) -> Out<'_, Frontier> {
        self.engine.look(move |c| frontier(c, scope))
    }
    fn leaf_hashes(&self, scope: Scope, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.engine.look(move |c| leaf_hashes(c, scope, from, to))
    }
    fn tiles(&self, scope: Scope, level: u8, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.engine.look(move |c| tiles(c, scope, level, from, to))
    }
    fn subject_key(&self, scope: Scope, key_id: [u8; 16]) -> Out<'_, Option<SubjectKeyRow>> {
        self.engine.look(move |c| subject_key(c, scope, key_id))
    }
    fn checkpoint(&self, scope: Scope) -> Out<'_, Option<String>> {
        self.engine.look(move |c| checkpoint(c, scope))
    }
    fn waiting(&self) -> Out<'_, Option<u64>> {
        // Positions are given at commit.
        Box::pin(async { Ok(None) })
    }
    fn sequence(&self) -> Out<'_, u64> {
        Box::pin(std::future::ready(Ok(0)))
    }
    fn put_checkpoint(&self, scope: Scope, size: u64, signed: String) -> Out<'_, ()> {
        self.engine.command(move |tx| {
            let Some((log, _)) = find_log(tx.connection(), scope)? else { return Err(StoreError::NotFound) };
            tx.exec(
                "INSERT INTO checkpoints (log, size, signed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![log, int(size), signed],
            )?;
            Ok(())
        })
    }
}

/// Reads a row of `entries`.
pub(crate) fn read_entry(r: Row<'_>) -> Result<StoredEntry> {
    Ok(StoredEntry {
        position: Some(entry_position(r.get("n")?)),
        id: EntryId::from_bytes(r.get("id")?),
        leaf: r.get("leaf")?,
        leaf_hash: r.get("leaf_hash")?,
        sealed: r.get("sealed")?,
    })
}

/// Entries of a log from a position on.
fn range(conn: &Connection, scope: Scope, from: u64, limit: u32) -> Result<Vec<StoredEntry>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(Vec::new()) };
    let mut sql = conn.prepare_cached("SELECT * FROM entries WHERE n >= ?1 AND n < ?2 ORDER BY n LIMIT ?3").or_store()?;
    let mut rows = sql.query(params![entry_row(log, from), entry_row(log + 1, 0), limit]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push(read_entry(Row::Sqlite(r))?);
    }
    Ok(out)
}

/// One entry of this log.
fn get(conn: &Connection, scope: Scope, id: EntryId) -> Result<Option<StoredEntry>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(None) };
    conn.prepare_cached("SELECT * FROM entries WHERE id = ?1 AND n >= ?2 AND n < ?3")
        .or_store()?
        .query_row(params![id.as_bytes(), entry_row(log, 0), entry_row(log + 1, 0)], |r| Ok(read_entry(Row::Sqlite(r))))
        .optional()
        .or_store()?
        .transpose()
}

/// Entries about one action, in order.
fn of_action(conn: &Connection, scope: Scope, action: tollgate_core::id::ActionId) -> Result<Vec<StoredEntry>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(Vec::new()) };
    let mut sql = conn.prepare_cached("SELECT * FROM entries WHERE action = ?1 AND n >= ?2 AND n < ?3 ORDER BY n").or_store()?;
    let mut rows = sql.query(params![action.as_bytes(), entry_row(log, 0), entry_row(log + 1, 0)]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push(read_entry(Row::Sqlite(r))?);
    }
    Ok(out)
}

/// The tree's compact form.
fn frontier(conn: &Connection, scope: Scope) -> Result<Frontier> {
    Ok(find_log(conn, scope)?.map(|(_, f)| f).unwrap_or_default())
}

/// Leaf hashes of a range.
fn leaf_hashes(conn: &Connection, scope: Scope, from: u64, to: u64) -> Result<Vec<Digest>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(Vec::new()) };
    let rows: Vec<Vec<u8>> = conn
        .prepare_cached("SELECT leaf_hash FROM entries WHERE n >= ?1 AND n < ?2 ORDER BY n")
        .or_store()?
        .query_map(params![entry_row(log, from), entry_row(log, to)], |r| r.get(0))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()?;
    rows.iter().map(|b| digest_of(b)).collect()
}

/// Roots of complete tiles of a level.
fn tiles(conn: &Connection, scope: Scope, level: u8, from: u64, to: u64) -> Result<Vec<Digest>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(Vec::new()) };
    let rows: Vec<Vec<u8>> = conn
        .prepare_cached("SELECT hash FROM tiles WHERE log = ?1 AND level = ?2 AND idx >= ?3 AND idx < ?4 ORDER BY idx")
        .or_store()?
        .query_map(params![log, level, int(from), int(to)], |r| r.get(0))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()?;
    rows.iter().map(|b| digest_of(b)).collect()
}

/// The key that sealed a value; none when it was erased.
fn subject_key(conn: &Connection, scope: Scope, key_id: [u8; 16]) -> Result<Option<SubjectKeyRow>> {
    let found: Option<(Vec<u8>, Vec<u8>)> = conn
        .prepare_cached("SELECT subject, wrapped FROM subject_keys WHERE key_id = ?1 AND tenant_id = ?2 AND mode = ?3")
        .or_store()?
        .query_row(params![key_id, scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .or_store()?;
    found.map(|(subject, wrapped)| Ok(SubjectKeyRow { key_id, subject: digest_of(&subject)?, wrapped })).transpose()
}

/// The newest checkpoint of a log.
fn checkpoint(conn: &Connection, scope: Scope) -> Result<Option<String>> {
    let Some((log, _)) = find_log(conn, scope)? else { return Ok(None) };
    conn.prepare_cached("SELECT signed FROM checkpoints WHERE log = ?1 ORDER BY size DESC LIMIT 1")
        .or_store()?
        .query_row([log], |r| r.get(0))
        .optional()
        .or_store()
}
