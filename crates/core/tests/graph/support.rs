//! Graphs written shortly, and what stands in for the expression compiler.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::graph::{ActionStep, Advance, ComputeStep, GraphPlan, GraphSpec, Progress, Source, StepKind, StepSpec};

/// A graph of steps written `name: what it depends on`. A `!` after the name makes it an action that says `continue`. A step reads the
/// outputs of all that it depends on.
pub fn graph(steps: &[&str]) -> GraphSpec {
    GraphSpec { name: "g".to_owned(), steps: steps.iter().map(|s| step(s)).collect() }
}

fn step(text: &str) -> StepSpec {
    let (name, on) = text.split_once(':').unwrap_or((text, ""));
    let on: Vec<String> = on.split_whitespace().map(str::to_owned).collect();
    let reads = on.iter().map(|o| format!("steps.{o}.output")).collect::<Vec<_>>().join(" + ");
    let kind = match name.strip_suffix('!') {
        Some(_) => action(json!({"x": format!("${{{reads} + input}}")})),
        None => StepKind::Compute(ComputeStep { expression: format!("{reads} + input.y") }),
    };
    StepSpec { name: name.trim_end_matches('!').to_owned(), depends_on: on, kind, retry: Default::default(), timeout: None }
}

fn action(args: Value) -> StepKind {
    StepKind::Action(Box::new(ActionStep {
        tool: "crm.note".to_owned(),
        args,
        entity_key: Some("order:${input.id}".to_owned()),
        idempotency_key: Some("note:${input.id}".to_owned()),
        value: None,
        continue_on_failure: true,
    }))
}

/// Dotted paths in a text, without knowing the language: enough for these tests.
pub fn references(source: Source<'_>) -> Result<BTreeSet<String>, String> {
    let text = match source {
        Source::Expression(t) | Source::Text(t) => t.to_owned(),
        Source::Json(v) => v.to_string(),
    };
    if text.contains("((") {
        return Err("1:1: `((` does not belong here".to_owned());
    }
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
    Ok(words.filter(|w| w.starts_with("steps") || w.starts_with("input") || w.starts_with("env.")).map(str::to_owned).collect())
}

pub fn plan_of(spec: GraphSpec) -> Arc<GraphPlan> {
    GraphPlan::compile(spec, &mut references).unwrap_or_else(|faults| panic!("{faults:?}"))
}

pub fn plan(steps: &[&str]) -> Arc<GraphPlan> {
    plan_of(graph(steps))
}

/// The faults, as text.
pub fn faults(spec: &GraphSpec) -> Vec<String> {
    spec.validate(&mut references).iter().map(ToString::to_string).collect()
}

/// Every step and where it stands, as text.
pub fn show(plan: &GraphPlan, progress: &Progress) -> String {
    let steps = plan.spec().steps.iter().zip(progress.states());
    let line = steps.map(|(step, state)| format!("{}:{state}", step.name)).collect::<Vec<_>>().join(" ");
    format!("{line} | {}", progress.run_state())
}

/// What an advance says, as text.
pub fn said(plan: &GraphPlan, a: &Advance) -> String {
    let names = |steps: &[usize]| steps.iter().map(|i| plan.step(*i).unwrap().name.clone()).collect::<Vec<_>>().join(" ");
    format!("ready [{}] skipped [{}] cancelled [{}] {}", names(&a.ready), names(&a.skipped), names(&a.cancelled), a.state)
}

/// The place of a step.
pub fn at(plan: &GraphPlan, name: &str) -> usize {
    plan.spec().steps.iter().position(|s| s.name == name).unwrap()
}
