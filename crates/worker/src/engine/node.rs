//! A node of a graph: evaluate, commit, go on with the next one. Who just finished a node and holds the next of the same run reads nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::graph::{EntryKind, Stored, check_journal, context, retry, step_request};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Blob, Claimed, FinishNode, NodeEnd, NodeFault, NodeRecord, Program, Step, StoreError};

use super::{Engine, poison};

/// How often a commit is sent whose answer is lost.
const COMMITS_MAX: u32 = 3;

/// A value with its hash.
#[derive(Clone)]
struct Kept {
    value: Arc<Value>,
    digest: Digest,
}

/// What a worker knows of the run it works on.
pub(super) struct Known {
    run: RunId,
    program: Arc<dyn Program>,
    bundle: Digest,
    input: Kept,
    /// Of every node that is known to be done: its output, none when it left none.
    outputs: BTreeMap<usize, Option<Kept>>,
    /// The claim that the last commit handed on.
    next: Option<Claimed>,
}

/// A node about to run.
struct Turn {
    known: Known,
    node: usize,
    attempts: u32,
    cancelling: bool,
}

/// How a node is ended: the end, what is kept beside the journal, and the output.
struct Ended {
    end: NodeEnd,
    blob: Option<Blob>,
    output: Option<Kept>,
}

impl Engine {
    pub(super) async fn node(&self, claimed: Claimed, node: u32) -> Result<Vec<Claimed>, StoreError> {
        let turn = match self.recall(&claimed, node as usize) {
            Some(turn) => turn,
            None => match self.take_up(&claimed, node).await? {
                Some(turn) => turn,
                None => return Ok(Vec::new()),
            },
        };
        let ended = self.run(&claimed, &turn).await?;
        self.commit(&claimed, node, turn, ended).await
    }

    /// What is known from the node before, when it is enough.
    fn recall(&self, claimed: &Claimed, node: usize) -> Option<Turn> {
        let known = self.memory.lock().take()?;
        let whole = known.next == Some(*claimed) && known.program.plan().reads(node).iter().all(|r| known.outputs.contains_key(r));
        whole.then_some(Turn { known, node, attempts: 0, cancelling: false })
    }

    /// Reads everything; none when the run was stopped, since its journal and its graph do not agree.
    async fn take_up(&self, claimed: &Claimed, node: u32) -> Result<Option<Turn>, StoreError> {
        let (scope, run) = (claimed.scope, claimed.run);
        let record = self.deps.exec.node_step(scope, run).await?.ok_or(StoreError::NotFound)?;
        let program = match self.deps.graphs.known(record.spec) {
            Some(program) => Ok(program),
            None => match self.deps.exec.graph_spec(scope, record.spec).await? {
                Some(spec) => self.deps.graphs.compile(spec),
                None => Err("its spec is gone".to_owned()),
            },
        };
        let checked = program.and_then(|p| {
            let checked = check_journal(p.plan(), &record.journal, &record.progress);
            checked.map(|()| p).map_err(|m| m.to_string())
        });
        let program = match checked {
            Ok(program) => program,
            Err(why) => {
                tracing::error!(run = %run, why, "a run of a graph is stopped");
                self.deps.exec.stop_graph(scope, run, node, claimed.lease, why).await?;
                return Ok(None);
            }
        };
        let (attempts, cancelling) = (record.progress.attempts(node as usize), record.progress.is_cancelling());
        let known = self.load(claimed, program, record, node as usize).await?;
        Ok(Some(Turn { known, node: node as usize, attempts, cancelling }))
    }

    /// What the node reads, out of the journal and the blobs beside it.
    async fn load(&self, claimed: &Claimed, program: Arc<dyn Program>, record: NodeRecord, node: usize) -> Result<Known, StoreError> {
        let reads = program.plan().reads(node).to_vec();
        let mut input = None;
        let mut outputs: BTreeMap<usize, Option<Kept>> = reads.iter().map(|r| (*r, None)).collect();
        for entry in record.journal {
            match (entry.kind, entry.step, entry.result) {
                (EntryKind::Started, _, Some(stored)) => input = Some(self.open(claimed, stored).await?),
                (EntryKind::Succeeded, Some(step), Some(stored)) if reads.contains(&(step as usize)) => {
                    outputs.insert(step as usize, Some(self.open(claimed, stored).await?));
                }
                _ => {}
            }
        }
        let input = input.ok_or_else(|| StoreError::Corrupt("the run of a graph has no input".to_owned()))?;
        Ok(Known { run: claimed.run, program, bundle: record.bundle, input, outputs, next: None })
    }

    async fn open(&self, claimed: &Claimed, stored: Stored) -> Result<Kept, StoreError> {
        let digest = stored.digest().map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let value = match stored {
            Stored::Inline(value) => value,
            Stored::Blob(blob) => {
                let missing = || StoreError::Corrupt(format!("the result `{}` is gone", blob.reference));
                let bytes = self.deps.exec.blob(claimed.scope, blob.hash).await?.ok_or_else(missing)?;
                blob.open(&bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?
            }
        };
        Ok(Kept { value: Arc::new(value), digest })
    }

    /// Does what the step says.
    async fn run(&self, claimed: &Claimed, turn: &Turn) -> Result<Ended, StoreError> {
        if turn.cancelling {
            return Ok(Ended { end: NodeEnd::Cancelled, blob: None, output: None });
        }
        if let Some(why) = poison::kills(claimed) {
            return Ok(failed(poison::REASON, &why));
        }
        let known = &turn.known;
        let plan = known.program.plan();
        let Some(step) = plan.step(turn.node) else { return Ok(failed("no_such_step", "the graph has no such step")) };
        let named = |i: &usize| Some((plan.step(*i)?.name.clone(), known.outputs.get(i)?.as_ref().map(|k| Value::clone(&k.value))));
        let context = context(Value::clone(&known.input.value), plan.reads(turn.node).iter().filter_map(named));
        let began = self.deps.ids.now();
        let done = match &step.kind {
            tollgate_core::graph::StepKind::Compute(_) => known.program.compute(turn.node, &context).and_then(|v| keep(&v)),
            tollgate_core::graph::StepKind::Action(_) => self.propose(claimed, turn, &context).await?,
        };
        let took = self.deps.ids.now().since(began);
        let done = match step.timeout {
            Some(limit) if took > limit.0 && done.is_ok() => {
                Err(NodeFault::Passing(format!("it took {} ms, and its timeout is {} ms", took.as_millis(), limit.0.as_millis())))
            }
            _ => done,
        };
        Ok(match done {
            Ok(ended) => ended,
            Err(NodeFault::Lasting(why)) => failed("error", &why),
            Err(NodeFault::Passing(why)) => {
                let attempts = turn.attempts + 1;
                let again =
                    if attempts > self.deps.graphs.retries_max() { None } else { retry(&step.retry, attempts, self.deps.ids.jitter()) };
                match again {
                    Some(wait) => Ended { end: NodeEnd::Deferred(error("passing", &why), wait), blob: None, output: None },
                    None => failed("gave_up", &why),
                }
            }
        })
    }

    /// The action that a step goes on as.
    async fn propose(&self, claimed: &Claimed, turn: &Turn, context: &Value) -> Result<Result<Ended, NodeFault>, StoreError> {
        let mut proposal = match turn.known.program.propose(turn.node, context) {
            Ok(proposal) => proposal,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(bundle) = self.deps.bundles.pinned(turn.known.bundle).await? else {
            return Ok(Err(NodeFault::Lasting("the bundle that this run is pinned to is not available".to_owned())));
        };
        if let Some(tool) = bundle.spec.bindings.get(&proposal.tool) {
            proposal.capability = Some(std::mem::replace(&mut proposal.tool, tool.clone()));
        }
        let action = Self::prepare(&self.deps, claimed.scope, &bundle, None, proposal);
        Ok(Ok(Ended { end: NodeEnd::Acts(Box::new(action)), blob: None, output: None }))
    }

    async fn commit(&self, claimed: &Claimed, node: u32, turn: Turn, ended: Ended) -> Result<Vec<Claimed>, StoreError> {
        let mut known = turn.known;
        let digest_of = |i: usize| known.outputs.get(&i).and_then(|o| o.as_ref().map(|k| k.digest));
        let request = step_request(known.program.plan(), turn.node, known.input.digest, digest_of)
            .ok_or_else(|| StoreError::Corrupt("the graph has no such step".to_owned()))?;
        let command = FinishNode {
            scope: claimed.scope,
            run: claimed.run,
            lease: claimed.lease,
            plan: Arc::clone(known.program.plan()),
            node,
            request,
            end: ended.end,
            blob: ended.blob,
            at: self.deps.ids.now(),
            claim: Some(self.session),
        };
        let succeeded = matches!(command.end, NodeEnd::Succeeded(_));
        for _ in 0..COMMITS_MAX {
            match self.deps.exec.finish_node(command.clone()).await {
                Ok(done) => {
                    let next = done.claimed.first().copied().filter(|c| c.run == known.run && matches!(c.step, Step::Node(_)));
                    if succeeded && next.is_some() {
                        known.outputs.insert(turn.node, ended.output);
                        known.next = next;
                        *self.memory.lock() = Some(known);
                    }
                    return Ok(done.claimed);
                }
                Err(StoreError::AnswerLost) => {
                    let held = self.deps.exec.nodes_of(claimed.scope, claimed.run, self.session).await?;
                    if !held.contains(claimed) {
                        // It was stored. What it handed on is ours; a node that another task of this worker runs ends there or here, once.
                        return Ok(held);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Err(StoreError::AnswerLost)
    }
}

fn error(reason: &str, message: &str) -> Stored {
    Stored::Inline(json!({"reason": reason, "message": message}))
}

fn failed(reason: &str, message: &str) -> Ended {
    Ended { end: NodeEnd::Failed(error(reason, message)), blob: None, output: None }
}

/// An output as it is kept, and as the steps after it read it.
fn keep(value: &Value) -> Result<Ended, NodeFault> {
    let lasting = |e: tollgate_core::graph::StoredError| NodeFault::Lasting(e.to_string());
    let (stored, blob) = Blob::keep(value).map_err(lasting)?;
    let digest = stored.digest().map_err(lasting)?;
    let value = match (&stored, &blob) {
        (Stored::Inline(value), _) => value.clone(),
        (Stored::Blob(place), Some(blob)) => place.open(&blob.bytes).map_err(lasting)?,
        (Stored::Blob(_), None) => return Err(NodeFault::Lasting("a large result has no bytes".to_owned())),
    };
    let output = Some(Kept { value: Arc::new(value), digest });
    Ok(Ended { end: NodeEnd::Succeeded(stored), blob, output })
}
