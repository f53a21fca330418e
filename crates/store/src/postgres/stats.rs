//! What there is in a database. Rows as Postgres' statistics have them, so that asking costs nothing.

use tollgate_core::ports::{StoreStats, TableSize};

use crate::backend::{Backend, Reach};
use crate::error::Result;
use crate::postgres::connection::{Param, Request};
use crate::postgres::keep::final_states;
use crate::postgres::migrate::VERSION;
use crate::postgres::store::Postgres;
use crate::row::Row;
use crate::tx::Query;

const COUNTS: &str = "SELECT (SELECT count(*) FROM ready), (SELECT count(*) FROM held), (SELECT count(*) FROM timers),
   (SELECT count(*) FROM unsequenced), (SELECT min(r.created_at) FROM runs r WHERE r.state <> ALL ($1)),
   (SELECT COALESCE((SELECT a.updated_at FROM actions a WHERE a.id = q.step), (SELECT r.updated_at FROM runs r WHERE r.id = q.run_id))
    FROM ready q ORDER BY q.n LIMIT 1),
   COALESCE((SELECT v FROM meta WHERE k = 'epoch'), 0), EXISTS (SELECT FROM meta WHERE k = 'epoch_held' AND v > 0),
   pg_database_size(current_database()), has_function_privilege('pg_ls_waldir()', 'execute')";

/// A partitioned table is its partitions together.
const TABLES: &str =
    "SELECT COALESCE(parent.relname, c.relname)::text, SUM(GREATEST(c.reltuples, 0))::bigint, SUM(pg_total_relation_size(c.oid))::bigint
   FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
   WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relkind = 'r' GROUP BY 1 ORDER BY 1";

/// Counts.
pub(super) async fn stats(engine: &Postgres) -> Result<StoreStats> {
    let answers = engine.read(Reach::Everywhere, vec![Request::new(COUNTS, vec![Param::Many(final_states())])]).await?;
    let mut out = StoreStats { engine: "postgres", schema_version: VERSION, ..StoreStats::default() };
    let mut may_see_wal = false;
    if let Some(r) = answers.iter().flatten().next().map(Row::Postgres) {
        (out.ready, out.held, out.timers, out.unsequenced) = (r.at(0)?, r.at(1)?, r.at(2)?, r.at(3)?);
        (out.oldest_open_run, out.oldest_ready) = (r.at(4)?, r.at(5)?);
        (out.epoch, out.held_by_epoch, out.bytes) = (r.at(6)?, r.at(7)?, r.at(8)?);
        may_see_wal = r.at(9)?;
    }
    if may_see_wal {
        let wal = Query {
            text: "SELECT COALESCE(SUM(size), 0)::bigint FROM pg_ls_waldir()".into(),
            values: Vec::new(),
            read: |r: Row<'_>| r.at::<u64>(0),
        };
        out.wal_bytes = engine.one(wal, Reach::Everywhere).await?.unwrap_or(0);
    }
    let tables = Query {
        text: TABLES.into(),
        values: Vec::new(),
        read: |r: Row<'_>| Ok((r.at::<String>(0)?, TableSize { rows: r.at(1)?, bytes: r.at(2)? })),
    };
    out.tables = engine.walk(tables, Reach::Everywhere).await?.into_iter().collect();
    Ok(out)
}
