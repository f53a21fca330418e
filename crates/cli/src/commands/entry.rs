//! A ledger entry for a person: what it states, and the values behind its commitments.

use serde_json::Value;

use crate::context::Context;
use crate::output::{text, time};

/// Prints it.
pub fn show(cx: &Context, v: &Value) {
    let body = &v["leaf"]["body"];
    let line = |name: &str, value: &str| cx.out.line(format!("  {name:<16} {}", value.replace('\n', "\n                   ")));
    cx.out.line(format!("{}  {}", cx.out.paint(1, &text(v, "/id")), text(v, "/kind")));
    line("time", &time(v, "/at"));
    let place = v["position"].as_u64().map_or("not in a checkpoint yet".to_owned(), |n| n.to_string());
    line("position", &place);
    line("leaf hash", &text(v, "/leaf_hash"));
    for (name, value) in body.as_object().into_iter().flatten() {
        match name.as_str() {
            "of" | "decision" => parts(&line, value),
            "committed" => {}
            "refs" => line("follows", &joined(value)),
            _ => line(&name.replace('_', " "), &plain(value)),
        }
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

/// What an entry says of its action or of its decision; digests are for machines.
fn parts(line: &dyn Fn(&str, &str), of: &Value) {
    for (name, value) in of.as_object().into_iter().flatten() {
        match name.as_str() {
            "tool_digest" | "determining_text" | "policy_version" | "request" => {}
            "determining" => line("by policy", &plain(value)),
            "reason" => line("decided", &plain(value)),
            _ => line(&name.replace('_', " "), &plain(value)),
        }
    }
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
