//! Runs of graphs in a history: random graphs, started, cancelled, and resumed when they failed.

use rand::RngExt;
use serde_json::{Value, json};
use tollgate_core::ports::StoreError;
use tollgate_core::run::RunState;
use tollgate_testkit::{FakeCompute, scope};

use crate::checks::{Fault, Law};
use crate::history::History;
use crate::house::HouseError;

/// Most steps of a graph.
const STEPS_MAX: usize = 6;

impl History {
    /// Starts a run of a graph.
    pub(crate) async fn start_graph(&mut self) -> Result<(), HouseError> {
        let mut steps: Vec<Value> = Vec::new();
        let name = |run: usize, i: usize| format!("r{run}s{i}");
        for i in 0..self.rng.random_range(1..=STEPS_MAX) {
            let on: Vec<String> = (0..i).filter(|_| self.rng.random_range(0..3) == 0).map(|d| name(self.graphs.len(), d)).collect();
            let on: Vec<&str> = on.iter().map(String::as_str).collect();
            steps.push(self.graph_step(&name(self.graphs.len(), i), &on));
        }
        let (run, _) = self.h.start(&steps, &Value::Null, None).await?;
        self.graphs.push(run);
        Ok(())
    }

    fn graph_step(&mut self, name: &str, on: &[&str]) -> Value {
        let ids: Vec<String> = self.tools.keys().cloned().collect();
        match self.rng.random_range(0..10) {
            0 => FakeCompute::step(name, on, "fail no"),
            1 => {
                let mut step = FakeCompute::step(name, on, &format!("pass {}", self.rng.random_range(1..4)));
                if let Some(s) = step.as_object_mut() {
                    s.insert("retry".to_owned(), json!({"max_attempts": 3, "base": "1s", "cap": "10s"}));
                }
                step
            }
            2 | 3 => match ids.get(self.rng.random_range(0..ids.len())) {
                Some(id) => {
                    let proposed = self.action(id);
                    let parts = ["tool", "args", "entity_key", "idempotency_key"].map(|k| (k.to_owned(), proposed.get(k).cloned()));
                    let action: serde_json::Map<String, Value> = parts.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
                    json!({"name": name, "depends_on": on, "kind": {"action": action}})
                }
                None => FakeCompute::step(name, on, "sum"),
            },
            _ => FakeCompute::step(name, on, "sum"),
        }
    }

    /// Someone lets a failed run go on.
    pub(crate) async fn resume_one(&mut self) -> Result<(), HouseError> {
        let mut failed = Vec::new();
        for run in self.graphs.clone() {
            let state = self.h.store.run(scope(), run).await?.map(|r| r.state);
            failed.extend((state == Some(RunState::Failed)).then_some(run));
        }
        if failed.is_empty() {
            return Ok(());
        }
        let Some(run) = failed.get(self.rng.random_range(0..failed.len())).copied() else { return Ok(()) };
        match self.h.store.resume_run(scope(), run, self.h.ids.now()).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// How many succeeded, and how many did not.
    pub(crate) async fn ends_of_graphs(&self) -> Result<(usize, usize), HouseError> {
        let mut ends = (0, 0);
        for run in &self.graphs {
            match self.h.store.run(scope(), *run).await?.map(|r| r.state) {
                Some(RunState::Succeeded) => ends.0 += 1,
                _ => ends.1 += 1,
            }
        }
        Ok(ends)
    }

    /// At rest every graph has ended, as its journal says.
    pub(crate) async fn graphs_ended(&mut self) -> Result<(), HouseError> {
        self.faults.extend(self.h.graph_faults().await?);
        for id in &self.graphs {
            let state = self.h.store.run(scope(), *id).await?.map(|r| r.state);
            if !state.is_some_and(RunState::is_final) {
                self.faults.push(Fault::new(Law::Complete, format!("{id} of a graph is {state:?} at rest")));
            }
        }
        Ok(())
    }
}
