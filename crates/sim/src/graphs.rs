//! Runs of graphs in a test world, and their laws.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_core::graph::{EntryKind, GraphSpec, check_journal};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Blob, Claimed, NodeRecord, RunFilter, StartGraph, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Principal;
use tollgate_testkit::scope;

use crate::checks::{Fault, Law};
use crate::house::{House, HouseError};

impl House {
    /// Compiles graphs anew from here on.
    pub fn forget_programs(&mut self) {
        self.graphs = tollgate_worker::Graphs::new(std::sync::Arc::new(self.compute.clone()));
    }

    /// From here on no step is tried again more often.
    pub fn retry_at_most(&mut self, retries_max: u32) {
        self.graphs = self.graphs.clone().with_retries_max(retries_max);
    }

    /// Starts a run of a graph of these steps; answers what its first commit handed to the session.
    ///
    /// # Errors
    /// When the graph has faults, or the store says no.
    pub async fn start(&self, steps: &[Value], input: &Value, claim: Option<SessionId>) -> Result<(RunId, Vec<Claimed>), HouseError> {
        let no = |why: String| HouseError::Store(StoreError::Conflict(why));
        let spec: GraphSpec = serde_json::from_value(json!({"name": "test", "steps": steps})).map_err(|e| no(e.to_string()))?;
        let program = self.graphs.compile(spec).map_err(no)?;
        let (input, blob) = Blob::keep(input).map_err(|e| no(e.to_string()))?;
        let run = RunId::from_bytes(self.ids.uuid());
        let command = StartGraph {
            terms: self.plain(),
            scope: scope(),
            run,
            plan: std::sync::Arc::clone(program.plan()),
            input,
            blob,
            principal: Principal::ServiceAccount("test".to_owned()),
            bundle: self.bundles.digest(),
            at: self.ids.now(),
            claim,
        };
        // The control plane starts runs: a worker may add none.
        let started = self.store.start_graph(command).await?;
        self.watch.granted(&started.claimed);
        Ok((run, started.claimed))
    }

    /// A run of a graph as it stands.
    ///
    /// # Errors
    /// When the store says no, or there is none.
    pub async fn graph(&self, run: RunId) -> Result<NodeRecord, HouseError> {
        Ok(self.store.node_step(scope(), run).await?.ok_or(StoreError::NotFound)?)
    }

    /// How each step of a run stands, by its name.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn steps(&self, run: RunId) -> Result<BTreeMap<String, &'static str>, HouseError> {
        let record = self.graph(run).await?;
        let spec = self.store.graph_spec(scope(), record.spec).await?.ok_or(StoreError::NotFound)?;
        Ok(spec.steps.into_iter().zip(record.progress.states()).map(|(s, state)| (s.name, state.as_str())).collect())
    }

    /// What may not be of runs of graphs: a journal that the graph does not lead to, where a step ended before what it depends on; or two
    /// results of one step.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn graph_faults(&self) -> Result<Vec<Fault>, HouseError> {
        let mut faults = Vec::new();
        let page = tollgate_core::ports::Page { before: None, limit: 100_000 };
        for run in self.store.list_runs(scope(), RunFilter::default(), page).await? {
            let run = run.item;
            let Some(record) = self.store.node_step(scope(), run.id).await? else { continue };
            let spec = self.store.graph_spec(scope(), record.spec).await?.ok_or(StoreError::NotFound)?;
            let program = self.graphs.compile(spec).map_err(|e| HouseError::Store(StoreError::Corrupt(e)))?;
            if let Err(m) = check_journal(program.plan(), &record.journal, &record.progress) {
                faults.push(Fault::new(Law::Graph, format!("{}: {m}", run.id)));
            }
            let mut done = BTreeMap::new();
            for e in record.journal.iter().filter(|e| e.kind == EntryKind::Succeeded) {
                *done.entry(e.step).or_insert(0_u32) += 1;
            }
            if let Some((step, n)) = done.iter().find(|(_, n)| **n > 1) {
                faults.push(Fault::new(Law::Graph, format!("{}: step {step:?} has {n} results", run.id)));
            }
            let by_graph = record.progress.run_state();
            let compensating = run.cancelling || run.state == RunState::NeedsResolution;
            if run.state != by_graph && !compensating && run.reason.is_none() {
                faults.push(Fault::new(Law::Graph, format!("{} is {} and its steps say {by_graph}", run.id, run.state)));
            }
        }
        Ok(faults)
    }
}
