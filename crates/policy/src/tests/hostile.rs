//! Recomputing files from strangers: whatever is in them, an answer or a message, never a crash.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_core::ports::PolicyEngine;

use super::{call, compile};
use crate::{RecomputeError, Recomputer, recompute};

fn good() -> (Value, Value) {
    let policies = compile("@id(\"all\") permit (principal, action in Action::\"shop.*\", resource);").unwrap();
    let decision = call("shop.refund", json!({"order": "o", "qty": 1, "rate": 1.5})).ask(&policies);
    (policies.artifact().clone(), decision.request)
}

/// The message for a good export in which one place was changed.
fn said(pointer: &str, put: Value) -> String {
    let (artifact, request) = good();
    let mut both = json!({"artifact": artifact, "request": request});
    *both.pointer_mut(pointer).unwrap() = put;
    recompute(&both["artifact"], &both["request"]).unwrap_err().to_string()
}

#[test]
fn errors_name_what_is_wrong() {
    let texts = [
        said("/artifact", json!([])),
        said("/artifact", json!({})),
        said("/artifact/evaluator", json!("cedar-policy 5.0.0")),
        said("/artifact/evaluator", json!("other\u{1b}[31m")),
        said("/artifact/policies", json!([{"path": "x"}])),
        said("/artifact/policies/0/text", json!("permit (principal, action, resource);")),
        said("/artifact/policies/0/text", json!("nonsense")),
        said("/artifact/schema", json!({"": {"commonTypes": {}, "entityTypes": {}, "actions": {}}})),
        said("/artifact/schema", json!({"Other": {"entityTypes": {}, "actions": {}}})),
        said("/artifact/schema//actions/shop.refund/memberOf", json!([{"id": "shop.get"}])),
        said("/artifact/schema//actions/shop.refund/memberOf", json!([{"id": "nowhere"}])),
        said("/artifact/schema//actions/shop.refund/appliesTo", json!(7)),
        said("/request", json!("x")),
        said("/request/principal", json!("Operator::\"open")),
        said("/request/principal", json!("User::\"bob\"")),
        said("/request/principal", json!("x".repeat(9000))),
        said("/request/action", json!("Action::\"shop.gone\"")),
        said("/request/resource", json!("Operator::\"x\"")),
        said("/request/context", json!({})),
        said("/request/context", json!(null)),
        said("/request/context/args/qty", json!("1")),
        said("/request/context/args/qty", json!(1.5)),
        said("/request/context/args/qty", json!(i64::MAX)),
        said("/request/context/args/rate", json!({"__extn": {"fn": "ip", "arg": "::1"}})),
        said("/request/context/args/rate", json!({"__extn": {"fn": "decimal", "arg": "999999999999999.0000"}})),
        said("/request/context/classes", json!([{"__entity": {"type": "Action", "id": "x"}}])),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    the policy artifact cannot be used: it is not an object
    the policy artifact cannot be used: it has no `evaluator`
    the verdict was computed by `cedar-policy 5.0.0`, and this verifier has cedar-policy 4.14.1: use the release that wrote it
    the verdict was computed by `other\u{1b}[31m`, and this verifier has cedar-policy 4.14.1: use the release that wrote it
    the policy artifact cannot be used: `policies[0]` is not `{path, text}`
    a policy of the artifact cannot be used: policies/main.cedar:1:1: this policy has no `@id` (add `@id("…")` before `permit` or `forbid`: receipts and approvals cite policies by it)
    a policy of the artifact cannot be used: policies/main.cedar:1:9: unexpected end of input
    the policy artifact cannot be used: its schema has the unknown member `commonTypes`
    the policy artifact cannot be used: its schema does not have the one unnamed namespace
    the policy artifact cannot be used: `shop.refund` in its schema is in `shop.get`, which is not a group
    the policy artifact cannot be used: `shop.refund` in its schema is in `nowhere`, which is not a group
    the policy artifact cannot be used: its schema is not valid: invalid type: integer `7`, expected struct ApplySpec
    the recorded request cannot be used: the request is not an object
    the recorded request cannot be used: `principal` of the request is not an entity: `Operator::"open`
    the recorded request cannot be used: the request names a principal, action or resource of an unknown type
    the recorded request cannot be used: `principal` of the request is longer than 8192 bytes
    the recorded request cannot be used: `Action::"shop.gone"` is not an action of the schema
    the recorded request cannot be used: the request names a principal, action or resource of an unknown type
    the recorded request cannot be used: the request does not fit the schema: context `{}` is not valid for `Action::"shop.refund"`
    the recorded request cannot be used: the context is not an object
    the recorded request cannot be used: the request does not fit the schema: context `{args: {order: "o", qty: "1", rate: decimal("1.5000")}, classes: ["financial"], effect: "write", grade: "at_most_o…
    the recorded request cannot be used: `context.args` holds the number 1.5, which is no integer within 2^53
    the recorded request cannot be used: `context.args` holds the number 9223372036854775807, which is no integer within 2^53
    the recorded request cannot be used: `context.args` holds an `__extn` that is not a decimal with 4 places
    the recorded request cannot be used: the context is not usable: error while evaluating `decimal` extension function: overflow when converting to decimal
    the recorded request cannot be used: the request does not fit the schema: context `{args: {order: "o", qty: 1, rate: decimal("1.5000")}, classes: [{__entity: {id: "x", type: "Action"}}], effect: "w…
    "#);
}

/// Runs on the smallest stack that a thread of ours has.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    on_a_small_stack(|| {
        for condition in [
            format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000)),
            vec!["true"; 100_000].join(" && "),
            vec!["1"; 100_000].join(" + ") + " == 1",
            "if true then true else ".repeat(100_000) + "true",
            format!("context{} == 1", ".a".repeat(100_000)),
            format!("context{} == 1", "[\"a\"]".repeat(100_000)),
            "!".repeat(100_000) + "true",
            "-".repeat(100_000) + "1 == 1",
            format!("{}1{} == 1", "[".repeat(100_000), "]".repeat(100_000)),
        ] {
            let text = format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
            let (mut artifact, request) = good();
            artifact["policies"][0]["text"] = json!(text);
            assert!(matches!(recompute(&artifact, &request), Err(RecomputeError::Policy(_))));
        }
    });
}

#[test]
fn what_the_bounds_let_through_fits_a_small_stack() {
    on_a_small_stack(|| {
        for condition in [
            vec!["true"; 180].join(" && "),
            vec!["false"; 180].join(" || ") + " || true",
            vec!["1"; 180].join(" + ") + " > 1",
            "if false then true else ".repeat(180) + "true",
            format!("{}true{}", "(".repeat(30), ")".repeat(30)),
            format!("{0}1{1} == {0}1{1}", "[".repeat(30), "]".repeat(30)),
        ] {
            let text = format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
            let policies = compile(&text).unwrap_or_else(|e| panic!("{condition}: {e:?}"));
            let decision = call("shop.get", json!({})).ask(&policies);
            assert_eq!(decision.determining, ["a"], "{condition}: {decision:?}");
        }
    });
}

#[test]
fn deep_and_large_json_is_refused() {
    on_a_small_stack(|| {
        let (artifact, request) = good();
        // Not deeper: the value's own drop is recursive.
        let deep = || (0..1_000).fold(json!(1), |v, _| Value::Array(vec![v]));
        let mut hostile = request.clone();
        hostile["context"]["args"]["tags"] = deep();
        assert!(matches!(recompute(&artifact, &hostile), Err(RecomputeError::Request(_))));
        hostile["context"]["args"]["tags"] = json!(vec!["x"; 100_000]);
        assert!(matches!(recompute(&artifact, &hostile), Err(RecomputeError::Request(_))));
        let mut hostile = artifact.clone();
        hostile["schema"][""]["actions"]["shop.refund"]["appliesTo"]["context"] = deep();
        assert!(matches!(recompute(&hostile, &request), Err(RecomputeError::Artifact(_))));
        let mut hostile = artifact;
        hostile["policies"][0]["text"] = json!(" ".repeat(5 << 20));
        assert!(matches!(recompute(&hostile, &request), Err(RecomputeError::Policy(_))));
    });
}

#[test]
fn a_changed_policy_or_request_changes_the_verdict() {
    let (artifact, request) = good();
    let mut forbidding = artifact.clone();
    forbidding["policies"][0]["text"] = json!("@id(\"all\") forbid (principal, action, resource);");
    assert_ne!(recompute(&forbidding, &request).unwrap(), recompute(&artifact, &request).unwrap());
    let mut elsewhere = artifact.clone();
    elsewhere["schema"][""]["actions"]["shop.refund"]["memberOf"] = json!([]);
    assert_eq!(recompute(&elsewhere, &request).unwrap().determining, Vec::<String>::new());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_:\"]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,6}|__extn|fn|arg|type|id", inner, 0..4).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| places(v, format!("{at}/{i}"), out)),
        Value::Object(map) => map.iter().for_each(|(k, v)| places(v, format!("{at}/{k}"), out)),
        _ => {}
    }
    out.push(at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn anything_anywhere_gets_an_answer(pick in any::<prop::sample::Index>(), put in any_json()) {
        let (artifact, request) = good();
        let mut both = json!({"artifact": artifact, "request": request});
        let mut all = Vec::new();
        places(&both, String::new(), &mut all);
        let place = pick.get(&all);
        if !place.is_empty() {
            *both.pointer_mut(place).unwrap() = put;
        }
        let _ = recompute(&both["artifact"], &both["request"]);
    }

    #[test]
    fn any_policy_text_gets_an_answer(text in "[a-z@\"(){};,.= \\\\?/\\[\\]é\\n]{0,60}") {
        let (mut artifact, request) = good();
        artifact["policies"][0]["text"] = json!(text);
        let _ = Recomputer::new(&artifact).and_then(|r| r.verdict(&request));
    }
}
