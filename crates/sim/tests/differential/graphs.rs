//! Runs of graphs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollgate_core::graph::{GraphPlan, GraphSpec, Stored};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Claimed, FinishNode, NodeEnd, StartGraph, Step};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::verdict::Principal;

use crate::ops::{Act, Op};
use crate::terms::terms;
use crate::world::{World, both, scope_of, shown};

/// A chain, a fan with its end, and one step alone.
fn plan(shape: u8) -> Arc<GraphPlan> {
    let step = |name: &str, on: &[&str]| json!({"name": name, "depends_on": on, "kind": {"compute": {"expression": "1"}}});
    let steps = match shape {
        0 => vec![step("a", &[])],
        1 => vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])],
        _ => vec![step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["b", "c"])],
    };
    let spec: GraphSpec = serde_json::from_value(json!({"name": format!("g{shape}"), "steps": steps})).unwrap();
    GraphPlan::compile(spec, &mut |_| Ok(BTreeSet::new())).unwrap()
}

impl World {
    pub async fn graph(&mut self, op: &Op) -> String {
        match op {
            Op::Start { scope, shape, terms: kind, claim } => {
                let scope = scope_of(*scope);
                let command = StartGraph {
                    terms: terms(&scope, *kind),
                    scope,
                    run: RunId::from_bytes(self.id()),
                    plan: plan(*shape),
                    input: Stored::Inline(json!({"n": shape})),
                    blob: None,
                    principal: Principal::System("test".to_owned()),
                    bundle: Digest::of(b"b"),
                    at: self.now(),
                    claim: self.session(*claim),
                };
                let answer = both!(self, |s| s.start_graph(command.clone()));
                if let Ok(done) = &answer {
                    self.runs.push((command.scope, command.run));
                    self.graphs.insert(command.run, command.plan);
                    self.take(&done.claimed);
                }
                shown(&answer)
            }
            Op::Node { pick, end, act, claim } => {
                let Some((c, node)) = self.pick_node(*pick) else { return "no node is held".to_owned() };
                self.finish(&c, node, *end, act, *claim).await
            }
            Op::Stop { pick } => {
                let Some((c, node)) = self.pick_node(*pick) else { return "no node is held".to_owned() };
                let answer = both!(self, |s| s.stop_graph(c.scope, c.run, node, c.lease, "step a asks for something else".to_owned()));
                if answer.is_ok() {
                    self.ended(&c);
                }
                shown(&answer)
            }
            Op::Resume { pick } => {
                let all: Vec<(Scope, RunId)> = self.runs.iter().filter(|(_, r)| self.graphs.contains_key(r)).copied().collect();
                let mut failed = Vec::new();
                for (scope, run) in all.iter().rev().take(8).copied() {
                    let stands = both!(self, |s| s.run(scope, run)).unwrap();
                    failed.extend(stands.filter(|r| r.state == RunState::Failed).map(|_| (scope, run)));
                }
                let Some((scope, run)) = Self::pick(if failed.is_empty() { &all } else { &failed }, *pick) else {
                    return "no graph".to_owned();
                };
                let at = self.now();
                shown(&both!(self, |s| s.resume_run(scope, run, at)))
            }
            other => panic!("{other:?}"),
        }
    }

    fn pick_node(&self, pick: u8) -> Option<(Claimed, u32)> {
        let c = self.pick_held(pick, |c| matches!(c.step, Step::Node(_)))?;
        if let Step::Node(node) = c.step { Some((c, node)) } else { None }
    }

    async fn finish(&mut self, c: &Claimed, node: u32, end: u8, act: &Act, claim: Option<u8>) -> String {
        let Some(plan) = self.graphs.get(&c.run).cloned() else { return "no graph".to_owned() };
        let output = || Stored::Inline(json!({"node": node}));
        let end = match end {
            0..=3 => NodeEnd::Succeeded(output()),
            4 => NodeEnd::Failed(output()),
            5 => NodeEnd::Deferred(output(), Duration::from_secs(20)),
            6 => NodeEnd::Acts(Box::new(self.action(c.scope, act))),
            _ => NodeEnd::Cancelled,
        };
        let acts = if let NodeEnd::Acts(a) = &end { Some((c.scope, c.run, a.id)) } else { None };
        let command = FinishNode {
            scope: c.scope,
            run: c.run,
            lease: c.lease,
            plan,
            node,
            request: Digest::of(b"request"),
            end,
            blob: None,
            at: self.now(),
            claim: self.session(claim),
        };
        let answer = both!(self, |s| s.finish_node(command.clone()));
        if let Ok(done) = &answer {
            self.ended(c);
            self.actions.extend(acts);
            self.take(&done.claimed);
        }
        shown(&answer)
    }
}
