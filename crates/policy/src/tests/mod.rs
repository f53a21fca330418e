//! Tests of the crate as its users see it: policies and calls in, verdicts and faults out.

mod decide;
mod faults;
mod hostile;
mod properties;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_core::plan::ActionValue;
use tollgate_core::ports::PolicyEngine;
use tollgate_core::spec::{Effect, FilesOp, Grade, OnUnknown, PolicySource, RetrySpec, ToolRequest, ToolSpec};
use tollgate_core::verdict::{Decision, PolicyRequest, Principal};

use crate::{Policies, PolicyFault};

pub(super) fn tool(name: &str, effect: Effect, classes: &[&str], input: Value) -> ToolSpec {
    ToolSpec {
        dispatch: Default::default(),
        name: name.to_owned(),
        connector: name.split('.').next().unwrap().to_owned(),
        description: String::new(),
        effect,
        grade: Grade::AtMostOnce,
        key_ttl: None,
        verify: None,
        undo: None,
        identity: Vec::new(),
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        input,
        output: None,
        on_unknown: OnUnknown::Hold,
        retry: RetrySpec::default(),
        request: ToolRequest::Files(FilesOp::Read { path: "x".to_owned() }),
    }
}

pub(super) fn by_name(tools: Vec<ToolSpec>) -> BTreeMap<String, ToolSpec> {
    tools.into_iter().map(|t| (t.name.clone(), t)).collect()
}

/// A shop and a tracker: what the tables below call.
pub(super) fn tools() -> BTreeMap<String, ToolSpec> {
    by_name(vec![
        tool(
            "shop.refund",
            Effect::Write,
            &["financial"],
            json!({"type": "object", "required": ["order", "qty"], "additionalProperties": false, "properties": {
                "order": {"type": "string"}, "qty": {"type": "integer"}, "rate": {"type": "number"}, "note": {"type": ["string", "null"]},
                "tags": {"type": "array", "items": {"type": "string"}}, "meta": {"type": "object"},
            }}),
        ),
        tool(
            "shop.get",
            Effect::Read,
            &[],
            json!({"type": "object", "additionalProperties": false, "properties": {"order": {"type": "string"}}}),
        ),
        tool(
            "tracker.add_label",
            Effect::Write,
            &["customer_facing"],
            json!({"type": "object", "required": ["label"], "additionalProperties": false, "properties": {"label": {"type": "string"}}}),
        ),
    ])
}

pub(super) fn source(path: &str, text: &str) -> PolicySource {
    PolicySource { path: path.to_owned(), text: text.to_owned() }
}

pub(super) fn compile(text: &str) -> Result<Policies, Vec<PolicyFault>> {
    Policies::compile(&[source("policies/main.cedar", text)], &tools(), ["triage", "billing"].into_iter())
}

/// One call with everything optional left out.
pub(super) struct Call {
    pub(super) principal: Principal,
    pub(super) tool: &'static str,
    pub(super) args: Value,
    pub(super) entity: Option<&'static str>,
    pub(super) value: Option<ActionValue>,
}

pub(super) fn call(tool: &'static str, args: Value) -> Call {
    Call { principal: Principal::Operator("triage".to_owned()), tool, args, entity: None, value: None }
}

impl Call {
    pub(super) fn by(mut self, principal: Principal) -> Self {
        self.principal = principal;
        self
    }

    pub(super) fn on(mut self, entity: &'static str) -> Self {
        self.entity = Some(entity);
        self
    }

    pub(super) fn worth(mut self, amount_minor: i64) -> Self {
        self.value = Some(ActionValue { amount_minor, unit: "EUR".to_owned() });
        self
    }

    /// Decides, and insists that the record recomputes to the same.
    pub(super) fn ask(&self, policies: &Policies) -> Decision {
        let tools = tools();
        let decision = policies.decide(&PolicyRequest {
            principal: &self.principal,
            tool: &tools[self.tool],
            args: &self.args,
            entity_key: self.entity,
            value: self.value.as_ref(),
        });
        recomputes(policies, &decision);
        decision
    }
}

/// The law: what was recorded, through its bytes, gives the same verdict from the exported artifact alone.
pub(super) fn recomputes(policies: &Policies, decision: &Decision) {
    let through_bytes = |v: &Value| -> Value { serde_json::from_slice(&tollgate_core::canon::canonical(v).unwrap()).unwrap() };
    let again = crate::recompute(&through_bytes(policies.artifact()), &through_bytes(&decision.request)).unwrap();
    assert_eq!(
        (again.verdict, &again.determining, again.reason, &again.queues),
        (decision.verdict, &decision.determining, decision.reason, &decision.queues),
        "{decision:?}"
    );
}
