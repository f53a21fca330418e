//! The ledger on Postgres: entries queue up without a position; whoever holds the sequencer's lock gives positions.

use std::collections::BTreeMap;

use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ledger::Frontier;
use tollgate_core::ports::{BoxFuture, LedgerLog, StoreError, StoredEntry, SubjectKeyRow};
use tollgate_core::scope::Scope;

use crate::backend::{Backend, Reach};
use crate::codec::int;
use crate::error::Result;
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::store::{PgStore, Postgres};
use crate::row::Row;
use crate::tx::Query;
use crate::value::{Value, values};

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

/// Entries of one transaction of the sequencer.
const SEQUENCE_MAX: u32 = 4096;
/// One sequencer at a time.
pub(crate) const SEQUENCER_LOCK: i64 = 0x7467_6174_7365_7101;

/// Columns of an entry with its position.
pub(crate) const ENTRY: &str = "SELECT p.pos, e.id, e.leaf, e.leaf_hash, e.sealed FROM entries e";

/// Reads a row of [`ENTRY`].
pub(crate) fn read_entry(r: Row<'_>) -> Result<StoredEntry> {
    Ok(StoredEntry { position: r.at(0)?, id: EntryId::from_bytes(r.at(1)?), leaf: r.at(2)?, leaf_hash: r.at(3)?, sealed: r.at(4)? })
}

fn of_scope(s: Scope, mut more: Vec<Value>) -> Vec<Value> {
    let mut values = values![s.tenant_id.as_bytes(), s.mode.as_int()];
    values.append(&mut more);
    values
}

impl LedgerLog for PgStore {
    fn start(&self, scope: Scope) -> Out<'_, u64> {
        self.engine.settle(async move {
            let text = "SELECT pos FROM positions WHERE tenant_id = $1 AND mode = $2 ORDER BY pos LIMIT 1";
            let query = Query { text: text.into(), values: of_scope(scope, Vec::new()), read: |r: Row<'_>| r.at::<u64>(0) };
            match self.engine.one(query, scope).await? {
                Some(first) => Ok(first),
                None => Ok(self.frontier(scope).await?.size()),
            }
        })
    }
    fn entries(&self, scope: Scope, from: u64, limit: u32) -> Out<'_, Vec<StoredEntry>> {
        let text = format!(
            "{ENTRY} JOIN positions p ON p.entry = e.id WHERE p.tenant_id = $1 AND p.mode = $2 AND p.pos >= $3 ORDER BY p.pos LIMIT $4"
        );
        self.engine.all(Query { text: text.into(), values: of_scope(scope, values![int(from), limit]), read: read_entry }, scope)
    }
    fn entry(&self, scope: Scope, id: EntryId) -> Out<'_, Option<StoredEntry>> {
        let text = format!("{ENTRY} LEFT JOIN positions p ON p.entry = e.id WHERE e.tenant_id = $1 AND e.mode = $2 AND e.id = $3");
        self.engine.one(Query { text: text.into(), values: of_scope(scope, values![id.as_bytes()]), read: read_entry }, scope)
    }
    fn entries_of(&self, scope: Scope, action: ActionId) -> Out<'_, Vec<StoredEntry>> {
        let text = format!(
            "{ENTRY} LEFT JOIN positions p ON p.entry = e.id WHERE e.tenant_id = $1 AND e.mode = $2 AND e.action = $3 \
             ORDER BY p.pos NULLS LAST, e.id"
        );
        self.engine.all(Query { text: text.into(), values: of_scope(scope, values![action.as_bytes()]), read: read_entry }, scope)
    }
    fn frontier(&self, scope: Scope) -> Out<'_, Frontier> {
        self.engine.settle(async move {
            let text = "SELECT frontier FROM logs WHERE tenant_id = $1 AND mode = $2";
            let query = Query { text: text.into(), values: of_scope(scope, Vec::new()), read: |r: Row<'_>| r.at::<Vec<u8>>(0) };
            match self.engine.one(query, scope).await? {
                Some(bytes) => Frontier::from_bytes(&bytes).map_err(|e| StoreError::Corrupt(e.to_string())),
                None => Ok(Frontier::default()),
            }
        })
    }
    fn leaf_hashes(&self, scope: Scope, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        let text = "SELECT leaf_hash FROM positions WHERE tenant_id = $1 AND mode = $2 AND pos >= $3 AND pos < $4 ORDER BY pos";
        let values = of_scope(scope, values![int(from), int(to)]);
        self.engine.all(Query { text: text.into(), values, read: |r: Row<'_>| r.at(0) }, scope)
    }
    fn tiles(&self, scope: Scope, level: u8, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        let text = "SELECT hash FROM tiles WHERE tenant_id = $1 AND mode = $2 AND level = $3 AND idx >= $4 AND idx < $5 ORDER BY idx";
        let values = of_scope(scope, values![i64::from(level), int(from), int(to)]);
        self.engine.all(Query { text: text.into(), values, read: |r: Row<'_>| r.at(0) }, scope)
    }
    fn subject_key(&self, scope: Scope, key_id: [u8; 16]) -> Out<'_, Option<SubjectKeyRow>> {
        let text = "SELECT key_id, subject, wrapped FROM subject_keys WHERE tenant_id = $1 AND mode = $2 AND key_id = $3";
        let read = |r: Row<'_>| Ok(SubjectKeyRow { key_id: r.at(0)?, subject: r.at(1)?, wrapped: r.at(2)? });
        self.engine.one(Query { text: text.into(), values: of_scope(scope, values![key_id]), read }, scope)
    }
    fn checkpoint(&self, scope: Scope) -> Out<'_, Option<String>> {
        let text = "SELECT signed FROM checkpoints WHERE tenant_id = $1 AND mode = $2 ORDER BY size DESC LIMIT 1";
        self.engine.one(Query { text: text.into(), values: of_scope(scope, Vec::new()), read: |r: Row<'_>| r.at(0) }, scope)
    }
    fn put_checkpoint(&self, scope: Scope, size: u64, signed: String) -> Out<'_, ()> {
        self.engine.write(crate::needs::Needs::of(scope), move |tx| {
            tx.execute(crate::tx::Statement {
                text: "INSERT INTO checkpoints (tenant_id, mode, size, signed, reseller_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                values: of_scope(scope, values![int(size), &signed, scope.reseller_id.as_bytes()]),
            })
        })
    }
    fn waiting(&self) -> Out<'_, Option<u64>> {
        let text = "SELECT n FROM unsequenced ORDER BY n LIMIT 1";
        self.engine.one(Query { text: text.into(), values: Vec::new(), read: |r: Row<'_>| r.at(0) }, Reach::Everywhere)
    }
    fn sequence(&self) -> Out<'_, u64> {
        self.engine.settle(async move {
            let mut total = 0;
            loop {
                let n = self.engine.sequence_some().await?;
                total += n;
                if n < u64::from(SEQUENCE_MAX) {
                    return Ok(total);
                }
            }
        })
    }
}

/// What waits for a position, by log.
type Waiting = BTreeMap<Scope, Vec<([u8; 16], Digest)>>;

impl Postgres {
    /// Gives positions to what waits, in one transaction that no other sequencer runs at the time. Whoever is stopped in the middle of it
    /// loses its connection, and with it everything that it did.
    async fn sequence_some(&self) -> Result<u64> {
        let scopes = self.learn_scopes().await?;
        let (mut kept, mut connection) = self.position_giver().await?;
        let text = "SELECT n, entry, leaf_hash, reseller_id, tenant_id, mode FROM unsequenced ORDER BY n LIMIT $1";
        let first = vec![
            Request::plain("BEGIN"),
            Request::new("SELECT pg_advisory_xact_lock($1)", vec![Param::One(SEQUENCER_LOCK.into())]),
            Request::new(text, vec![Param::One(SEQUENCE_MAX.into())]),
            Request::plain("SELECT frontier, reseller_id, tenant_id, mode FROM logs"),
        ];
        let mut answers = connection.send_as(&Tenants::of(scopes), &first).await?;
        let (logs, rows) = (answers.pop().unwrap_or_default(), answers.pop().unwrap_or_default());
        let (mut waiting, mut numbers) = (Waiting::new(), Vec::new());
        for r in rows.iter().map(Row::Postgres) {
            numbers.push(Value::Int(r.at(0)?));
            waiting.entry(r.scope()?).or_default().push((r.at(1)?, r.at(2)?));
        }
        let mut frontiers = BTreeMap::new();
        for r in logs.iter().map(Row::Postgres) {
            let frontier = Frontier::from_bytes(&r.at::<Vec<u8>>(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            frontiers.insert(r.scope()?, frontier);
        }
        let n = numbers.len() as u64;
        let mut last = Vec::new();
        for (scope, entries) in waiting {
            let frontier = frontiers.remove(&scope).unwrap_or_default();
            last.extend(place(scope, frontier, &entries)?);
        }
        if n > 0 {
            last.push(Request::new("DELETE FROM unsequenced WHERE n = ANY($1)", vec![Param::Many(numbers)]).changing(rows.len()));
        }
        last.push(Request::plain("COMMIT"));
        connection.send(&last).await?;
        *kept = Some(connection);
        Ok(n)
    }
}

/// What the entries of one log become: positions, tiles, and the log's new frontier.
fn place(scope: Scope, mut frontier: Frontier, entries: &[([u8; 16], Digest)]) -> Result<Vec<Request>> {
    let (mut positions, mut ids, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let mut tiles: [Vec<Value>; 3] = Default::default();
    for (id, hash) in entries {
        positions.push(int(frontier.size()).into());
        ids.push((*id).into());
        hashes.push((*hash).into());
        let mut found = Vec::new();
        frontier
            .append(*hash, |level, index, hash| {
                if level > 0 && level % 8 == 0 {
                    found.push((level, index, hash));
                }
            })
            .map_err(|e| StoreError::Corrupt(e.to_string()))?;
        for (level, index, hash) in found {
            let [levels, indices, hashes] = &mut tiles;
            levels.push(i64::from(level).into());
            indices.push(int(index).into());
            hashes.push(hash.into());
        }
    }
    let who = || values![scope.tenant_id.as_bytes(), scope.mode.as_int(), scope.reseller_id.as_bytes()].into_iter().map(Param::One);
    let rows = positions.len();
    let text = "INSERT INTO positions (tenant_id, mode, reseller_id, pos, entry, leaf_hash) \
         SELECT $1, $2, $3, u.* FROM unnest($4::bigint[], $5::uuid[], $6::bytea[]) AS u";
    let many = [positions, ids, hashes].into_iter().map(Param::Many);
    let mut out = vec![Request::new(text, who().chain(many).collect()).changing(rows)];
    let [levels, indices, hashes] = tiles;
    if !levels.is_empty() {
        let rows = levels.len();
        let text = "INSERT INTO tiles (tenant_id, mode, reseller_id, level, idx, hash) \
             SELECT $1, $2, $3, u.* FROM unnest($4::smallint[], $5::bigint[], $6::bytea[]) AS u";
        let many = [levels, indices, hashes].into_iter().map(Param::Many);
        out.push(Request::new(text, who().chain(many).collect()).changing(rows));
    }
    let text = "INSERT INTO logs (tenant_id, mode, reseller_id, frontier) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, mode) DO UPDATE SET frontier = excluded.frontier";
    out.push(Request::new(text, who().chain([Param::One(frontier.to_bytes().into())]).collect()));
    Ok(out)
}
