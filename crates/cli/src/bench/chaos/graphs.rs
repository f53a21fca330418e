//! Runs of graphs beside the events: started through the store until they are, and judged by their journals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_core::graph::{EntryKind, GraphPlan, GraphSpec, JournalEntry, Stored};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Blob, StartGraph, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::scope::Mode;

use crate::bench::crash::laws::Broken;
use crate::bench::crash::send::Released;
use crate::bench::crash::spec::Kind;
use crate::failure::Failure;
use crate::node::{Node, actor};

/// Steps of each graph.
pub const STEPS: usize = 5;
/// Starts under way at once.
const STARTERS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(50);
/// Lanes that its actions share with those of events.
const LANES: u64 = 50;

/// A run that was started.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its number.
    pub n: u64,
    /// Its id.
    pub run: RunId,
}

/// One step, two that depend on it, an action that depends on both, and one that depends on all three.
fn spec() -> Result<GraphSpec, Failure> {
    let compute = |name: &str, on: &[&str], text: &str| json!({"name": name, "depends_on": on, "kind": {"compute": {"expression": text}}});
    let action = json!({
        "tool": Kind::Keyed.tool(), "args": {"op": "${input.op}", "entity": "${input.entity}"},
        "entity_key": "keyed:${input.entity}", "idempotency_key": "graph:${input.op}",
    });
    let steps = [
        compute("first", &[], "input.n + 1"),
        compute("left", &["first"], "steps.first.output * 2"),
        compute("right", &["first"], "steps.first.output * 3"),
        json!({"name": "act", "depends_on": ["left", "right"], "kind": {"action": action}}),
        compute("last", &["left", "right", "act"], "steps.left.output + steps.right.output"),
    ];
    serde_json::from_value(json!({"name": "chaos", "steps": steps})).map_err(Failure::plain)
}

/// What the last step comes to.
const fn expected(n: u64) -> u64 {
    (n + 1) * 5
}

/// The operation of a run's action.
pub fn op(n: u64) -> String {
    format!("graph-{n:06}")
}

/// Every operation of so many runs.
pub fn ops(count: u64) -> BTreeSet<(Kind, String)> {
    (0..count).map(|n| (Kind::Keyed, op(n))).collect()
}

/// Starts runs as they are released; a start whose answer is lost is asked again under the same id.
///
/// # Errors
/// When the store refuses one.
pub async fn start_all(node: Arc<Node>, bundle: Digest, released: watch::Receiver<Released>) -> Result<Vec<Started>, Failure> {
    let program = node.engine.graphs.compile(spec()?).map_err(Failure::plain)?;
    let mut tasks = JoinSet::new();
    for starter in 0..STARTERS {
        let (node, plan, mut released) = (Arc::clone(&node), Arc::clone(program.plan()), released.clone());
        tasks.spawn(async move {
            let mut done = Vec::new();
            for n in (0..).filter(|n| n % STARTERS == starter) {
                let now = *released.wait_for(|r| r.all || r.below > n).await.map_err(Failure::plain)?;
                if now.below <= n {
                    break;
                }
                done.push(Started { n, run: start(&node, &plan, bundle, n).await? });
            }
            Ok::<_, Failure>(done)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.append(&mut done.map_err(Failure::plain)??);
    }
    Ok(all)
}

async fn start(node: &Node, plan: &Arc<GraphPlan>, bundle: Digest, n: u64) -> Result<RunId, Failure> {
    let (who, run) = (actor(Mode::Live), RunId::from_bytes(node.ids.uuid()));
    let entity = format!("order-{}", n % LANES);
    let (input, blob) = Blob::keep(&json!({"n": n, "op": op(n), "entity": entity})).map_err(Failure::plain)?;
    loop {
        let command = StartGraph {
            scope: who.scope,
            run,
            plan: Arc::clone(plan),
            input: input.clone(),
            blob: blob.clone(),
            principal: who.principal.clone(),
            bundle,
            terms: Default::default(),
            at: node.ids.now(),
            claim: None,
        };
        match node.engine.exec.start_graph(command).await {
            // It was stored, and the answer lost.
            Ok(_) | Err(StoreError::Conflict(_)) => return Ok(run),
            Err(StoreError::Unavailable(_) | StoreError::AnswerLost | StoreError::Stale) => tokio::time::sleep(PAUSE).await,
            Err(e) => return Err(e.into()),
        }
    }
}

/// Judges every run by its journal.
///
/// # Errors
/// When the store says no.
pub async fn judge(node: &Node, started: &[Started]) -> Result<Vec<Broken>, Failure> {
    let mut out = Vec::new();
    for s in started {
        let found = node.engine.exec.node_step(actor(Mode::Live).scope, s.run).await?;
        if let Some(detail) = fault(s.n, found.as_ref().map(|r| (r.state, r.journal.as_slice()))) {
            out.push(Broken { law: "graphs_finished_once", detail: format!("graph {} ({}): {detail}", s.n, s.run) });
        }
    }
    Ok(out)
}

/// What is wrong with a run.
fn fault(n: u64, found: Option<(RunState, &[JournalEntry])>) -> Option<String> {
    let Some((state, journal)) = found else { return Some("it was started and is not there".to_owned()) };
    if state != RunState::Succeeded {
        return Some(format!("it is `{state}`"));
    }
    let mut steps: Vec<Option<u32>> = journal.iter().map(|e| e.step).collect();
    steps.sort_unstable();
    let once: Vec<Option<u32>> = std::iter::once(None).chain((0..).take(STEPS).map(Some)).collect();
    let only = journal.iter().all(|e| matches!(e.kind, EntryKind::Started | EntryKind::Succeeded));
    if steps != once || !only {
        let seen: Vec<String> = journal.iter().map(|e| format!("{:?} {}", e.step, e.kind.as_str())).collect();
        return Some(format!("its journal is {}", seen.join(", ")));
    }
    let last = journal.iter().find(|e| e.step == Some(STEPS as u32 - 1)).and_then(|e| e.result.clone());
    let wanted = Stored::Inline(Value::from(expected(n)));
    (last.as_ref() != Some(&wanted)).then(|| format!("it came to {last:?} and not {}", expected(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind, step: Option<u32>, result: u64) -> JournalEntry {
        let run = RunId::from_bytes([1; 16]);
        let (request_hash, result) = (Digest::of(b""), Some(Stored::Inline(Value::from(result))));
        JournalEntry { run, seq: 0, kind, step, request_hash, result, semantics_version: 1 }
    }

    fn journal() -> Vec<JournalEntry> {
        let ends = (0..).take(STEPS).map(|step| entry(EntryKind::Succeeded, Some(step), expected(3)));
        std::iter::once(entry(EntryKind::Started, None, 0)).chain(ends).collect()
    }

    #[test]
    fn a_run_that_is_lost_or_open_or_did_a_step_twice_or_wrong_shows() {
        let done = |journal: &[JournalEntry]| fault(3, Some((RunState::Succeeded, journal)));
        assert_eq!(done(&journal()), None);
        assert!(fault(3, None).is_some());
        assert!(fault(3, Some((RunState::Running, &journal()))).is_some());
        let mut twice = journal();
        twice.push(twice[2].clone());
        assert!(done(&twice).is_some());
        assert!(done(&journal()[..STEPS]).is_some(), "a step is missing");
        let mut deferred = journal();
        deferred[2].kind = EntryKind::Deferred;
        assert!(done(&deferred).is_some());
        assert!(fault(4, Some((RunState::Succeeded, &journal()))).is_some(), "it came to something else");
    }
}
