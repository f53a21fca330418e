//! Retention on Postgres: functions of the schema's owner do it, slice by slice; months that are over are dropped whole.

use std::collections::BTreeMap;

use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::ports::{Archivable, BoxFuture, Keep, LedgerLog, Retire, Retired, StoreError, StoreStats};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::backend::{Backend, Reach};
use crate::codec::int;
use crate::error::Result;
use crate::postgres::connection::{Connection, Fault, Param, Purpose, Request};
use crate::postgres::store::{PgStore, Postgres};
use crate::removal::{self, Removes as _};
use crate::row::Row;
use crate::tx::Query;
use crate::value::{Value, values};

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

/// Rows looked at in one slice.
const SLICE: u32 = 2000;
/// Leaves of a tile.
const TILE: u64 = 256;

/// The states in which a run is over.
pub(crate) fn final_states() -> Vec<Value> {
    RunState::ALL.iter().filter(|s| s.is_final()).map(|s| s.as_int().into()).collect()
}

fn id(from: Option<u128>) -> Param {
    Param::One(Value::Id(from.unwrap_or(0).to_be_bytes()))
}

/// Tables whose rows went one by one, so that their files, those of their large values or their indexes are mostly holes, with their bytes. No row
/// takes more than two kilobytes of a table's own file, and what is larger lies beside it in pieces of two. How many rows there are the last vacuum
/// knew, and what was counted since: the smaller counts.
const HOLES: &str = "SELECT c.oid::regclass::text, pg_total_relation_size(c.oid) FROM pg_class c
   LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
   CROSS JOIN LATERAL (SELECT LEAST(GREATEST(c.reltuples, 0)::bigint, pg_stat_get_live_tuples(c.oid)) AS live,
     LEAST(GREATEST(t.reltuples, 0)::bigint, pg_stat_get_live_tuples(t.oid)) AS large) l
   WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relkind = 'r' AND (
     pg_stat_get_dead_tuples(c.oid) > 10000 + l.live / 5 OR pg_relation_size(c.oid) > 8388608 + 2048 * l.live
     OR pg_relation_size(t.oid) > 8388608 + 4096 * l.large
     OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND pg_relation_size(i.indexrelid) > 8388608 + 400 * l.live))
   ORDER BY 1";
/// Of a table that was vacuumed, whether it is still mostly holes, since what is left lies at its end, and so little that it is written anew in
/// a moment.
const HOLLOW: &str = "SELECT c.reltuples < 50000 AND COALESCE(t.reltuples, 0) < 50000
     AND (pg_relation_size(c.oid) > 8388608 + 2048 * GREATEST(c.reltuples, 0)::bigint
       OR COALESCE(pg_relation_size(t.oid) > 8388608 + 4096 * GREATEST(t.reltuples, 0)::bigint, false))
   FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = to_regclass($1)";
/// Indexes of one that take many times what its rows need.
const WIDE: &str = "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
   WHERE c.oid = to_regclass($1) AND pg_relation_size(i.indexrelid) > 8388608 + 400 * GREATEST(c.reltuples, 0)::bigint ORDER BY 1";
/// What a rewrite of an index left that did not come to its end.
const LEFT: &str = "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
   WHERE c.relnamespace = 'tollgate'::regnamespace AND NOT i.indisvalid AND c.relname ~ '_ccnew[0-9]*$' ORDER BY 1";

/// Runs what can be done at another time as well, should somebody be in its way; answers whether it was done.
async fn attempt(connection: &mut Connection, text: String) -> Result<bool> {
    match connection.send(&[Request::new(text, Vec::new())]).await {
        Ok(_) => Ok(true),
        Err(Fault::Broken(e)) => Err(e),
        Err(_) => Ok(false),
    }
}

impl Postgres {
    /// Cuts tables at their end, and writes tables of few rows and indexes anew, where most of them is holes; answers bytes. A table that
    /// somebody's transaction is in the way of waits for another turn; others wait for it only while few rows are written anew.
    async fn tidy(&self) -> Result<u64> {
        let Some(admin) = &self.admin else { return Ok(0) };
        let mut connection = Connection::open(admin, Purpose::Upkeep).await?;
        let names = |answers: &[Vec<tokio_postgres::Row>]| -> Result<Vec<String>> {
            answers.iter().flatten().map(|r| Row::Postgres(r).at(0)).collect()
        };
        let tables: Vec<(String, u64)> = connection
            .send(&[Request::plain(HOLES)])
            .await?
            .iter()
            .flatten()
            .map(|r| Ok((Row::Postgres(r).at(0)?, Row::Postgres(r).at(1)?)))
            .collect::<Result<_>>()?;
        if tables.is_empty() {
            return Ok(0);
        }
        let left = names(&connection.send(&[Request::plain(LEFT)]).await?)?;
        let mut work: Vec<String> = left.into_iter().map(|i| format!("DROP INDEX {i}")).collect();
        work.extend(tables.iter().map(|(t, _)| format!("VACUUM (ANALYZE) {t}")));
        for text in work {
            attempt(&mut connection, text).await?;
        }
        for (table, _) in &tables {
            self.rewrite(&mut connection, table).await?;
            let wide = names(&connection.send(&[Request::new(WIDE, vec![Param::One(table.as_str().into())])]).await?)?;
            for index in wide {
                attempt(&mut connection, format!("REINDEX INDEX CONCURRENTLY {index}")).await?;
            }
        }
        let mut bytes = 0;
        for (table, before) in &tables {
            let size = "SELECT COALESCE(pg_total_relation_size(to_regclass($1)), 0)";
            let answers = connection.send(&[Request::new(size, vec![Param::One(table.as_str().into())])]).await?;
            let after: u64 = answers.iter().flatten().next().map_or(Ok(0), |r| Row::Postgres(r).at(0))?;
            bytes += before.saturating_sub(after);
        }
        Ok(bytes)
    }

    /// Writes a table anew of which few rows are left among holes. It waits a moment for its lock, since others wait behind it; then once for
    /// longer than a second, which is when the server's own vacuum, come for the same holes, gives way.
    async fn rewrite(&self, connection: &mut Connection, table: &str) -> Result<()> {
        let answers = connection.send(&[Request::new(HOLLOW, vec![Param::One(table.into())])]).await?;
        if !answers.iter().flatten().next().map_or(Ok(false), |r| Row::Postgres(r).at::<bool>(0))? {
            return Ok(());
        }
        for patience in ["SET lock_timeout = '300ms'", "SET lock_timeout = '1500ms'"] {
            connection.send(&[Request::plain(patience)]).await?;
            if attempt(connection, format!("VACUUM (FULL, ANALYZE) {table}")).await? {
                break;
            }
        }
        connection.send(&[Request::plain("SET lock_timeout = '5s'")]).await?;
        Ok(())
    }

    /// Runs one function of the owner's on a connection of its own: it may take longer than a commit should wait.
    pub(super) async fn upkeep<T>(&self, text: &'static str, params: Vec<Param>, read: impl Fn(Row<'_>) -> Result<T>) -> Result<T> {
        let none = || {
            let why = "retention on Postgres needs the login that owns the tables, since nobody who serves may take anything away: \
                 give DATABASE_ADMIN_URL";
            StoreError::Conflict(why.to_owned())
        };
        let admin = self.admin.as_ref().ok_or_else(none)?;
        let mut connection = Connection::open(admin, Purpose::Upkeep).await?;
        let answers = connection.send(&[Request::new(text, params)]).await?;
        let row = answers.iter().flatten().next().map(Row::Postgres);
        read(row.ok_or_else(|| StoreError::Corrupt("a function answered nothing".to_owned()))?)
    }

    async fn retire(&self, what: Retire, before: Timestamp, from: Option<u128>) -> Result<Retired> {
        let at = || Param::One(before.into());
        let slice = |r: Row<'_>| {
            let last: Option<[u8; 16]> = r.at(1)?;
            Ok(Retired { gone: r.at(0)?, next: last.map(u128::from_be_bytes) })
        };
        let whole = |r: Row<'_>| Ok(Retired { gone: r.at(0)?, next: None });
        match what {
            Retire::Runs => {
                let (draft, done) = (RunState::Draft.as_int().into(), ActionState::Done.as_int().into());
                let params =
                    vec![at(), id(from), Param::One(SLICE.into()), Param::Many(final_states()), Param::One(draft), Param::One(done)];
                self.upkeep("SELECT gone, last FROM keep_runs($1, $2, $3, $4, $5, $6)", params, slice).await
            }
            Retire::Blobs => {
                let params = vec![id(from), Param::One(SLICE.into())];
                self.upkeep("SELECT gone, last FROM keep_blobs($1, $2)", params, slice).await
            }
            Retire::Approvals => {
                let params = vec![at(), id(from), Param::One(SLICE.into())];
                self.upkeep("SELECT gone, last FROM keep_approvals($1, $2, $3)", params, slice).await
            }
            Retire::Replays => self.upkeep("SELECT keep_replays($1)", vec![at()], whole).await,
            Retire::Changes => {
                let first = from.and_then(|f| i64::try_from(f).ok()).unwrap_or(0);
                let params = vec![at(), Param::One(first.into()), Param::One(SLICE.into())];
                let rows = |r: Row<'_>| Ok(Retired { gone: r.at(0)?, next: r.at::<Option<u64>>(1)?.map(u128::from) });
                self.upkeep("SELECT gone, last FROM keep_changes($1, $2, $3)", params, rows).await
            }
            Retire::Checkpoints => self.upkeep("SELECT keep_checkpoints($1)", vec![at()], whole).await,
            Retire::Events => {
                if from.is_none() {
                    // What lies in the default partition gets the month that can be dropped.
                    let now = vec![Param::One(self.now().await?.into())];
                    self.upkeep("SELECT keep_partitions($1)", now, |r| r.at::<u64>(0)).await?;
                }
                let params = vec![at(), Param::Many(final_states())];
                let month = |r: Row<'_>| Ok(Retired { gone: r.at(0)?, next: r.at::<bool>(1)?.then_some(0) });
                self.upkeep("SELECT gone, more FROM keep_events($1, $2)", params, month).await
            }
        }
    }

    async fn archivable(&self, scope: Scope, from: u64, before: Timestamp, most: u64) -> Result<Archivable> {
        let of = |mut more: Vec<Value>| {
            let mut all = values![scope.tenant_id.as_bytes(), scope.mode.as_int()];
            all.append(&mut more);
            all
        };
        let signed = Query {
            text: "SELECT COALESCE(max(size), 0) FROM checkpoints WHERE tenant_id = $1 AND mode = $2".into(),
            values: of(Vec::new()),
            read: |r: Row<'_>| r.at::<u64>(0),
        };
        let end = self.one(signed, scope).await?.unwrap_or(0).min(from.saturating_add(most));
        let stop = Query {
            text: "SELECT p.pos FROM positions p JOIN entries e ON e.id = p.entry LEFT JOIN actions a ON a.id = e.action
                 WHERE p.tenant_id = $1 AND p.mode = $2 AND p.pos >= $3 AND p.pos < $4 AND (e.at >= $5 OR a.state <> $6) ORDER BY p.pos LIMIT 1"
                .into(),
            values: of(values![int(from), int(end), before, ActionState::Done.as_int()]),
            read: |r: Row<'_>| r.at::<u64>(0),
        };
        let kept_by = self.one(stop, scope).await?;
        let to = kept_by.unwrap_or(end) / TILE * TILE;
        Ok(Archivable { from, to: to.max(from), kept_by })
    }
}

impl Keep for PgStore {
    fn retire(&self, what: Retire, before: Timestamp, from: Option<u128>) -> Out<'_, Retired> {
        self.engine.settle(self.engine.retire(what, before, from))
    }

    fn logs(&self) -> Out<'_, Vec<Scope>> {
        let text = "SELECT reseller_id, tenant_id, mode FROM logs ORDER BY tenant_id, mode";
        self.engine.all(Query { text: text.into(), values: Vec::new(), read: |r: Row<'_>| r.scope() }, Reach::Everywhere)
    }

    fn archivable(&self, scope: Scope, before: Timestamp, most: u64) -> Out<'_, Archivable> {
        self.engine.settle(async move {
            let from = self.start(scope).await?;
            self.engine.archivable(scope, from, before, most).await
        })
    }

    fn retire_entries(&self, scope: Scope, from: u64, to: u64) -> Out<'_, u64> {
        let params = values![scope.tenant_id.as_bytes(), scope.mode.as_int(), int(from), int(to)].into_iter().map(Param::One).collect();
        self.engine.settle(self.engine.upkeep("SELECT keep_entries($1, $2, $3, $4)", params, |r| r.at(0)))
    }

    fn under_way(&self, tenant: TenantId) -> Out<'_, u64> {
        self.engine.settle(self.engine.under_way(tenant))
    }

    fn remove_tenant(&self, tenant: TenantId) -> Out<'_, BTreeMap<String, u64>> {
        self.engine.settle(removal::remove(&self.engine, tenant))
    }

    fn give_back(&self) -> Out<'_, u64> {
        self.engine.settle(async move {
            let now = || async { Ok::<_, StoreError>(vec![Param::One(self.engine.now().await?.into())]) };
            self.engine.upkeep("SELECT keep_partitions($1)", now().await?, |r| r.at::<u64>(0)).await?;
            let dropped: u64 = self.engine.upkeep("SELECT keep_give_back($1)", now().await?, |r| r.at(0)).await?;
            Ok(dropped + self.engine.tidy().await?)
        })
    }

    fn stats(&self) -> Out<'_, StoreStats> {
        self.engine.settle(super::stats::stats(&self.engine))
    }
}
