//! Runs of static graphs: started, moved on step by step, resumed. Every command is one transaction that keeps progress and journal together.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::graph::{GraphPlan, GraphSpec, JournalEntry, Progress, Stored};
use crate::hash::Digest;
use crate::id::{RunId, SessionId};
use crate::plan::ProposedAction;
use crate::run::RunState;
use crate::scope::Scope;
use crate::terms::Terms;
use crate::time::Timestamp;
use crate::verdict::Principal;

use super::{BoxFuture, Claimed, Disposed, Lease, NewAction, StoreError};

/// A large result, which is kept beside the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob {
    /// SHA-256 of the bytes: its name.
    pub digest: Digest,
    /// Canonical JSON.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// The reference that journals hold.
    pub fn place(digest: Digest) -> String {
        format!("blob:{digest}")
    }

    /// Keeps a value: inline, or as a blob beside it.
    ///
    /// # Errors
    /// When the value has no canonical form.
    pub fn keep(value: &Value) -> Result<(Stored, Option<Self>), crate::graph::StoredError> {
        let (stored, bytes) = Stored::of(value, Self::place)?;
        let blob = bytes.map(|bytes| Self { digest: Digest::of(&bytes), bytes });
        Ok((stored, blob))
    }
}

/// Starts a run of a graph.
#[derive(Clone, Debug)]
pub struct StartGraph {
    /// Whose it is.
    pub scope: Scope,
    /// The new run.
    pub run: RunId,
    /// The graph. Its spec is kept with the run.
    pub plan: Arc<GraphPlan>,
    /// What it is given.
    pub input: Stored,
    /// The input's bytes, when it is large.
    pub blob: Option<Blob>,
    /// Who asks.
    pub principal: Principal,
    /// The bundle that its actions are pinned to.
    pub bundle: Digest,
    /// On what terms its nodes wait.
    pub terms: Terms,
    /// When.
    pub at: Timestamp,
    /// Take its first step for this session.
    pub claim: Option<SessionId>,
}

/// How a worker ends its claim on a node.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeEnd {
    /// It has its output.
    Succeeded(Stored),
    /// It failed for good; the error.
    Failed(Stored),
    /// It failed and is tried again after this time by the store's clock, unless the run is being cancelled; the error.
    Deferred(Stored, Duration),
    /// It ended since its run is being cancelled.
    Cancelled,
    /// It goes on as this action, whose disposition ends it.
    Acts(Box<NewAction>),
}

/// Ends a claim on a node: result, journal entry, progress and the claim of the run's next node, in one transaction.
#[derive(Clone, Debug)]
pub struct FinishNode {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The claim.
    pub lease: Lease,
    /// The graph that the run is pinned to.
    pub plan: Arc<GraphPlan>,
    /// The node.
    pub node: u32,
    /// What it was asked for: [`crate::graph::step_request`].
    pub request: Digest,
    /// How it ends.
    pub end: NodeEnd,
    /// The result's bytes, when it is large.
    pub blob: Option<Blob>,
    /// When.
    pub at: Timestamp,
    /// Take the next node of the run, or the action, for this session.
    pub claim: Option<SessionId>,
}

/// All that running a node needs.
#[derive(Clone, Debug)]
pub struct NodeRecord {
    /// How the run stands.
    pub state: RunState,
    /// The bundle that its actions are pinned to.
    pub bundle: Digest,
    /// The content address of its graph.
    pub spec: Digest,
    /// Where it stands.
    pub progress: Progress,
    /// Its journal: the input, and every output so far.
    pub journal: Vec<JournalEntry>,
}

/// Durable execution of graphs.
pub trait GraphExec: Send + Sync {
    /// Starts a run. A run that was started before is left as it is: [`StoreError::Conflict`].
    fn start_graph(&self, command: StartGraph) -> BoxFuture<'_, Result<Disposed, StoreError>>;
    /// Ends a claim on a node. A run that ended meanwhile takes nothing more: only the claim is ended then.
    fn finish_node(&self, command: FinishNode) -> BoxFuture<'_, Result<Disposed, StoreError>>;
    /// All that running a node needs, in one read.
    fn node_step(&self, scope: Scope, run: RunId) -> BoxFuture<'_, Result<Option<NodeRecord>, StoreError>>;
    /// The spec of a graph.
    fn graph_spec(&self, scope: Scope, digest: Digest) -> BoxFuture<'_, Result<Option<GraphSpec>, StoreError>>;
    /// A large result.
    fn blob(&self, scope: Scope, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// The nodes and actions of a run that a session holds: what a worker asks when the answer to a commit was lost.
    fn nodes_of(&self, scope: Scope, run: RunId, session: SessionId) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;
    /// Stops a run whose journal and graph do not agree, for good; `why` says where. Ends the claim.
    fn stop_graph(&self, scope: Scope, run: RunId, node: u32, lease: Lease, why: String) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Goes on with a failed run from its last durable steps.
    fn resume_run(&self, scope: Scope, run: RunId, at: Timestamp) -> BoxFuture<'_, Result<Disposed, StoreError>>;
}

/// Why a node has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NodeFault {
    /// Another attempt would end the same: fail the node.
    #[error("{0}")]
    Lasting(String),
    /// It may pass: try again as the step's `retry` says.
    #[error("{0}")]
    Passing(String),
}

/// A graph compiled: it evaluates what its steps say.
pub trait Program: Send + Sync {
    /// The plan.
    fn plan(&self) -> &Arc<GraphPlan>;
    /// The output of a compute step over its context.
    ///
    /// # Errors
    /// Why it has none.
    fn compute(&self, node: usize, context: &Value) -> Result<Value, NodeFault>;
    /// What an action step proposes over its context.
    ///
    /// # Errors
    /// Why it proposes nothing.
    fn propose(&self, node: usize, context: &Value) -> Result<ProposedAction, NodeFault>;
}

/// Compiles graphs. Workers know no expression language but through this.
pub trait Compute: Send + Sync {
    /// Compiles a graph.
    ///
    /// # Errors
    /// Its faults, in words.
    fn compile(&self, spec: GraphSpec) -> Result<Arc<dyn Program>, String>;
}
