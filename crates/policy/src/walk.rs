//! Meets a call's JSON with the shape of its tool: what maps goes on, nulls and unmapped fields stay behind, and a value
//! that does not fit its type exactly is refused, never rounded. Must not know Cedar's types or policies.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};
use tollgate_core::canon::INTEGER_MAX;

use crate::shape::{Field, Shape};

/// Why arguments cannot be shown to policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Steps from the inside out: built only when something is wrong.
    steps: Vec<String>,
    why: String,
}

impl Unfit {
    fn new(why: impl Into<String>) -> Self {
        Self { steps: Vec::new(), why: why.into() }
    }

    fn below(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    /// The path and the reason, for people and for the recorded request.
    pub(crate) fn message(&self) -> String {
        let path: String = self.steps.iter().rev().map(String::as_str).collect();
        format!("`args{path}` {}", self.why)
    }
}

/// The arguments as policies see them.
pub(crate) fn args(fields: &BTreeMap<String, Field>, args: &Value) -> Result<Value, Unfit> {
    // A tool without arguments may be called with none at all.
    if args.is_null() { record(fields, &Map::new()) } else { record(fields, object(args)?) }
}

fn object(value: &Value) -> Result<&Map<String, Value>, Unfit> {
    value.as_object().ok_or_else(|| Unfit::new(format!("is {}, not an object", kind(value))))
}

fn record(fields: &BTreeMap<String, Field>, map: &Map<String, Value>) -> Result<Value, Unfit> {
    let mut out = Map::new();
    for (name, field) in fields {
        match map.get(name) {
            None | Some(Value::Null) if field.optional => {}
            None => return Err(Unfit::new("is missing").below(format!(".{name}"))),
            Some(value) => {
                out.insert(name.clone(), fit(&field.shape, value).map_err(|e| e.below(format!(".{name}")))?);
            }
        }
    }
    Ok(Value::Object(out))
}

fn fit(shape: &Shape, value: &Value) -> Result<Value, Unfit> {
    match (shape, value) {
        (Shape::Bool, Value::Bool(_)) | (Shape::Text, Value::String(_)) => Ok(value.clone()),
        (Shape::Long, Value::Number(n)) => integer(n).map(Value::from),
        (Shape::Decimal, Value::Number(n)) => decimal(n).map(|text| json!({"__extn": {"fn": "decimal", "arg": text}})),
        (Shape::Set(inner), Value::Array(items)) => {
            let kept = items.iter().enumerate().filter(|(_, item)| !item.is_null());
            kept.map(|(i, item)| fit(inner, item).map_err(|e| e.below(format!("[{i}]")))).collect()
        }
        (Shape::Record(fields), _) => record(fields, object(value)?),
        (Shape::Bool, _) => Err(unlike(value, "a boolean")),
        (Shape::Text, _) => Err(unlike(value, "a string")),
        (Shape::Long, _) => Err(unlike(value, "an integer")),
        (Shape::Decimal, _) => Err(unlike(value, "a number")),
        (Shape::Set(_), _) => Err(unlike(value, "an array")),
    }
}

fn unlike(value: &Value, want: &str) -> Unfit {
    Unfit::new(format!("is {}, not {want}", kind(value)))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// An integer that canonical JSON can carry. Cedar's own range is wider, but the request must hash.
pub(crate) fn integer(n: &Number) -> Result<i64, Unfit> {
    let beyond = || Unfit::new(format!("is {n}, an integer beyond 2^53 that policies cannot see: send it as a string"));
    if let Some(i) = n.as_i64() {
        return if i.unsigned_abs() <= INTEGER_MAX { Ok(i) } else { Err(beyond()) };
    }
    if n.is_u64() {
        return Err(beyond());
    }
    // JSON Schema counts 5.0 as an integer, and it is one exactly.
    let text = n.as_f64().map(|f| f.to_string()).unwrap_or_default();
    match text.parse::<i128>() {
        Ok(i) => i64::try_from(i).ok().filter(|i| i.unsigned_abs() <= INTEGER_MAX).ok_or_else(beyond),
        Err(_) if text.contains('.') => Err(Unfit::new(format!("is {n}, not an integer"))),
        Err(_) => Err(beyond()),
    }
}

/// Cedar's decimal: four places, exactly, or nothing.
pub(crate) fn decimal(n: &Number) -> Result<String, Unfit> {
    let beyond = || Unfit::new(format!("is {n}, beyond what a decimal holds (±922337203685477.5807)"));
    // The shortest digits that read back are what a connector sends too.
    let text = match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(i), ..) => i.to_string(),
        (_, Some(u), _) => u.to_string(),
        (_, _, Some(f)) => f.to_string(),
        _ => return Err(beyond()),
    };
    let (sign, digits) = text.strip_prefix('-').map_or((1_i128, text.as_str()), |rest| (-1, rest));
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    if places.len() > 4 {
        return Err(Unfit::new(format!("is {n}, which has more than the 4 decimal places that policies can compare")));
    }
    let whole: i128 = whole.parse().map_err(|_| beyond())?;
    let fraction: i128 = format!("{places:0<4}").parse().map_err(|_| beyond())?;
    let scaled = whole.checked_mul(10_000).and_then(|w| w.checked_add(fraction)).ok_or_else(beyond)? * sign;
    let scaled = i64::try_from(scaled).map_err(|_| beyond())?;
    let minus = if scaled < 0 { "-" } else { "" };
    let size = scaled.unsigned_abs();
    Ok(format!("{minus}{}.{:04}", size / 10_000, size % 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::of_input;

    fn seen(schema: &Value, value: &Value) -> Result<Value, String> {
        args(&of_input(schema).0, value).map_err(|e| e.message())
    }

    fn one(kind: &str, value: Value) -> Result<Value, String> {
        let schema = json!({"type": "object", "required": ["x"], "properties": {"x": {"type": kind}}});
        seen(&schema, &json!({"x": value})).map(|v| v["x"].clone())
    }

    #[test]
    fn decimals_fit_exactly_or_not_at_all() {
        for (value, text) in [
            (json!(129.95), "129.9500"),
            (json!(5), "5.0000"),
            (json!(-0.0), "0.0000"),
            (json!(-0.5), "-0.5000"),
            (json!(0.0001), "0.0001"),
            (json!(-12.3456), "-12.3456"),
            (json!(922_337_203_685_477_i64), "922337203685477.0000"),
        ] {
            assert_eq!(one("number", value).unwrap(), json!({"__extn": {"fn": "decimal", "arg": text}}));
        }
        for value in [json!(0.00001), json!(1e-300), json!(1.23456)] {
            assert!(one("number", value).unwrap_err().contains("more than the 4 decimal places"));
        }
        for value in [json!(922_337_203_685_478_i64), json!(1e20), json!(-1e300), json!(u64::MAX)] {
            assert!(one("number", value).unwrap_err().contains("beyond what a decimal holds"));
        }
    }

    #[test]
    fn integers_fit_exactly_or_not_at_all() {
        for (value, want) in
            [(json!(5.0), 5), (json!(-3), -3), (json!(1_i64 << 53), 1_i64 << 53), (json!(9_007_199_254_740_992.0), 1 << 53)]
        {
            assert_eq!(one("integer", value).unwrap(), json!(want));
        }
        for value in [json!((1_i64 << 53) + 1), json!(i64::MIN), json!(u64::MAX), json!(1e18), json!(1e300)] {
            assert!(one("integer", value).unwrap_err().ends_with("send it as a string"));
        }
        assert_eq!(one("integer", json!(1.5)).unwrap_err(), "`args.x` is 1.5, not an integer");
    }

    #[test]
    fn nulls_are_absent_and_unmapped_fields_stay_behind() {
        let schema = json!({"type": "object", "required": ["n", "set"], "properties": {
            "n": {"type": ["string", "null"]}, "o": {"type": "integer"}, "free": {"type": "object"},
            "set": {"type": "array", "items": {"type": ["integer", "null"]}}}});
        let got = seen(&schema, &json!({"n": null, "o": null, "free": {"a": 1}, "set": [1, null, 2], "extra": 1}));
        assert_eq!(got.unwrap(), json!({"set": [1, 2]}));
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let schema = json!({"type": "object", "required": ["lines"], "properties": {"lines": {"type": "array", "items":
            {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}}}});
        let said = |v: Value| seen(&schema, &v).unwrap_err();
        assert_eq!(said(json!({"lines": [{"sku": "a"}, {"sku": 1}]})), "`args.lines[1].sku` is a number, not a string");
        assert_eq!(said(json!({"lines": [{}]})), "`args.lines[0].sku` is missing");
        assert_eq!(said(json!({"lines": null})), "`args.lines` is null, not an array");
        assert_eq!(said(json!({})), "`args.lines` is missing");
        assert_eq!(said(json!([])), "`args` is an array, not an object");
        assert_eq!(said(json!(null)), "`args.lines` is missing");
    }
}
