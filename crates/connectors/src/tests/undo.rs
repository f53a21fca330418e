//! What takes a write's effect back: its tool, and its arguments from the write's own and its output.

use serde_json::{Value, json};
use tollgate_core::ports::ToolCaller as _;
use tollgate_core::spec::{Effect, ToolSpec, UndoSpec};

use super::support::*;

fn write(name: &str, undo: Option<(&str, Option<Value>)>) -> ToolSpec {
    let mut tool = tool(name, Effect::Write, json!({"method": "POST", "url": "${config.base}/x"}));
    tool.undo = undo.map(|(tool, args)| UndoSpec { tool: tool.into(), args });
    tool
}

fn hold(undo: &str, args: Option<Value>) -> Vec<ToolSpec> {
    let read = tool("state", Effect::Read, json!({"method": "GET", "url": "${config.base}/x"}));
    vec![write("hold", Some((undo, args))), write("release", None), write("loop", Some(("release", None))), read]
}

#[test]
fn arguments_come_from_the_writes_arguments_and_its_output() {
    let args = json!({"hold": "${output.id}", "why": "cancelled: ${args.order}"});
    let tools = compile(connector("https://x.example"), hold("shop.release", Some(args))).unwrap();
    assert_eq!((tools.undo_tool("shop.hold"), tools.undo_tool("shop.release")), (Some("shop.release"), None));
    let undo = tools.undo_args("shop.hold", &json!({"order": "o1"}), &json!({"id": 7})).unwrap();
    assert_eq!(undo, json!({"hold": 7, "why": "cancelled: o1"}));
    // Nobody has seen an output: a person said that it happened.
    let none = tools.undo_args("shop.hold", &json!({"order": "o1"}), &Value::Null).unwrap_err();
    assert_eq!(none.place, "undo.args/hold");
    assert!(tools.undo_args("shop.release", &json!({}), &Value::Null).is_err());

    let tools = compile(connector("https://x.example"), hold("release", None)).unwrap();
    assert_eq!(tools.undo_args("shop.hold", &json!({"order": "o1"}), &json!({"id": 7})).unwrap(), json!({"order": "o1"}));
}

#[test]
fn faults_have_their_places() {
    for (undo, args, place) in [
        ("nope", None, "undo.tool"),
        ("state", None, "undo.tool"),
        ("hold", None, "undo.tool"),
        ("loop", None, "undo.tool"),
        ("release", Some(json!({"hold": "${config.base}"})), "undo.args/hold"),
    ] {
        let faults = compile(connector("https://x.example"), hold(undo, args)).unwrap_err();
        assert_eq!((faults.len(), faults[0].place.as_str()), (1, place), "{faults:?}");
    }
}
