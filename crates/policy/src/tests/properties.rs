//! Laws over random tools, calls and policies: a recorded decision recomputes, and a slice decides like the whole.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_core::canon::canonical;
use tollgate_core::plan::ActionValue;
use tollgate_core::ports::PolicyEngine;
use tollgate_core::spec::{Effect, ToolSpec};
use tollgate_core::verdict::{DecisionReason, PolicyRequest, Principal};

use super::{by_name, recomputes, source, tool};
use crate::Policies;

/// A schema and a value for it; the value mostly fits, sometimes in type only, sometimes not at all.
fn typed() -> impl Strategy<Value = (Value, Value)> {
    let leaf = prop_oneof![
        any::<String>().prop_map(|v| (json!({"type": "string"}), json!(v))),
        any::<bool>().prop_map(|v| (json!({"type": "boolean"}), json!(v))),
        (-100_i64..100).prop_map(|v| (json!({"type": "integer"}), json!(v))),
        any::<i64>().prop_map(|v| (json!({"type": "integer"}), json!(v))),
        (-1_000_000_i32..1_000_000).prop_map(|v| (json!({"type": "number"}), json!(f64::from(v) / 100.0))),
        any::<f64>().prop_map(|v| (json!({"type": "number"}), json!(v))),
        Just((json!({"type": ["string", "null"]}), json!(null))),
        Just((json!({"type": "object"}), json!({"free": [1.5, null]}))),
        Just((json!({"oneOf": [{"type": "string"}]}), json!("either"))),
        Just((json!({"type": "string"}), json!(7))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..3).prop_map(|((s, v), n)| (json!({"type": "array", "items": s}), json!(vec![v; n]))),
            fields(inner),
        ]
    })
}

fn fields(inner: impl Strategy<Value = (Value, Value)>) -> impl Strategy<Value = (Value, Value)> {
    let field = (inner, any::<bool>(), prop::bool::weighted(0.8));
    prop::collection::btree_map("[a-d]|[a-z $\"é]{1,4}|__extn|__entity|type|if", field, 0..5).prop_map(|all| {
        let (mut properties, mut values, mut required) = (Map::new(), Map::new(), Vec::new());
        for (name, ((schema, value), is_required, present)) in all {
            properties.insert(name.clone(), schema);
            if is_required {
                required.push(name.clone());
            }
            if present || is_required {
                values.insert(name, value);
            }
        }
        (json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}), Value::Object(values))
    })
}

/// Tools of two connectors with a call each.
fn world() -> impl Strategy<Value = Vec<(ToolSpec, Value)>> {
    let one = (fields(typed()), any::<bool>(), prop::sample::subsequence(vec!["financial", "destructive", "own"], 0..=3));
    prop::collection::vec(one, 1..5).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(i, ((input, args), read, classes))| {
                let effect = if read { Effect::Read } else { Effect::Write };
                (tool(&format!("c{}.t{i}", i % 2), effect, &classes, input), args)
            })
            .collect()
    })
}

/// One policy: a scope over tools that exist in every world, and a condition that every action understands.
fn policy() -> impl Strategy<Value = String> {
    let actions = prop::sample::select(vec![
        "action",
        "action == Action::\"c0.t0\"",
        "action in Action::\"c0.t0\"",
        "action in Action::\"read\"",
        "action in [Action::\"write\", Action::\"c0.t0\"]",
        "action in Action::\"c0.*\"",
        "action in [Action::\"class:financial\", Action::\"class:destructive\"]",
    ]);
    let principals = prop::sample::select(vec!["principal", "principal == Operator::\"one\"", "principal is ServiceAccount"]);
    let resources = prop::sample::select(vec!["resource", "resource == Entity::\"e:1\"", "resource == Entity::\"c0\""]);
    let conditions = prop::sample::select(vec![
        "true",
        "context has value && context.value.amount_minor > 50",
        "context has value && context.value.amount_minor * 4000000000000000 > 50",
        "context.classes.contains(\"financial\")",
        "context.effect == \"write\" && context.grade == \"at_most_once\"",
        "!(action in Action::\"c0.*\")",
    ]);
    let kind =
        prop::sample::select(vec!["permit", "permit", "@require_approval permit", "@require_approval(\"finance\") permit", "forbid"]);
    (kind, principals, actions, resources, conditions)
        .prop_map(|(kind, p, a, r, when)| format!("{kind} ({p}, {a}, {r}) when {{ {when} }};"))
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Operator("one".to_owned())),
        any::<String>().prop_map(Principal::Operator),
        Just(Principal::ServiceAccount("one".to_owned())),
        Just(Principal::System("sweep".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn decisions_recompute_and_slices_agree_with_the_whole(
        world in world(),
        policies in prop::collection::vec(policy(), 0..8),
        principal in principal(),
        entity in prop_oneof![Just(None), Just(Some("e:1".to_owned())), any::<String>().prop_map(Some)],
        amount in prop_oneof![Just(None), (0_i64..100).prop_map(Some), (1000_i64..5000).prop_map(Some), any::<i64>().prop_map(Some)],
    ) {
        let tools: BTreeMap<String, ToolSpec> = by_name(world.iter().map(|(t, _)| t.clone()).collect());
        let text: String = policies.iter().enumerate().map(|(i, p)| format!("@id(\"p{i}\") {p}\n")).collect();
        let compiled = Policies::compile(&[source("p.cedar", &text)], &tools, ["one"].into_iter());
        prop_assert!(compiled.is_ok(), "{text}: {:?}", compiled.err());
        let Ok(compiled) = compiled else { return Ok(()) };
        let value = amount.map(|amount_minor| ActionValue { amount_minor, unit: "EUR".to_owned() });
        for (tool, args) in &world {
            let asked = PolicyRequest { principal: &principal, tool, args, entity_key: entity.as_deref(), value: value.as_ref() };
            let decision = compiled.decide(&asked);
            // The recomputation takes the whole set, unsliced, and checks the context against the schema.
            recomputes(&compiled, &decision);
            prop_assert!(canonical(&decision.request).is_ok());
            let unfit = decision.request.get("unfit").is_some();
            prop_assert!(!unfit || decision.reason == DecisionReason::PolicyError);
        }
    }
}
