//! Values, places of errors, and hostile sources.
#![allow(clippy::unwrap_used, reason = "test code")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_expr::{Expression, Inputs, JsonTemplate, Template};

const ROOTS: &[&str] = &["event", "args"];

fn event() -> Value {
    json!({"payload": {"issue": {"id": 7, "labels": ["bug", "ui"], "user": {"login": "ann"}, "title": "It's {odd}"}, "n": null},
           "event_type": "issues.opened"})
}

fn eval(source: &str) -> Result<Value, String> {
    let event = event();
    let e = Expression::compile(source, ROOTS).map_err(|e| e.to_string())?;
    e.eval(&Inputs::new().with("event", &event)).map_err(|e| e.to_string())
}

#[test]
fn values() {
    for (source, want) in [
        ("event.payload.issue.id + 1", json!(8)),
        ("event.payload.issue.id * 2 == 14", json!(true)),
        ("event.payload.issue.labels.size() == 2", json!(true)),
        ("size(event.payload.issue.labels)", json!(2)),
        ("event.payload.issue.labels.exists(l, l == 'bug')", json!(true)),
        ("event.payload.issue.labels.map(l, l + '!')", json!(["bug!", "ui!"])),
        ("event.payload.issue.labels + ['x']", json!(["bug", "ui", "x"])),
        ("event.payload.issue.labels == ['bug', 'ui']", json!(true)),
        ("['bug', 'ui'] == event.payload.issue.labels", json!(true)),
        ("event.payload.issue.user == {'login': 'ann'}", json!(true)),
        ("event.payload.issue", event()["payload"]["issue"].clone()),
        ("event.payload['issue'].id", json!(7)),
        ("has(event.payload.issue.gone)", json!(false)),
        ("has(event.payload.issue.user.login)", json!(true)),
        ("has(event.payload.nothing) && event.payload.nothing.x == 1", json!(false)),
        ("'ui' in event.payload.issue.labels", json!(true)),
        ("event.payload.n == null", json!(true)),
        ("event.payload.?gone.orValue('d')", json!("d")),
        ("{'a': event.payload.issue.id}", json!({"a": 7})),
        ("type(event.payload.issue.id) == int", json!(true)),
        ("event.payload.issue.title.startsWith('It')", json!(true)),
    ] {
        assert_eq!(eval(source), Ok(want), "{source}");
    }
}

#[test]
fn faults_say_what_and_where() {
    for (source, want) in [
        ("", "1:1: the expression is empty"),
        ("evnt.payload", "1:1: `evnt` is not known here: there is `event`, `args`"),
        ("now() > 1", "1:1: there is no function `now`"),
        ("event.payload.gone", "there is no `gone`; test with has() where it may be missing"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "the result of `add` does not fit a 64-bit integer"),
        ("0.0 / 0.0", "the result is not a finite number"),
        ("event.payload.issue.id + 'a'", "`add` does not take int and string"),
    ] {
        assert_eq!(eval(source), Err(want.to_owned()), "{source}");
    }
    let broken = Expression::compile("event.a ==\n  && true", ROOTS).unwrap_err();
    assert_eq!((broken.line, broken.message.as_str()), (2, "`&&` does not belong here"));
}

#[test]
fn hostile_sources_are_refused_and_never_abort() {
    let list = format!("[{}]", vec!["1"; 600].join(","));
    let hostile = [
        vec!["1"; 900].join("+"),
        format!("event{}", "[0]".repeat(600)),
        format!("'a'{}", ".trim()".repeat(280)),
        format!("event{}", ".a".repeat(900)),
        "(".repeat(1500),
        format!("{}1{}", "[".repeat(500), "]".repeat(500)),
        "!".repeat(2000),
        "x".repeat(5000),
        format!("{list}.all(a, {list}.all(b, true))"),
        "[1].map(a, [1].map(b, [1].map(c, c)))".to_owned(),
        "\u{0}\u{1}${".to_owned(),
    ];
    for source in &hostile {
        if let Ok(e) = Expression::compile(source, ROOTS) {
            let event = event();
            let _ = e.eval(&Inputs::new().with("event", &event));
        }
    }
    assert!(Expression::compile(&hostile[0], ROOTS).unwrap_err().message.contains("deep"));
    assert!(Expression::compile(&hostile[9], ROOTS).unwrap_err().message.contains("nested 2 deep"));
    assert!(Expression::compile(&"1".repeat(3000), ROOTS).unwrap_err().message.contains("at most 2048 bytes"));
}

#[test]
fn long_lists_are_refused_before_they_are_walked() {
    let event = json!({"l": (0..1500).collect::<Vec<_>>()});
    let nested = Expression::compile("event.l.all(x, event.l.all(y, x == y || true))", ROOTS).unwrap();
    assert!(nested.eval(&Inputs::new().with("event", &event)).unwrap_err().message.contains("at most 1000"));
    let flat = Expression::compile("event.l.all(x, x >= 0)", ROOTS).unwrap();
    assert_eq!(flat.eval_bool(&Inputs::new().with("event", &event)), Ok(true));
}

#[test]
fn a_walk_that_would_copy_a_long_text_many_times_is_refused() {
    let sizes = |list: usize, text: usize| json!({"l": vec![1; list], "t": "x".repeat(text)});
    for source in ["event.l.map(x, event.t + event.t)", "event.l.all(x, size(event.t + 'y') > 0)"] {
        let e = Expression::compile(source, ROOTS).unwrap();
        let said = e.eval(&Inputs::new().with("event", &sizes(100_000, 800_000))).unwrap_err().message;
        assert!(said.contains("a list of 100000 beside a text of 800000 bytes"), "{said}");
        assert!(e.eval(&Inputs::new().with("event", &sizes(100, 1000))).is_ok());
    }
    let nested = Expression::compile("event.l.all(x, event.l.all(y, size(event.t + 'z') > 0))", ROOTS).unwrap();
    assert!(nested.eval(&Inputs::new().with("event", &sizes(1000, 1000))).unwrap_err().message.contains("256 MiB"));
    let plain = Expression::compile("size(event.l) + size(event.t)", ROOTS).unwrap();
    assert_eq!(plain.eval(&Inputs::new().with("event", &sizes(100_000, 800_000))), Ok(json!(900_000)));
}

#[test]
fn a_pattern_never_comes_from_the_data() {
    for hostile in
        ["event.t.matches(event.p)", "matches(event.t, event.p)", "event.t.matches('^' + event.p)", "event.l.all(x, event.t.matches(x))"]
    {
        assert!(Expression::compile(hostile, ROOTS).unwrap_err().message.contains("pattern of `matches`"), "{hostile}");
    }
    let config = json!({"p": "^a+$"});
    for fine in ["event.t.matches('^a+$')", "matches(event.t, '^a+$')", "event.t.matches(config.p)"] {
        let e = Expression::compile(fine, &["event", "config"]).unwrap();
        let event = json!({"t": "aa"});
        assert_eq!(e.eval_bool(&Inputs::new().with("event", &event).with("config", &config)), Ok(true), "{fine}");
    }
}

#[test]
fn only_what_is_read_is_named() {
    let e = Expression::compile("event.payload.issue.id == 1 && has(event.payload.x) && args.a[event.i].b == 2", ROOTS).unwrap();
    let refs: Vec<_> = e.references().into_iter().collect();
    assert_eq!(refs, ["args.a", "event.i", "event.payload.issue.id", "event.payload.x"]);
}

#[test]
fn templates_keep_types_and_places() {
    let event = event();
    let inputs = Inputs::new().with("event", &event);
    let text = |s: &str| Template::compile(s, ROOTS).map_err(|e| e.to_string()).and_then(|t| t.eval(&inputs).map_err(|e| e.to_string()));
    assert_eq!(text("${event.payload.issue.id}"), Ok(json!(7)));
    assert_eq!(text("issue:${event.payload.issue.id}:${'}'}"), Ok(json!("issue:7:}")));
    assert_eq!(text("$${x} and ${event.payload.issue.title}"), Ok(json!("${x} and It's {odd}")));
    assert_eq!(text(""), Ok(json!("")));
    assert_eq!(text("a ${event.payload.n}"), Err("`${event.payload.n}` is null and cannot stand in a text".to_owned()));
    assert_eq!(text("ab\n ${1 +}"), Err("2:7: the expression ends too early: something is not closed or an operand is missing".to_owned()));
    assert_eq!(text("a ${open"), Err("1:3: `${` is not closed by `}`".to_owned()));
}

#[test]
fn json_templates_evaluate_every_string() {
    let event = event();
    let t =
        JsonTemplate::compile(&json!({"a": ["${event.payload.issue.id}", 1, "x"], "b": {"c": "${event.payload.gone}"}}), ROOTS).unwrap();
    let err = t.eval(&Inputs::new().with("event", &event)).unwrap_err();
    assert_eq!((err.pointer.as_str(), err.is_missing()), ("/b/c", true));
    let t = JsonTemplate::compile(&json!({"a": ["${event.payload.issue.id}", 1, "x"]}), ROOTS).unwrap();
    assert_eq!(t.eval(&Inputs::new().with("event", &event)), Ok(json!({"a": [7, 1, "x"]})));
    assert_eq!(JsonTemplate::compile(&json!({"a": ["${"]}), ROOTS).unwrap_err().pointer, "/a/0");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(v in any_json()) {
        let e = Expression::compile("event", ROOTS).unwrap();
        prop_assert_eq!(e.eval(&Inputs::new().with("event", &v)).unwrap(), v);
    }

    #[test]
    fn reading_a_path_is_reading_it_from_the_whole(v in any_json()) {
        // The first takes over one path only; the second, by its index, the whole.
        let narrow = Expression::compile("event.a.b", ROOTS).unwrap();
        let wide = Expression::compile("event['a']['b']", ROOTS).unwrap();
        let inputs = Inputs::new().with("event", &v);
        prop_assert_eq!(narrow.eval(&inputs).ok(), wide.eval(&inputs).ok());
    }

    #[test]
    fn no_source_panics(source in "[a-z0-9.\\[\\](){}'\"+*/!&|?:, $]{0,60}") {
        let event = event();
        if let Ok(t) = Template::compile(&source, ROOTS) {
            let _ = t.eval(&Inputs::new().with("event", &event));
        }
    }
}
