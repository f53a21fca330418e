//! Runs of graphs on SQLite.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use tollgate_core::graph::{GraphPlan, JournalEntry, Progress};
use tollgate_core::id::RunId;
use tollgate_core::ports::Blob;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::{OrStore, Result, damaged};
use crate::query::graphs::read_progress;
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{GraphRow, Graphs};

impl Graphs for SqliteTx<'_> {
    fn graph(&mut self, scope: Scope, run: RunId) -> Result<Option<GraphRow>> {
        self.sql("SELECT input, progress FROM graphs WHERE run_id = ?1 AND tenant_id = ?2 AND mode = ?3")?
            .query_row(params![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| {
                let r = Row::Sqlite(r);
                Ok(r.at(0).and_then(|input| Ok(GraphRow { input, progress: read_progress(&r.at::<Vec<u8>>(1)?)? })))
            })
            .optional()
            .or_store()?
            .transpose()
    }

    fn insert_graph(&mut self, scope: Scope, run: RunId, row: &GraphRow) -> Result<()> {
        self.exec(
            "INSERT INTO graphs (run_id, reseller_id, tenant_id, mode, input, entries, progress) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                run.as_bytes(),
                scope.reseller_id.as_bytes(),
                scope.tenant_id.as_bytes(),
                scope.mode.as_int(),
                row.input.0,
                row.progress.next_seq(),
                row.progress.to_bytes()
            ],
        )
        .map(|_| ())
    }

    fn move_graph(&mut self, run: RunId, to: &Progress) -> Result<()> {
        let n = self.exec(
            "UPDATE graphs SET entries = ?2, progress = ?3 WHERE run_id = ?1 AND entries = ?2 - 1",
            params![run.as_bytes(), to.next_seq(), to.to_bytes()],
        )?;
        if n == 1 { Ok(()) } else { Err(damaged("where a graph stands")) }
    }

    fn write_journal(&mut self, scope: Scope, e: &JournalEntry, at: Timestamp) -> Result<()> {
        let result = e.result.as_ref().map(serde_json::to_vec).transpose().map_err(|_| damaged("a result"))?;
        self.exec(
            "INSERT INTO journal (run_id, seq, kind, step, request_hash, result, semantics_version, at, reseller_id, tenant_id, mode)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                e.run.as_bytes(),
                e.seq,
                e.kind.as_int(),
                e.step,
                e.request_hash.0,
                result,
                e.semantics_version,
                at.as_micros(),
                scope.reseller_id.as_bytes(),
                scope.tenant_id.as_bytes(),
                scope.mode.as_int()
            ],
        )
        .map(|_| ())
    }

    fn keep_spec(&mut self, scope: Scope, plan: &Arc<GraphPlan>) -> Result<()> {
        let (digest, tenant, mode) = (plan.digest(), scope.tenant_id, scope.mode.as_int());
        let there = self
            .sql("SELECT 1 FROM artifacts WHERE digest = ?1 AND tenant_id = ?2 AND mode = ?3")?
            .exists(params![digest.0, tenant.as_bytes(), mode])
            .or_store()?;
        if there {
            return Ok(());
        }
        let body = serde_json::to_vec(plan.spec()).map_err(|_| damaged("the spec of a graph"))?;
        self.exec(
            "INSERT INTO artifacts (tenant_id, mode, digest, kind, body, reseller_id) VALUES (?1, ?2, ?3, 'graph', ?4, ?5)",
            params![tenant.as_bytes(), mode, digest.0, body, scope.reseller_id.as_bytes()],
        )
        .map(|_| ())
    }

    fn keep_blob(&mut self, scope: Scope, blob: &Blob) -> Result<()> {
        self.exec(
            "INSERT INTO blobs (digest, tenant_id, mode, body, reseller_id) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            params![blob.digest.0, scope.tenant_id.as_bytes(), scope.mode.as_int(), blob.bytes, scope.reseller_id.as_bytes()],
        )
        .map(|_| ())
    }
}
