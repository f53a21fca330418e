//! An event in, a plan out.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::event::Event;
use tollgate_core::plan::{ActionValue, KEY_MAX, PLAN_ACTIONS_MAX, ProposalError, ProposedAction, ProposedPlan};
use tollgate_core::ports::{BoxFuture, Reasoner};
use tollgate_expr::{EvalError, Inputs, Template};

use crate::compile::{Compiled, CompiledAction, Rules};

impl Reasoner for Rules {
    fn propose<'a>(&'a self, operator: &'a str, event: &'a Event) -> BoxFuture<'a, Result<Option<ProposedPlan>, ProposalError>> {
        Box::pin(std::future::ready(self.plan(operator, event)))
    }

    fn concurrency_key(&self, operator: &str, event: &Event) -> Option<String> {
        let key = self.operators.get(operator)?.limit_key.as_ref()?;
        let event = seen(event).ok()?;
        key.eval(&Inputs::new().with("event", &event)).ok().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    }
}

impl Rules {
    fn plan(&self, operator: &str, event: &Event) -> Result<Option<ProposedPlan>, ProposalError> {
        let Some(rules) = self.operators.get(operator) else { return Err(wrong("operator", format!("there is no operator `{operator}`"))) };
        let event = seen(event)?;
        let inputs = Inputs::new().with("event", &event);
        if !holds(rules.when.as_ref(), "when", &inputs)? {
            return Ok(None);
        }
        let actions = actions(rules, &inputs)?;
        if actions.len() > PLAN_ACTIONS_MAX {
            return Err(wrong("propose", format!("a plan has at most {PLAN_ACTIONS_MAX} actions, not {}", actions.len())));
        }
        unambiguous(rules, &actions)?;
        Ok(Some(ProposedPlan { actions: actions.into_iter().map(|(_, a)| a).collect() }))
    }
}

/// The event as expressions see it.
fn seen(event: &Event) -> Result<Value, ProposalError> {
    serde_json::to_value(event).map_err(|e| wrong("event", format!("the payload cannot be read: {e}")))
}

fn holds(when: Option<&tollgate_expr::Expression>, place: &str, inputs: &Inputs<'_>) -> Result<bool, ProposalError> {
    when.map_or(Ok(true), |w| w.eval_bool(inputs).map_err(|e| failed(place, &e)))
}

fn actions(rules: &Compiled, inputs: &Inputs<'_>) -> Result<Vec<(usize, ProposedAction)>, ProposalError> {
    let mut out = Vec::new();
    for (i, a) in rules.actions.iter().enumerate() {
        if holds(a.when.as_ref(), &format!("propose[{i}].when"), inputs)? {
            out.push((i, action(&format!("propose[{i}]"), a, inputs)?));
        }
    }
    Ok(out)
}

fn action(place: &str, a: &CompiledAction, inputs: &Inputs<'_>) -> Result<ProposedAction, ProposalError> {
    let value = match &a.value {
        None => None,
        Some((amount, unit)) => {
            let place = format!("{place}.value");
            let amount = amount.eval(inputs).map_err(|e| failed(&format!("{place}.amount_minor"), &e))?;
            let amount_minor =
                amount.as_i64().ok_or_else(|| wrong(format!("{place}.amount_minor"), "must be an integer of the smallest unit"))?;
            let unit = unit.eval_text(inputs).map_err(|e| failed(&format!("{place}.unit"), &e))?;
            Some(ActionValue { amount_minor, unit })
        }
    };
    Ok(ProposedAction {
        tool: a.tool.clone(),
        capability: a.capability.clone(),
        args: a.args.eval(inputs).map_err(|e| failed(&format!("{place}.args"), &e))?,
        entity_key: key(&format!("{place}.entity_key"), a.entity_key.as_ref(), inputs)?,
        idempotency_key: key(&format!("{place}.idempotency_key"), a.idempotency_key.as_ref(), inputs)?,
        value,
        priority: a.priority,
        independent: a.independent,
        continue_on_failure: a.continue_on_failure,
    })
}

fn key(place: &str, template: Option<&Template>, inputs: &Inputs<'_>) -> Result<Option<String>, ProposalError> {
    let Some(template) = template else { return Ok(None) };
    let text = template.eval_text(inputs).map_err(|e| failed(place, &e))?;
    if text.is_empty() || text.len() > KEY_MAX {
        return Err(wrong(place, format!("a key has 1 to {KEY_MAX} bytes, not {}", text.len())));
    }
    Ok(Some(text))
}

/// One key of a plan means one operation: two would make the second "succeed" as a duplicate of another.
fn unambiguous(rules: &Compiled, actions: &[(usize, ProposedAction)]) -> Result<(), ProposalError> {
    let mut seen: BTreeMap<&str, (usize, &ProposedAction)> = BTreeMap::new();
    for (i, a) in actions {
        let Some(key) = a.idempotency_key.as_deref() else { continue };
        let Some((first, b)) = seen.insert(key, (*i, a)) else { continue };
        let identity = rules.actions.get(*i).map(|c| c.identity.as_slice()).unwrap_or_default();
        let same = a.tool == b.tool && a.entity_key == b.entity_key && identity.iter().all(|n| a.args.get(n) == b.args.get(n));
        if !same {
            return Err(wrong(
                format!("propose[{i}].idempotency_key"),
                format!("propose[{first}] uses the same key for another operation"),
            ));
        }
    }
    Ok(())
}

fn wrong(place: impl Into<String>, message: impl Into<String>) -> ProposalError {
    ProposalError { place: place.into(), message: message.into() }
}

fn failed(place: &str, e: &EvalError) -> ProposalError {
    wrong(format!("{place}{}", e.pointer), e.message.clone())
}
