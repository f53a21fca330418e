//! Graphs compiled: the expressions and templates of their steps. Pure; no network, no secrets.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tollgate_core::graph::{ActionStep, GraphPlan, GraphSpec, ROOTS, Source, StepKind};
use tollgate_core::plan::{ActionValue, KEY_MAX, ProposedAction};
use tollgate_core::ports::{Compute, NodeFault, Program};
use tollgate_expr::{EvalError, Expression, Inputs, JsonTemplate, Template};

/// Compiles graphs whose steps are written in CEL.
#[derive(Clone, Copy, Debug, Default)]
pub struct GraphCompiler;

struct Compiled {
    plan: Arc<GraphPlan>,
    steps: Vec<Step>,
}

enum Step {
    Compute(Expression),
    Action(Box<Action>),
}

struct Action {
    tool: String,
    args: JsonTemplate,
    entity_key: Option<Template>,
    idempotency_key: Option<Template>,
    value: Option<(JsonTemplate, Template)>,
    continue_on_failure: bool,
}

/// What a source reads.
fn references(source: Source<'_>) -> Result<BTreeSet<String>, String> {
    match source {
        Source::Expression(text) => Expression::compile(text, &ROOTS).map(|e| e.references()),
        Source::Text(text) => Template::compile(text, &ROOTS).map(|t| t.references()),
        Source::Json(value) => JsonTemplate::compile(value, &ROOTS).map(|t| t.references()),
    }
    .map_err(|e| if e.pointer.is_empty() { e.to_string() } else { format!("{} at {e}", e.pointer) })
}

impl Compute for GraphCompiler {
    fn compile(&self, spec: GraphSpec) -> Result<Arc<dyn Program>, String> {
        let plan = GraphPlan::compile(spec, &mut references)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let steps = plan.spec().steps.iter().map(|s| step(&s.kind)).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(Arc::new(Compiled { plan, steps }))
    }
}

fn step(kind: &StepKind) -> Result<Step, tollgate_expr::CompileError> {
    match kind {
        StepKind::Compute(c) => Expression::compile(&c.expression, &ROOTS).map(Step::Compute),
        StepKind::Action(a) => action(a).map(|a| Step::Action(Box::new(a))),
    }
}

fn action(a: &ActionStep) -> Result<Action, tollgate_expr::CompileError> {
    let template = |t: &Option<String>| t.as_deref().map(|t| Template::compile(t, &ROOTS)).transpose();
    let empty = Value::Object(serde_json::Map::new());
    Ok(Action {
        tool: a.tool.clone(),
        args: JsonTemplate::compile(if a.args.is_null() { &empty } else { &a.args }, &ROOTS)?,
        entity_key: template(&a.entity_key)?,
        idempotency_key: template(&a.idempotency_key)?,
        value: match &a.value {
            Some(v) => Some((JsonTemplate::compile(&v.amount_minor, &ROOTS)?, Template::compile(&v.unit, &ROOTS)?)),
            None => None,
        },
        continue_on_failure: a.continue_on_failure,
    })
}

impl Program for Compiled {
    fn plan(&self) -> &Arc<GraphPlan> {
        &self.plan
    }

    fn compute(&self, node: usize, context: &Value) -> Result<Value, NodeFault> {
        match self.steps.get(node) {
            Some(Step::Compute(e)) => e.eval(&inputs(context)).map_err(|e| lasting("expression", &e)),
            _ => Err(NodeFault::Lasting(format!("step {node} computes nothing"))),
        }
    }

    fn propose(&self, node: usize, context: &Value) -> Result<ProposedAction, NodeFault> {
        match self.steps.get(node) {
            Some(Step::Action(a)) => a.propose(&inputs(context)),
            _ => Err(NodeFault::Lasting(format!("step {node} proposes nothing"))),
        }
    }
}

impl Action {
    fn propose(&self, inputs: &Inputs<'_>) -> Result<ProposedAction, NodeFault> {
        let value = match &self.value {
            None => None,
            Some((amount, unit)) => {
                let amount = amount.eval(inputs).map_err(|e| lasting("value.amount_minor", &e))?;
                let whole = || NodeFault::Lasting("value.amount_minor: must be an integer of the smallest unit".to_owned());
                let unit = unit.eval_text(inputs).map_err(|e| lasting("value.unit", &e))?;
                Some(ActionValue { amount_minor: amount.as_i64().ok_or_else(whole)?, unit })
            }
        };
        Ok(ProposedAction {
            priority: None,
            tool: self.tool.clone(),
            capability: None,
            args: self.args.eval(inputs).map_err(|e| lasting("args", &e))?,
            entity_key: key("entity_key", self.entity_key.as_ref(), inputs)?,
            idempotency_key: key("idempotency_key", self.idempotency_key.as_ref(), inputs)?,
            value,
            independent: true,
            continue_on_failure: self.continue_on_failure,
        })
    }
}

fn key(place: &str, template: Option<&Template>, inputs: &Inputs<'_>) -> Result<Option<String>, NodeFault> {
    let Some(template) = template else { return Ok(None) };
    let text = template.eval_text(inputs).map_err(|e| lasting(place, &e))?;
    if text.is_empty() || text.len() > KEY_MAX {
        return Err(NodeFault::Lasting(format!("{place}: a key has 1 to {KEY_MAX} bytes, not {}", text.len())));
    }
    Ok(Some(text))
}

fn inputs(context: &Value) -> Inputs<'_> {
    ROOTS.iter().fold(Inputs::new(), |i, root| i.with(root, context.get(root).unwrap_or(&Value::Null)))
}

/// The same step over the same values fails the same way.
fn lasting(place: &str, e: &EvalError) -> NodeFault {
    NodeFault::Lasting(format!("{place}{}: {}", e.pointer, e.message))
}
