//! A ledger entry for a person: what it states, and the values behind its commitments.

use serde_json::Value;

use crate::context::Context;
use crate::output::{text, time};

/// What people ask first.
const FIRST: [&str; 3] = ["disposition", "reason", "verdict"];

/// Prints it.
pub fn show(cx: &Context, v: &Value) {
    let body = &v["leaf"]["body"];
    let line = |name: &str, value: &str| cx.out.line(format!("  {name:<16} {}", value.replace('\n', "\n                   ")));
    cx.out.line(format!("{}  {}", cx.out.paint(1, &text(v, "/id")), text(v, "/kind")));
    line("time", &time(v, "/at"));
    let place = v["position"].as_u64().map_or("not in a checkpoint yet".to_owned(), |n| n.to_string());
    line("position", &place);
    line("leaf hash", &text(v, "/leaf_hash"));
    let rest = |name: &String| !FIRST.contains(&name.as_str()) && !["of", "decision", "committed"].contains(&name.as_str());
    for name in FIRST.iter().map(|n| (*n).to_owned()).chain(body.as_object().into_iter().flat_map(|b| b.keys().cloned()).filter(rest)) {
        match &body[&name] {
            Value::Null => {}
            Value::Object(refs) if refs.is_empty() => {}
            Value::Object(_) if name == "refs" => line("follows", &joined(&body["refs"])),
            value => line(&name.replace('_', " "), &plain(value)),
        }
    }
    if body["decision"].is_object() {
        line("policy said", &decided(&body["decision"]));
    }
    for (name, value) in body["of"].as_object().into_iter().flatten().filter(|(name, _)| *name != "tool_digest") {
        line(name, &plain(value));
    }
    for (name, hash) in body["committed"].as_object().into_iter().flatten() {
        let opened = &v["opened"][hash.as_str().unwrap_or_default()]["value"];
        let value = match (&opened["text"], &opened["json"]) {
            (Value::String(t), _) => t.clone(),
            (_, Value::Null) if opened.is_null() => "(erased or sealed)".to_owned(),
            (_, json) => serde_json::to_string_pretty(json).unwrap_or_default(),
        };
        line(&name.replace('_', " "), &value);
    }
}

/// A decision in a line: the verdict, why, and the policies that determined it.
fn decided(decision: &Value) -> String {
    let by = match decision["determining"].as_array() {
        Some(all) if !all.is_empty() => format!(", by {}", plain(&decision["determining"])),
        _ => String::new(),
    };
    format!("{} ({}){by}", text(decision, "/verdict"), text(decision, "/reason"))
}

fn joined(refs: &Value) -> String {
    let each = refs.as_object().into_iter().flatten().map(|(name, id)| format!("{name} {}", plain(id)));
    each.collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
