//! A tenant's removal on SQLite: found by readers in the order of each table's key, taken away in slices between other commands.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::ports::BoxFuture;
use tollgate_core::run::RunState;

use crate::error::{OrStore, Result, damaged};
use crate::removal::Removes;
use crate::retention::Removal;
use crate::sqlite::keep::final_states;
use crate::sqlite::store::Sqlite;
use crate::sqlite::tx::{SqliteTx, entry_position, entry_row};

/// Rows looked at in one slice.
const SLICE: usize = 512;

/// A table as its catalog has it.
#[derive(Clone)]
struct Table {
    name: &'static str,
    /// The columns of its key.
    key: Vec<String>,
    /// Whether a row is the tenant's, `?1`.
    theirs: String,
    /// Positions that stay: the tenant's newest.
    stay: Vec<i64>,
}

impl Table {
    /// None where this engine has no such table. Rows of a run may not say whose the run is.
    fn read(c: &Connection, name: &'static str, removal: Removal, tenant: TenantId) -> Result<Option<Self>> {
        let mut sql = c.prepare_cached("SELECT name, pk FROM pragma_table_info(?1) ORDER BY pk").or_store()?;
        let columns: Vec<(String, i64)> =
            sql.query_map([name], |r| Ok((r.get(0)?, r.get(1)?))).or_store()?.collect::<rusqlite::Result<_>>().or_store()?;
        let has = |column: &str| columns.iter().any(|(c, _)| c == column);
        let newest = format!("SELECT MAX(pos) FROM {name} WHERE tenant_id = ?1 GROUP BY mode");
        let stay = match removal {
            Removal::Emptied(_) if has("pos") => {
                let mut sql = c.prepare_cached(&newest).or_store()?;
                sql.query_map([tenant.as_bytes()], |r| r.get(0)).or_store()?.collect::<rusqlite::Result<_>>().or_store()?
            }
            _ => Vec::new(),
        };
        let theirs = match (has("tenant_id"), has("run_id")) {
            (true, _) => "tenant_id = ?1".to_owned(),
            (false, true) => format!("EXISTS (SELECT 1 FROM runs r WHERE r.id = {name}.run_id AND r.tenant_id = ?1)"),
            (false, false) if columns.is_empty() => return Ok(None),
            (false, false) => return Err(damaged("a table that does not say whose its rows are")),
        };
        let key = columns.into_iter().filter(|(_, pk)| *pk > 0).map(|(name, _)| name).collect();
        Ok(Some(Self { name, key, theirs, stay }))
    }

    fn of_key(&self, each: impl Fn(usize, &str) -> String, between: &str) -> String {
        self.key.iter().enumerate().map(|(i, k)| each(i, k)).collect::<Vec<_>>().join(between)
    }

    /// The keys of the next rows, and whether they are the tenant's.
    fn slice(&self, c: &Connection, tenant: TenantId, after: &[Value]) -> Result<Vec<(Vec<Value>, bool)>> {
        let names = self.key.join(", ");
        let marks = self.of_key(|i, _| format!("?{}", i + 2), ", ");
        let past = if after.is_empty() { String::new() } else { format!("WHERE ({names}) > ({marks})") };
        let text = format!("SELECT {}, {names} FROM {} {past} ORDER BY {names} LIMIT {SLICE}", self.theirs, self.name);
        let values = std::iter::once(Value::Blob(tenant.as_bytes().to_vec())).chain(after.iter().cloned());
        let mut sql = c.prepare_cached(&text).or_store()?;
        let read = |r: &rusqlite::Row<'_>| Ok(((1..=self.key.len()).map(|i| r.get(i)).collect::<rusqlite::Result<_>>()?, r.get(0)?));
        sql.query_map(params_from_iter(values), read).or_store()?.collect::<rusqlite::Result<_>>().or_store()
    }

    /// Takes these rows away, if they are the tenant's.
    fn delete(&self, tx: &mut SqliteTx<'_>, tenant: TenantId, keys: &[Vec<Value>]) -> Result<u64> {
        let at = self.of_key(|i, k| format!("{k} = ?{}", i + 2), " AND ");
        let text = format!("DELETE FROM {} WHERE {at} AND {}", self.name, self.theirs);
        let mut gone = 0;
        for key in keys {
            let values = std::iter::once(Value::Blob(tenant.as_bytes().to_vec())).chain(key.iter().cloned());
            gone += tx.exec(&text, params_from_iter(values))?;
        }
        Ok(gone as u64)
    }
}

async fn rows(engine: &Sqlite, table: Table, tenant: TenantId) -> Result<u64> {
    let (mut gone, mut after) = (0, Vec::new());
    loop {
        let (of, from) = (table.clone(), after);
        let found = engine.stroll(move |c| of.slice(c, tenant, &from)).await?;
        let last = found.last().filter(|_| found.len() == SLICE).map(|(key, _)| key.clone());
        let stays = |key: &[Value]| matches!(key, [Value::Integer(pos)] if table.stay.contains(pos));
        let keys: Vec<_> = found.into_iter().filter(|(key, theirs)| *theirs && !stays(key)).map(|(key, _)| key).collect();
        if !keys.is_empty() {
            let of = table.clone();
            gone += engine.command(move |tx| of.delete(tx, tenant, &keys)).await?;
        }
        let Some(last) = last else { return Ok(gone) };
        after = last;
    }
}

/// What of the tenant is not over.
fn open(c: &Connection, tenant: TenantId) -> Result<u64> {
    let (done, draft, over) = (ActionState::Done.as_int(), RunState::Draft.as_int(), final_states());
    let text = format!(
        "SELECT (SELECT COUNT(*) FROM runs WHERE tenant_id = ?1 AND state NOT IN ({over}))
           + (SELECT COUNT(*) FROM actions a WHERE a.tenant_id = ?1 AND a.state <> {done}
                AND EXISTS (SELECT 1 FROM runs r WHERE r.id = a.run_id AND r.state <> {draft}))
           + (SELECT COUNT(*) FROM replays WHERE tenant_id = ?1 AND next < end_at)"
    );
    let n: i64 = c.query_row(&text, [tenant.as_bytes()], |r| r.get(0)).or_store()?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// Entries of the tenant's logs that no checkpoint covers.
fn unsigned(c: &Connection, tenant: TenantId) -> Result<u64> {
    let mut sql = c.prepare("SELECT log FROM logs WHERE tenant_id = ?1").or_store()?;
    let logs: Vec<i64> = sql.query_map([tenant.as_bytes()], |r| r.get(0)).or_store()?.collect::<rusqlite::Result<_>>().or_store()?;
    let mut out = 0;
    for log in logs {
        let newest = "SELECT MAX(n) FROM entries WHERE n >= ?1 AND n < ?2";
        let newest: Option<i64> = c.query_row(newest, [entry_row(log, 0), entry_row(log + 1, 0)], |r| r.get(0)).or_store()?;
        let signed: Option<i64> = c.query_row("SELECT MAX(size) FROM checkpoints WHERE log = ?1", [log], |r| r.get(0)).or_store()?;
        let size = newest.map_or(0, |n| entry_position(n) + 1);
        out += size.saturating_sub(u64::try_from(signed.unwrap_or(0)).unwrap_or(0));
    }
    Ok(out)
}

impl Removes for Sqlite {
    fn under_way(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>> {
        self.stroll(move |c| open(c, tenant))
    }

    fn unsigned(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>> {
        self.stroll(move |c| unsigned(c, tenant))
    }

    fn search(&self, tenant: TenantId, table: &'static str, removal: Removal) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let Some(found) = self.stroll(move |c| Table::read(c, table, removal, tenant)).await? else { return Ok(0) };
            let stay = found.stay.clone();
            let gone = rows(self, found, tenant).await?;
            if let (0, Removal::Emptied(Some(columns))) = (gone, removal) {
                let text = format!("UPDATE {table} SET {columns} WHERE pos = ?1");
                self.command(move |tx| stay.iter().try_for_each(|pos| tx.exec(&text, [pos]).map(drop))).await?;
            }
            Ok(gone)
        })
    }
}
