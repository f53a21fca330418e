//! The bounds within which policies and requests are taken at all. The same ones hold when a bundle is compiled and
//! when a stranger's export is recomputed, so that what compiled here can be recomputed everywhere.
//! Must not know Cedar.

use serde_json::Value;

/// Most policy files in one set.
pub(crate) const FILES: usize = 2_000;
/// Most bytes of policy text in one set.
pub(crate) const TEXT_BYTES: usize = 4 << 20;
/// Most policies in one set.
pub(crate) const POLICIES: usize = 20_000;
/// Deepest nesting of brackets in one policy.
pub(crate) const NESTING: usize = 32;
/// Most operators in one policy. They nest without brackets (`a && b && c`), and the evaluator gives up by the stack
/// that happens to be left: bounded here, its answer is a function of its input on every thread.
pub(crate) const OPERATORS: usize = 200;
/// Deepest nesting of a request or a schema, as JSON.
pub(crate) const JSON_DEPTH: usize = 64;
/// Most values in a request.
pub(crate) const REQUEST_NODES: usize = 50_000;
/// Most bytes of text in a request.
pub(crate) const REQUEST_BYTES: usize = 4 << 20;
/// Most values in a schema.
pub(crate) const SCHEMA_NODES: usize = 2_000_000;
/// Most bytes of text in a schema.
pub(crate) const SCHEMA_BYTES: usize = 64 << 20;
/// Deepest objects and arrays of a tool's input that policies see.
pub(crate) const SHAPE_DEPTH: usize = 16;

/// Checks a value's depth, its number of values and its bytes of text, without recursion.
pub(crate) fn check(value: &Value, what: &str, max_nodes: usize, max_bytes: usize) -> Result<(), String> {
    let mut todo = vec![(value, 0_usize)];
    let (mut nodes, mut bytes) = (0_usize, 0_usize);
    while let Some((value, depth)) = todo.pop() {
        nodes += 1;
        if depth > JSON_DEPTH {
            return Err(format!("{what} is nested deeper than {JSON_DEPTH} levels"));
        }
        match value {
            Value::String(s) => bytes = bytes.saturating_add(s.len()),
            Value::Array(items) => todo.extend(items.iter().map(|v| (v, depth + 1))),
            Value::Object(map) => {
                bytes = map.keys().fold(bytes, |sum, k| sum.saturating_add(k.len()));
                todo.extend(map.values().map(|v| (v, depth + 1)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if nodes > max_nodes || todo.len() > max_nodes {
            return Err(format!("{what} holds more than {max_nodes} values"));
        }
        if bytes > max_bytes {
            return Err(format!("{what} holds more than {max_bytes} bytes of text"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn depth_count_and_bytes_are_bounded() {
        assert!(check(&json!({"a": [1, "x"]}), "it", 4, 2).is_ok());
        assert_eq!(check(&json!([1, 2, 3]), "it", 3, 9).unwrap_err(), "it holds more than 3 values");
        assert_eq!(check(&json!({"ab": "cd"}), "it", 9, 3).unwrap_err(), "it holds more than 3 bytes of text");
        let deep = (0..100).fold(json!(1), |v, _| json!([v]));
        assert_eq!(check(&deep, "it", 999, 9).unwrap_err(), "it is nested deeper than 64 levels");
    }
}
