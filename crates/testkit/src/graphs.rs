//! Graphs without an expression language: a compute step's text says what becomes of it.
//!
//! `= JSON` gives the value; `sum` adds the outputs of what it depends on, and 1; `fail TEXT` fails for good; `pass N TEXT` fails N times
//! and then gives 0; `large` gives more than a journal keeps inline, `length` measures it. What a text reads are the names after `steps.` in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::graph::{GraphPlan, GraphSpec, Source, StepKind};
use tollgate_core::plan::ProposedAction;
use tollgate_core::ports::{Compute, NodeFault, Program};

/// The compiler. Counts how often each step was evaluated.
#[derive(Clone, Default)]
pub struct FakeCompute {
    reads_nothing: Arc<std::sync::atomic::AtomicBool>,
    seen: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl FakeCompute {
    /// From now on graphs are compiled as if their steps read nothing: another program, which asks for something else.
    pub fn read_nothing(&self) {
        self.reads_nothing.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// How often a step of this name was evaluated.
    pub fn evaluated(&self, step: &str) -> u32 {
        self.seen.lock().get(step).copied().unwrap_or(0)
    }

    /// A step that computes.
    pub fn step(name: &str, on: &[&str], text: &str) -> Value {
        let reads: String = on.iter().map(|s| format!(" steps.{s}.output")).collect();
        json!({"name": name, "depends_on": on, "kind": {"compute": {"expression": format!("{text}{reads}")}}})
    }

    /// A step that acts: `remote.…` on an id, under a key of the same name.
    pub fn action(name: &str, on: &[&str], tool: &str, id: &str) -> Value {
        let args = json!({"id": id});
        let (entity, key) = (format!("e:{id}"), format!("k:{id}"));
        json!({"name": name, "depends_on": on,
               "kind": {"action": {"tool": tool, "args": args, "entity_key": entity, "idempotency_key": key}}})
    }
}

fn references(source: Source<'_>) -> Result<BTreeSet<String>, String> {
    let Source::Expression(text) = source else { return Ok(BTreeSet::new()) };
    Ok(text.split_whitespace().filter(|w| w.starts_with("steps.")).map(ToOwned::to_owned).collect())
}

impl Compute for FakeCompute {
    fn compile(&self, spec: GraphSpec) -> Result<Arc<dyn Program>, String> {
        let nothing = self.reads_nothing.load(std::sync::atomic::Ordering::Relaxed);
        let mut reads = |source: Source<'_>| if nothing { Ok(BTreeSet::new()) } else { references(source) };
        let plan = GraphPlan::compile(spec, &mut reads).map_err(|f| format!("{f:?}"))?;
        Ok(Arc::new(Fake { plan, seen: Arc::clone(&self.seen) }))
    }
}

struct Fake {
    plan: Arc<GraphPlan>,
    seen: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Fake {
    fn text(&self, node: usize) -> Option<(String, String)> {
        let step = self.plan.step(node)?;
        let StepKind::Compute(c) = &step.kind else { return None };
        let text: Vec<&str> = c.expression.split_whitespace().filter(|w| !w.starts_with("steps.")).collect();
        Some((step.name.clone(), text.join(" ")))
    }
}

impl Program for Fake {
    fn plan(&self) -> &Arc<GraphPlan> {
        &self.plan
    }

    fn compute(&self, node: usize, context: &Value) -> Result<Value, NodeFault> {
        let (name, text) = self.text(node).ok_or_else(|| NodeFault::Lasting("it computes nothing".to_owned()))?;
        let times = {
            let mut seen = self.seen.lock();
            let n = seen.entry(name).or_default();
            *n += 1;
            *n
        };
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "=" => serde_json::from_str(rest).map_err(|e| NodeFault::Lasting(e.to_string())),
            "sum" => {
                let steps = context.get("steps").and_then(Value::as_object);
                let sum: i64 = steps.into_iter().flat_map(|s| s.values()).filter_map(|s| s.get("output")?.as_i64()).sum();
                Ok(json!(sum + 1))
            }
            "large" => Ok(json!({"n": 41, "text": "x".repeat(40_000)})),
            "length" => {
                let text = context.pointer("/steps/a/output/text").and_then(Value::as_str).unwrap_or_default();
                Ok(json!(text.len()))
            }
            "pass" => {
                let until: u32 = rest.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                if times <= until { Err(NodeFault::Passing("not yet".to_owned())) } else { Ok(json!(0)) }
            }
            _ => Err(NodeFault::Lasting(rest.to_owned())),
        }
    }

    fn propose(&self, node: usize, _: &Value) -> Result<ProposedAction, NodeFault> {
        match self.plan.step(node).map(|s| &s.kind) {
            Some(StepKind::Action(a)) => Ok(ProposedAction {
                priority: None,
                tool: a.tool.clone(),
                capability: None,
                args: a.args.clone(),
                entity_key: a.entity_key.clone(),
                idempotency_key: a.idempotency_key.clone(),
                value: None,
                independent: true,
                continue_on_failure: a.continue_on_failure,
            }),
            _ => Err(NodeFault::Lasting("it proposes nothing".to_owned())),
        }
    }
}
