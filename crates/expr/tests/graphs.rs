//! Compute steps of graphs: what an expression reads over a step's context, how it is checked when deployed, and where its limits are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_core::graph::{GraphPlan, GraphSpec, ROOTS, Source, Stored, context};
use tollgate_expr::{Expression, Inputs, JsonTemplate, Template};

/// What `GraphSpec::validate` asks for, by the compiler itself.
fn references(source: Source<'_>) -> Result<BTreeSet<String>, String> {
    match source {
        Source::Expression(text) => Expression::compile(text, &ROOTS).map(|e| e.references()),
        Source::Text(text) => Template::compile(text, &ROOTS).map(|t| t.references()),
        Source::Json(value) => JsonTemplate::compile(value, &ROOTS).map(|t| t.references()),
    }
    .map_err(|e| if e.pointer.is_empty() { e.to_string() } else { format!("{} at {e}", e.pointer) })
}

fn faults(spec: Value) -> Vec<String> {
    let spec: GraphSpec = serde_json::from_value(spec).unwrap();
    spec.validate(&mut references).iter().map(ToString::to_string).collect()
}

fn compute(name: &str, on: &[&str], expression: &str) -> Value {
    json!({"name": name, "depends_on": on, "kind": {"compute": {"expression": expression}}})
}

/// Evaluates over the context of a step that depends on `a`, which left this output, and on `b`, which left none.
fn eval(expression: &str, input: &Value, a: &Value) -> Result<Value, String> {
    let context = context(input.clone(), [("a".to_owned(), Some(a.clone())), ("b".to_owned(), None)]);
    let inputs = ROOTS.iter().fold(Inputs::new(), |i, root| i.with(root, &context[*root]));
    let compiled = Expression::compile(expression, &ROOTS).map_err(|e| e.to_string())?;
    compiled.eval(&inputs).map_err(|e| e.to_string())
}

#[test]
fn a_step_computes_over_the_input_and_the_outputs_it_depends_on() {
    let (input, a) = (json!({"y": 2, "tags": ["x"]}), json!({"x": 40, "list": [{"n": 1}, {"n": 5}], "none": null}));
    for (expression, want) in [
        ("steps.a.output.x + input.y", json!(42)),
        ("{'sum': steps.a.output.x + input.y, 'all': steps.a.output.list.map(i, i.n * input.y)}", json!({"sum": 42, "all": [2, 10]})),
        ("steps.a.output.list.filter(i, i.n > input.y).size() == 1 ? 'one' : 'other'", json!("one")),
        ("steps.a.output", a.clone()),
        ("steps.a.output.none == null", json!(true)),
        // `b` failed under `continue`, or a person vouched for it.
        ("has(steps.b.output)", json!(false)),
        ("has(steps.b.output) ? steps.b.output.x : input.y", json!(2)),
    ] {
        assert_eq!(eval(expression, &input, &a), Ok(want), "{expression}");
    }
    assert_eq!(eval("steps.b.output.x", &input, &a), Err("there is no `output`; test with has() where it may be missing".to_owned()));
    assert_eq!(eval("env.home", &input, &a), Err("1:1: `env` is not known here: there is `input`, `steps`".to_owned()));
}

#[test]
fn whole_numbers_are_integers_however_they_were_computed() {
    // A result is kept as canonical JSON, where 2.0 is 2: a sum may be an integer one time and a fraction the next.
    let kept = |v: f64| match Stored::of(&json!({"x": v}), |h| h.to_string()).unwrap().0 {
        Stored::Inline(value) => value,
        Stored::Blob(blob) => panic!("{blob:?} is short"),
    };
    assert_eq!(eval("steps.a.output.x * 1.5", &Value::Null, &kept(2.5)), Ok(json!(3.75)));
    assert_eq!(eval("steps.a.output.x * 1.5", &Value::Null, &kept(2.0)), Err("`mul` does not take int and float".to_owned()));
    for v in [2.0, 2.5] {
        assert_eq!(eval("double(steps.a.output.x) * 1.5", &Value::Null, &kept(v)), Ok(json!(v * 1.5)), "this holds for both");
    }
}

#[test]
fn results_that_cannot_be_kept_fail_the_step_in_words() {
    let refused = |expression: &str| {
        let value = eval(expression, &json!({"n": 1}), &Value::Null)?;
        Stored::of(&value, |h| h.to_string()).map(drop).map_err(|e| e.to_string())
    };
    assert!(refused("input.n * 9007199254740993").unwrap_err().contains("beyond 2^53"));
    assert!(refused("double(input.n) / 0.0").unwrap_err().contains("not a finite number"));
    assert!(refused("{1: input.n}").unwrap_err().contains("keys of a map must be strings"));
    assert!(refused("timestamp('2026-01-01T00:00:00Z')").unwrap_err().contains("convert it with string()"));
    assert_eq!(refused("input.n * 9007199254740992"), Ok(()));
}

#[test]
fn an_evaluation_costs_what_it_reads() {
    // More values than an evaluation may take over lie beside the one that is read.
    let large = json!({"x": 1, "rest": vec![0; 200_001]});
    assert_eq!(eval("steps.a.output.x", &Value::Null, &large), Ok(json!(1)));
    assert!(eval("size(steps.a.output.rest)", &Value::Null, &large).unwrap_err().contains("more than 200000 values"));
}

#[test]
fn a_deployed_graph_is_checked_with_what_its_expressions_really_read() {
    let good = json!({"name": "g", "steps": [
        compute("a", &[], "input.order"),
        compute("b", &["a"], "has(steps.a.output.id) && steps.a.output.lines.all(l, l.qty > 0)"),
        {"name": "note", "depends_on": ["b"], "kind": {"action": {
            "tool": "crm.note", "args": {"text": "order ${steps.a.output.id}", "ok": "${steps.b.output}"},
            "entity_key": "order:${steps.a.output.id}", "idempotency_key": "note:${input.order.id}",
            "value": {"amount_minor": "${steps.a.output.total}", "unit": "EUR"}}}}
    ]});
    assert_eq!(faults(good.clone()), Vec::<String>::new());
    let plan = GraphPlan::compile(serde_json::from_value(good).unwrap(), &mut references).unwrap();
    assert_eq!((plan.reads(0), plan.reads(1), plan.reads(2)), (&[][..], &[0][..], &[0, 1][..]));

    let bad = json!({"name": "g", "steps": [
        compute("a", &[], "1 +"),
        compute("b", &[], "steps.a.output"),
        compute("c", &["a"], "steps['a'].output"),
        compute("d", &["a"], "[1].map(x, steps.a.?output.orValue(x))"),
        compute("e", &["a"], "steps.a['output']"),
        {"name": "f", "kind": {"action": {"tool": "crm.note", "args": {"t": ["x", "${now()}"]}, "entity_key": "${steps.f.output"}}}
    ]});
    let want = [
        "steps[0].kind.compute.expression: 1:4: the expression ends too early: something is not closed or an operand is missing",
        "steps[1].kind.compute.expression: `steps.a.output` is read, but `b` does not depend on `a`: add it to `depends_on`",
        "steps[2].kind.compute.expression: `steps` is read as a whole: write `steps.NAME.output`, so that it is known which steps are read",
        "steps[5].kind.action.args: /t/1 at 1:3: there is no function `now`",
        "steps[5].kind.action.entity_key: 1:1: `${` is not closed by `}`",
    ];
    assert_eq!(faults(bad), want);
}

#[test]
fn a_name_that_the_graph_allows_can_be_read() {
    // The words that the language keeps to itself are refused as names; every other one can stand after `steps.`.
    let words = "as break const continue else false for function if import in let loop namespace null package return true var void while \
                 int uint double bool string bytes list map type size has all exists matches dyn optional input steps output a1 x_y";
    for word in words.split_whitespace() {
        let spec = json!({"name": "g", "steps": [compute(word, &[], "1"), compute("last", &[word], &format!("steps.{word}.output + 1"))]});
        let faults = faults(spec);
        let readable = Expression::compile(&format!("steps.{word}.output"), &ROOTS).is_ok();
        assert!(readable || !faults.is_empty(), "`{word}` is allowed and cannot be read");
        if let Ok(e) = Expression::compile(&format!("steps.{word}.output + 1"), &ROOTS) {
            let context = context(Value::Null, [(word.to_owned(), Some(json!(41)))]);
            assert_eq!(e.eval(&Inputs::new().with("steps", &context["steps"])).unwrap(), json!(42), "{word}");
        }
    }
}
