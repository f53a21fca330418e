//! What can be known of a proposal before any event comes.

use serde_json::Value;
use tollgate_core::spec::{Effect, ToolSpec};
use tollgate_expr::Template;

use crate::compile::Bench;

/// What changes with every delivery or replay: a key made of it would never meet its duplicate.
const FLEETING: &[&str] = &["event.id", "event.time", "event.received_at", "event.correlation_id", "event.traceparent"];

/// The tool that a name means, capabilities included.
pub(crate) fn tool<'a>(bench: &mut Bench<'a>, place: &str, name: &str) -> Option<&'a ToolSpec> {
    let found = bench.tools.get(name).or_else(|| bench.bindings.get(name).and_then(|t| bench.tools.get(t)));
    if found.is_none() {
        let names = bench.tools.keys().chain(bench.bindings.keys());
        let help = nearest(name, names).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
        bench.fault(format!("{place}.tool"), format!("there is no tool or bound capability `{name}`{help}"));
    }
    found
}

/// Writes need both keys, and an idempotency key must survive a replay.
pub(crate) fn keys(bench: &mut Bench<'_>, place: &str, tool: &ToolSpec, entity: Option<&Template>, key: Option<&Template>) {
    if tool.effect == Effect::Write {
        if entity.is_none() {
            bench.fault(format!("{place}.entity_key"), format!("`{}` writes: say which entity it changes with `entity_key`", tool.name));
        }
        if key.is_none() {
            bench.fault(format!("{place}.idempotency_key"), format!("`{}` writes: name the operation with `idempotency_key`", tool.name));
        }
    }
    let Some(key) = key else { return };
    let place = format!("{place}.idempotency_key");
    if let Some(path) = key.references().iter().find(|r| FLEETING.iter().any(|f| *r == f) || *r == "event") {
        bench.fault(
            &place,
            format!(
                "`{path}` differs when the same fact is delivered again, so the key would not recognise it: use fields of `event.payload`"
            ),
        );
    }
    if key.is_constant() && !entity.is_some_and(Template::is_constant) {
        bench.fault(&place, "a constant key takes effect once for ever, whatever the entity: put what makes the operation into it");
    }
}

/// Literal argument names against the tool's input schema.
pub(crate) fn args(bench: &mut Bench<'_>, place: &str, tool: &ToolSpec, args: &Value) {
    let Value::Object(given) = args else {
        bench.fault(format!("{place}.args"), "arguments are a map");
        return;
    };
    let properties = tool.input.get("properties").and_then(Value::as_object);
    let closed = tool.input.get("additionalProperties") == Some(&Value::Bool(false));
    if let (Some(properties), true) = (properties, closed) {
        for name in given.keys().filter(|n| !properties.contains_key(*n)) {
            let help = nearest(name, properties.keys()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
            bench.fault(format!("{place}.args/{name}"), format!("`{}` takes no argument `{name}`{help}", tool.name));
        }
    }
    let required = tool.input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|n| !given.contains_key(*n)) {
        bench.fault(format!("{place}.args"), format!("`{}` needs the argument `{name}`", tool.name));
    }
}

/// The name that differs least, if any is close.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    names.map(|n| (distance(name, n), n.as_str())).filter(|(d, _)| *d <= limit).min().map(|(_, n)| n)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut last = i;
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            next.push((last + usize::from(ca != *cb)).min(above + 1).min(left + 1));
            last = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
