//! Plans from events, and every fault of a bad operator at once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};
use tollgate_core::event::Event;
use tollgate_core::plan::{ProposalError, ProposedPlan};
use tollgate_core::ports::Reasoner;
use tollgate_core::spec::{OperatorSpec, ToolSpec};
use tollgate_operators::Rules;

fn tools() -> BTreeMap<String, ToolSpec> {
    let tool: ToolSpec = serde_json::from_value(json!({
        "name": "github.add_label", "connector": "github", "description": "", "effect": "write", "grade": "keyed", "key_ttl": "1h", "verify": null,
        "identity": ["issue", "label"], "classes": [], "output": null, "on_unknown": "hold",
        "input": {"type": "object", "required": ["issue", "label"], "additionalProperties": false,
                  "properties": {"issue": {"type": "integer"}, "label": {"type": "string"}}},
        "retry": {}, "request": {"http": {"method": "POST", "url": "https://x.example/"}}
    }))
    .unwrap();
    BTreeMap::from([(tool.name.clone(), tool)])
}

fn operator(over: Value) -> BTreeMap<String, OperatorSpec> {
    let mut spec = json!({"name": "triage", "description": "", "on": ["issues.opened"], "when": "event.payload.issue.labels.size() == 0",
        "ordering": "relaxed", "draft": false,
        "propose": [{"tool": "labels.add", "entity_key": "issue:${event.payload.issue.id}",
                     "idempotency_key": "triage:${event.payload.issue.id}", "args": {"issue": "${event.payload.issue.number}", "label": "new"}}]});
    for (k, v) in over.as_object().unwrap() {
        spec[k] = v.clone();
    }
    BTreeMap::from([("triage".to_owned(), serde_json::from_value(spec).unwrap())])
}

fn compile(over: Value) -> Result<Rules, Vec<String>> {
    let bindings = BTreeMap::from([("labels.add".to_owned(), "github.add_label".to_owned())]);
    Rules::compile(&operator(over), &bindings, &tools()).map_err(|f| f.iter().map(ToString::to_string).collect())
}

fn propose(rules: &Rules, payload: Value) -> Result<Option<ProposedPlan>, ProposalError> {
    let event = event(&payload);
    let mut future = rules.propose("triage", &event);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => panic!("rules answer at once"),
    }
}

fn event(payload: &Value) -> Event {
    use tollgate_core::id::{EventId, ResellerId, TenantId};
    use tollgate_core::scope::{Mode, Scope};
    use tollgate_core::time::Timestamp;
    Event {
        id: EventId::from_bytes([0; 16]),
        scope: Scope { reseller_id: ResellerId::from_bytes([0; 16]), tenant_id: TenantId::from_bytes([0; 16]), mode: Mode::Live },
        source: "github".to_owned(),
        event_type: "issues.opened".to_owned(),
        subject: None,
        time: Timestamp::default(),
        received_at: Timestamp::default(),
        correlation_id: None,
        agent_id: None,
        session_id: None,
        traceparent: None,
        payload: serde_json::value::to_raw_value(payload).unwrap(),
    }
}

#[test]
fn a_matching_event_becomes_a_plan() {
    let rules = compile(json!({})).unwrap();
    let plan = propose(&rules, json!({"issue": {"id": 99, "number": 7, "labels": []}})).unwrap().unwrap();
    let a = &plan.actions[0];
    assert_eq!((a.tool.as_str(), a.capability.as_deref()), ("github.add_label", Some("labels.add")));
    assert_eq!(a.args, json!({"issue": 7, "label": "new"}));
    assert_eq!((a.entity_key.as_deref(), a.idempotency_key.as_deref()), (Some("issue:99"), Some("triage:99")));
    assert_eq!(propose(&rules, json!({"issue": {"id": 99, "number": 7, "labels": ["x"]}})).unwrap(), None);
}

#[test]
fn a_failing_expression_is_a_reason_not_a_loss() {
    let rules = compile(json!({})).unwrap();
    let err = propose(&rules, json!({"issue": {"labels": []}})).unwrap_err();
    assert_eq!(err.to_string(), "propose[0].args/issue: there is no `number`; test with has() where it may be missing");
    let err = propose(&rules, json!({})).unwrap_err();
    assert_eq!(err.place, "when");
}

#[test]
fn every_fault_is_reported_at_once() {
    let propose = json!([
        {"tool": "github.add_lable", "args": {}},
        {"tool": "labels.add", "args": {"isue": 1, "label": "x"}},
        {"tool": "labels.add", "entity_key": "e:${event.payload.id}", "idempotency_key": "k:${event.id}", "args": {"issue": "${evnt.x}", "label": "x"}},
        {"tool": "labels.add", "entity_key": "e:${event.payload.id}", "idempotency_key": "always", "args": {"issue": 1, "label": "x"}},
    ]);
    let faults = compile(json!({"propose": propose, "when": "event.payload."})).unwrap_err().join("\n");
    let want = [
        "operator `triage`, when: `.` does not belong here",
        "operator `triage`, propose[0].tool: there is no tool or bound capability `github.add_lable`; did you mean `github.add_label`?",
        "operator `triage`, propose[1].entity_key: `github.add_label` writes: say which entity it changes with `entity_key`",
        "operator `triage`, propose[1].idempotency_key: `github.add_label` writes: name the operation with `idempotency_key`",
        "operator `triage`, propose[1].args/isue: `github.add_label` takes no argument `isue`; did you mean `issue`?",
        "operator `triage`, propose[1].args: `github.add_label` needs the argument `issue`",
        "operator `triage`, propose[2].args/issue: `evnt` is not known here: there is `event`",
        "operator `triage`, propose[2].idempotency_key: `event.id` differs when the same fact is delivered again, so the key would not recognise it: use fields of `event.payload`",
        "operator `triage`, propose[3].idempotency_key: a constant key takes effect once for ever, whatever the entity: put what makes the operation into it",
    ];
    assert_eq!(faults, want.join("\n"));
}

#[test]
fn one_key_for_two_operations_of_a_plan_is_refused() {
    let action = |label: &str| json!({"tool": "labels.add", "entity_key": "e:${event.payload.id}", "idempotency_key": "k:${event.payload.id}", "args": {"issue": 1, "label": label}});
    let rules = compile(json!({"propose": [action("a"), action("b")], "when": null})).unwrap();
    let err = propose(&rules, json!({"id": 1})).unwrap_err();
    assert_eq!(err.to_string(), "propose[1].idempotency_key: propose[0] uses the same key for another operation");
    let rules = compile(json!({"propose": [action("a"), action("a")], "when": null})).unwrap();
    assert_eq!(propose(&rules, json!({"id": 1})).unwrap().unwrap().actions.len(), 2);
}
