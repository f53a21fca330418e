//! Canonical JSON (RFC 8785): one text for one value, so that hashes agree everywhere.

use serde_json::Value;

/// Integers beyond this travel as strings: RFC 8785 numbers are doubles, and two receipts must never share a hash.
pub const INTEGER_MAX: u64 = 1 << 53;

/// Lists and objects may stand this deep in each other in what comes from outside. Entries, exports and answers wrap it in a few
/// levels more, and readers of JSON commonly refuse more than 128.
pub const DEPTH_MAX: usize = 64;

/// Whether lists and objects stand deeper in each other than that. Needs no deep stack.
pub fn too_deep(value: &Value) -> bool {
    let mut todo = vec![(value, 0_usize)];
    while let Some((value, above)) = todo.pop() {
        let inner: &mut dyn Iterator<Item = &Value> = match value {
            Value::Array(items) => &mut items.iter(),
            Value::Object(map) => &mut map.values(),
            _ => continue,
        };
        if above >= DEPTH_MAX {
            return true;
        }
        todo.extend(inner.map(|v| (v, above + 1)));
    }
    false
}

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the number {number} at `{path}` is beyond 2^53 and would change silently: send it as a string")]
pub struct CanonError {
    /// JSON pointer to the number.
    pub path: String,
    /// The number as written.
    pub number: String,
}

/// The canonical bytes of a value.
///
/// # Errors
/// When an integer is beyond 2^53.
pub fn canonical(value: &Value) -> Result<Vec<u8>, CanonError> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out)
        .map_err(|()| locate(value, &mut String::new()).unwrap_or(CanonError { path: String::new(), number: String::new() }))?;
    Ok(out)
}

/// JSON text that depends on the value alone: canonical where there is a canonical form, else with sorted keys and numbers as they
/// are. What is sent again must be the same bytes, whatever order a map happened to keep.
pub fn stable_text(value: &Value) -> String {
    match canonical(value).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        _ => sorted(value).to_string(),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(map) => {
            let keys: std::collections::BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(keys.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        other => other.clone(),
    }
}

/// Whether these bytes are exactly the canonical form of the value they parse to.
pub fn is_canonical(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).ok().and_then(|v| canonical(&v).ok()).is_some_and(|c| c == bytes)
}

/// Finds the first number without a canonical form, with its JSON pointer.
fn locate(value: &Value, path: &mut String) -> Option<CanonError> {
    match value {
        Value::Number(n) if !fits(n) => Some(CanonError { path: path.clone(), number: n.to_string() }),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, v)| below(path, &i.to_string(), v)),
        Value::Object(map) => map.iter().find_map(|(k, v)| below(path, k, v)),
        _ => None,
    }
}

fn below(path: &mut String, key: &str, value: &Value) -> Option<CanonError> {
    let len = path.len();
    path.push('/');
    path.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let found = locate(value, path);
    path.truncate(len);
    found
}

fn fits(n: &serde_json::Number) -> bool {
    match (n.as_i64(), n.as_u64()) {
        (Some(i), _) => i.unsigned_abs() <= INTEGER_MAX,
        (None, Some(u)) => u <= INTEGER_MAX,
        (None, None) => n.as_f64().is_some_and(f64::is_finite),
    }
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), ()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(n) => number(n, out)?,
        Value::String(s) => string(s, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            // Byte order and UTF-16 order differ only beyond the basic plane against U+E000..U+FFFF.
            if entries.iter().all(|(k, _)| k.is_ascii()) {
                entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
            } else {
                entries.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            }
            out.push(b'{');
            for (i, (k, v)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(k, out);
                out.push(b':');
                write(v, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn number(n: &serde_json::Number, out: &mut Vec<u8>) -> Result<(), ()> {
    if !fits(n) {
        return Err(());
    }
    if n.is_i64() || n.is_u64() {
        out.extend_from_slice(n.to_string().as_bytes());
        return Ok(());
    }
    out.extend_from_slice(ecma_number(n.as_f64().ok_or(())?).as_bytes());
    Ok(())
}

/// A double as ECMAScript writes it, which is what RFC 8785 asks for.
fn ecma_number(f: f64) -> String {
    if f == 0.0 {
        return "0".to_owned();
    }
    // Rust's `{:e}` gives the shortest digits that read back; only the layout differs.
    let sci = format!("{:e}", f.abs());
    let (mantissa, exp) = sci.split_once('e').unwrap_or((&sci, "0"));
    let exp: i32 = exp.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exp + 1;
    let body = if count <= point && point <= 21 {
        format!("{digits}{}", "0".repeat(usize::try_from(point - count).unwrap_or(0)))
    } else if 0 < point && point <= 21 {
        let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{part}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0)))
    } else {
        let sign = if exp < 0 { '-' } else { '+' };
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{first}{dot}{rest}e{sign}{}", exp.abs())
    };
    if f < 0.0 { format!("-{body}") } else { body }
}

fn string(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = s.as_bytes();
    let mut start = 0;
    for (i, b) in bytes.iter().enumerate() {
        let escape: Option<&[u8]> = match b {
            b'"' => Some(b"\\\""),
            b'\\' => Some(b"\\\\"),
            0x08 => Some(b"\\b"),
            0x09 => Some(b"\\t"),
            0x0a => Some(b"\\n"),
            0x0c => Some(b"\\f"),
            0x0d => Some(b"\\r"),
            0..=0x1f => None,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(start..i).unwrap_or_default());
        match escape {
            Some(e) => out.extend_from_slice(e),
            None => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
        }
        start = i + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #[test]
    fn depth_is_counted_in_lists_and_objects() {
        let nested = |levels: usize| {
            (0..levels)
                .fold(serde_json::json!("leaf"), |v, i| if i % 2 == 0 { serde_json::json!([0, v]) } else { serde_json::json!({"k": v}) })
        };
        assert!(!super::too_deep(&nested(super::DEPTH_MAX)));
        assert!(super::too_deep(&nested(super::DEPTH_MAX + 1)));
    }

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(v: &Value) -> String {
        String::from_utf8(canonical(v).unwrap()).unwrap()
    }

    #[test]
    fn keys_sort_by_utf16_and_text_is_minimal() {
        let v = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(text(&v), "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}");
    }

    #[test]
    fn integers_beyond_two_to_53_are_refused_with_their_place() {
        let err = canonical(&json!({"a": [1, {"b/c": 9_007_199_254_740_993_u64}]})).unwrap_err();
        assert_eq!(err.path, "/a/1/b~1c");
        assert!(canonical(&json!(9_007_199_254_740_992_u64)).is_ok());
        assert!(canonical(&json!(-9_007_199_254_740_993_i64)).is_err());
    }

    #[test]
    fn only_canonical_bytes_are_canonical() {
        assert!(is_canonical(br#"{"a":1,"b":2}"#));
        for bad in [&br#"{"b":2,"a":1}"#[..], br#"{"a": 1}"#, br#"{"a":1.0}"#, br#"{"a":1,"a":1}"#, b"{"] {
            assert!(!is_canonical(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53)..=(1_i64 << 53)).prop_map(Value::from),
            any::<f64>().prop_filter("finite, and not an integer beyond 2^53", |f| f.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference_implementation(v in any_json()) {
            prop_assert_eq!(canonical(&v).unwrap(), serde_json_canonicalizer::to_vec(&v).unwrap());
        }
    }
}
