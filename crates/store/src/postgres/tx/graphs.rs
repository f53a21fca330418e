//! Runs of graphs of a group.

use std::sync::Arc;

use tollgate_core::graph::{GraphPlan, JournalEntry, Progress};
use tollgate_core::id::RunId;
use tollgate_core::ports::Blob;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::PgTx;
use super::runs::same;
use crate::error::{Result, damaged};
use crate::needs::Lock;
use crate::tx::{Cold, GraphRow, Graphs, Statement};
use crate::value::values;

/// Where a run stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GraphState {
    pub(crate) scope: Scope,
    pub(crate) row: GraphRow,
}

impl Graphs for PgTx {
    fn graph(&mut self, scope: Scope, run: RunId) -> Result<Option<GraphRow>> {
        self.lock(Lock::Run(run))?;
        Ok(self.graphs.get(&run)?.filter(|g| same(g.scope, scope)).map(|g| g.row))
    }

    fn insert_graph(&mut self, scope: Scope, run: RunId, row: &GraphRow) -> Result<()> {
        self.graphs.put(run, Some(GraphState { scope, row: row.clone() }));
        Ok(())
    }

    fn move_graph(&mut self, run: RunId, to: &Progress) -> Result<()> {
        self.lock(Lock::Run(run))?;
        let moved = self.graphs.change(&run, |g| g.row.progress.clone_from(to))?;
        if moved { Ok(()) } else { Err(damaged("where a graph stands")) }
    }

    fn write_journal(&mut self, scope: Scope, entry: &JournalEntry, at: Timestamp) -> Result<()> {
        self.layer.journal.push((scope, entry.clone(), at));
        Ok(())
    }

    fn keep_spec(&mut self, scope: Scope, plan: &Arc<GraphPlan>) -> Result<()> {
        self.layer.specs.insert((scope, plan.digest()), Arc::clone(plan));
        Ok(())
    }

    fn keep_blob(&mut self, scope: Scope, blob: &Blob) -> Result<()> {
        self.execute(Statement {
            text: "INSERT INTO blobs (digest, tenant_id, mode, body, reseller_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            values: values![blob.digest, scope.tenant_id.as_bytes(), scope.mode.as_int(), &blob.bytes, scope.reseller_id.as_bytes()],
        })
    }
}
