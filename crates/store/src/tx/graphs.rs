//! Runs of graphs: where each stands, and its journal.

use std::sync::Arc;

use tollgate_core::change::What;
use tollgate_core::graph::{GraphPlan, JournalEntry, Progress};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::Blob;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::Outbox;
use crate::error::Result;

/// Where a run of a graph stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GraphRow {
    /// The hash of its input.
    pub(crate) input: Digest,
    pub(crate) progress: Progress,
}

/// Runs of graphs.
pub(crate) trait Graphs: Outbox {
    /// Where a run of this tenant and mode stands.
    fn graph(&mut self, scope: Scope, run: RunId) -> Result<Option<GraphRow>>;
    /// Stores where a new run stands.
    fn insert_graph(&mut self, scope: Scope, run: RunId, row: &GraphRow) -> Result<()>;
    /// Moves a run on from the progress that was read.
    fn move_graph(&mut self, run: RunId, to: &Progress) -> Result<()>;
    /// Writes an entry of a run's journal.
    fn write_journal(&mut self, scope: Scope, entry: &JournalEntry, at: Timestamp) -> Result<()>;
    /// Keeps a graph's spec, once.
    fn keep_spec(&mut self, scope: Scope, plan: &Arc<GraphPlan>) -> Result<()>;
    /// Keeps a large result, once.
    fn keep_blob(&mut self, scope: Scope, blob: &Blob) -> Result<()>;

    /// Appends an entry to a run's journal. What is of the whole run is told as the run's change.
    fn journal(&mut self, scope: Scope, entry: &JournalEntry, at: Timestamp) -> Result<()> {
        self.write_journal(scope, entry, at)?;
        if let Some(node) = entry.step {
            self.note(scope, entry.run, What::Node { node, kind: entry.kind });
        }
        Ok(())
    }
}
