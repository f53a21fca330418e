//! Faults of a graph, each at its place, and the digest that runs are pinned to.

use serde_json::json;
use tollgate_core::graph::{EXPRESSION_MAX, GraphPlan, GraphSpec, STEPS_MAX, StepKind, TEMPLATE_MAX};

use super::support::{at, faults, graph, plan, references};

fn fault_of(steps: &[&str]) -> String {
    faults(&graph(steps)).join("\n")
}

#[test]
fn a_good_graph_has_no_fault() {
    assert_eq!(fault_of(&["a", "b: a", "c: a", "d!: b c"]), "");
}

#[test]
fn every_fault_is_told_at_once() {
    let spec: GraphSpec = serde_json::from_value(json!({"name": "My graph", "steps": [
        {"name": "a", "kind": {"compute": {"expression": "1"}}, "timeout": "0s"},
        {"name": "a", "depends_on": ["gone", "a", "a"], "kind": {"compute": {"expression": "((1"}}},
        {"name": "b-1", "kind": {"action": {"tool": "t", "args": {"x": "${steps.a.output}"}, "entity_key": "${env.home}"}}},
        {"name": "in", "depends_on": ["a"], "kind": {"compute": {"expression": "steps['a'] && steps.nobody.output && steps.a.error"}}}
    ]}))
    .unwrap();
    insta::assert_snapshot!(faults(&spec).join("\n"), @r#"
    name: `My graph` is not a name: write 1 to 64 lower-case letters, digits, `_` or `-`, a letter first
    steps[1].name: `a` is the name of steps[0] already: choose another
    steps[2].name: `b-1` is not a name of a step: write 1 to 64 lower-case letters, digits, or `_`, a letter first
    steps[3].name: `in` is a word of the expression language: choose another name
    steps[1].depends_on[0]: there is no step `gone`
    steps[1].depends_on[2]: `a` stands here twice
    steps[0].timeout: no attempt ends in no time: write a longer one, or leave it out
    steps[1].kind.compute.expression: 1:1: `((` does not belong here
    steps[2].kind.action.args: `steps.a.output` is read, but `b-1` does not depend on `a`: add it to `depends_on`
    steps[2].kind.action.entity_key: `env` is not known here: there is `input`, `steps`
    steps[3].kind.compute.expression: `steps` is read as a whole: write `steps.NAME.output`, so that it is known which steps are read
    steps[3].kind.compute.expression: `steps.a.error` is read, but all that can be read of a step is `steps.a.output`
    steps[3].kind.compute.expression: `steps.nobody.output` is read, but there is no step `nobody`
    "#);
}

#[test]
fn a_cycle_is_named_once_and_so_is_another() {
    insta::assert_snapshot!(fault_of(&["a", "b: a d", "c: b", "d: c", "e: d", "f: f", "g: f e"]), @r#"
    steps[1].depends_on: `b` depends on itself: b -> d -> c -> b; take one of these dependencies away
    steps[5].depends_on: `f` depends on itself: f -> f; take one of these dependencies away
    "#);
}

#[test]
fn what_leads_into_a_cycle_is_no_part_of_it() {
    assert_eq!(
        fault_of(&["a: b", "b: c", "c: b"]),
        "steps[1].depends_on: `b` depends on itself: b -> c -> b; take one of these dependencies away"
    );
}

#[test]
fn what_has_faults_becomes_no_plan() {
    let spec = graph(&["a: a"]);
    assert_eq!(GraphPlan::compile(spec.clone(), &mut references).unwrap_err(), spec.validate(&mut references));
}

#[test]
fn a_step_reads_only_what_it_depends_on_through_others_too() {
    let mut spec = graph(&["a", "b: a", "c: b", "d"]);
    let reads = |spec: &mut GraphSpec, text: &str| {
        let StepKind::Compute(c) = &mut spec.steps[2].kind else { panic!() };
        c.expression = text.to_owned();
    };
    reads(&mut spec, "steps.a.output.x + steps.b.output");
    assert_eq!(faults(&spec).join("\n"), "");
    let plan = GraphPlan::compile(spec.clone(), &mut references).unwrap();
    assert_eq!(plan.reads(2), [0, 1]);
    reads(&mut spec, "steps.d.output");
    insta::assert_snapshot!(faults(&spec).join("\n"), @"steps[2].kind.compute.expression: `steps.d.output` is read, but `c` does not depend on `d`: add it to `depends_on`");
    reads(&mut spec, "steps.c.output");
    assert!(faults(&spec).join("\n").contains("`c` does not depend on `c`"));
}

#[test]
fn sizes_are_bounded() {
    let names: Vec<String> = (0..=STEPS_MAX).map(|i| format!("s{i}")).collect();
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(fault_of(&all), "steps: a graph has at most 1000 steps, not 1001: split it");
    all.pop();
    assert_eq!(fault_of(&all), "");
    assert_eq!(fault_of(&[]), "steps: a graph has at least one step");

    let mut spec = graph(&["a", "b!"]);
    let StepKind::Compute(c) = &mut spec.steps[0].kind else { panic!() };
    c.expression = "1".repeat(EXPRESSION_MAX);
    assert_eq!(faults(&spec).join("\n"), "");
    let StepKind::Compute(c) = &mut spec.steps[0].kind else { panic!() };
    c.expression.push('1');
    let StepKind::Action(a) = &mut spec.steps[1].kind else { panic!() };
    a.idempotency_key = Some("k".repeat(TEMPLATE_MAX + 1));
    a.args = (0..70).fold(json!(1), |v, _| json!([v]));
    insta::assert_snapshot!(faults(&spec).join("\n"), @r#"
    steps[0].kind.compute.expression: an expression has at most 2048 bytes, not 2049: split the step
    steps[1].kind.action.args: lists and maps are nested at most 64 deep
    steps[1].kind.action.idempotency_key: a template has at most 16384 bytes, not 16385
    "#);
    let names = ["x".repeat(64), "x".repeat(65)];
    assert_eq!(names.map(|n| faults(&graph(&[&n])).len()), [0, 1]);
}

#[test]
fn a_plan_knows_both_directions() {
    let plan = plan(&["d: b c", "b: a", "c: a", "a"]);
    let all = |name: &str| (plan.depends_on(at(&plan, name)).to_vec(), plan.dependents(at(&plan, name)).to_vec());
    assert_eq!((all("a"), all("b"), all("d")), ((vec![], vec![1, 2]), (vec![3], vec![0]), (vec![1, 2], vec![])));
    let place = |name| plan.order().iter().position(|i| *i == at(&plan, name)).unwrap();
    assert!(place("a") < place("b") && place("b") < place("d") && place("c") < place("d"));
}

/// Fixed for ever: runs are pinned to digests, and what the author leaves out is written out.
#[test]
fn the_digest_of_a_spec() {
    let spec = graph(&["a", "b!: a"]);
    insta::assert_snapshot!(serde_json::to_string(&spec).unwrap(), @r#"{"name":"g","steps":[{"name":"a","depends_on":[],"kind":{"compute":{"expression":" + input.y"}},"retry":{"max_attempts":5,"base":"200ms","cap":"1m"}},{"name":"b","depends_on":["a"],"kind":{"action":{"tool":"crm.note","args":{"x":"${steps.a.output + input}"},"entity_key":"order:${input.id}","idempotency_key":"note:${input.id}","continue":true}},"retry":{"max_attempts":5,"base":"200ms","cap":"1m"}}]}"#);
    insta::assert_snapshot!(spec.digest(), @"02aa1a986255186af36a2b7fb4bfb82c5d4fd0d9c6baa62c7be02506eae093e3");
    let read: GraphSpec = serde_json::from_str(
        r#"{"steps": [{"kind": {"compute": {"expression": " + input.y"}}, "name": "a"},
            {"name": "b", "depends_on": ["a"], "kind": {"action": {"continue": true, "tool": "crm.note", "entity_key": "order:${input.id}",
             "args": {"x": "${steps.a.output + input}"}, "idempotency_key": "note:${input.id}"}}}], "name": "g"}"#,
    )
    .unwrap();
    assert_eq!(read.digest(), spec.digest());
    assert_ne!(graph(&["a", "b: a"]).digest(), spec.digest());
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    for bad in [
        json!({"name": "g", "steps": [], "x": 1}),
        json!({"name": "g", "steps": [{"name": "a", "kind": {"compute": {"expression": "1"}}, "x": 1}]}),
        json!({"name": "g", "steps": [{"name": "a", "kind": {"compute": {"expression": "1", "x": 1}}}]}),
        json!({"name": "g", "steps": [{"name": "a", "kind": {"action": {"tool": "t", "x": 1}}}]}),
        json!({"name": "g", "steps": [{"name": "a", "kind": {"wait": {}}}]}),
    ] {
        assert!(serde_json::from_value::<GraphSpec>(bad.clone()).is_err(), "{bad}");
    }
}
