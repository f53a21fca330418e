//! The recorded request, `{principal, action, resource, context}`, and Cedar's request made from it. Deciding and
//! recomputing both go through here, so that they cannot come apart. Must not know policies.

use std::str::FromStr;

use cedar_policy::{Context, EntityUid, Request, RestrictedExpression, Schema};
use serde_json::{Map, Value};
use tollgate_core::canon::INTEGER_MAX;

use crate::limits;
use crate::names::Types;

/// Longest text of a principal, action or resource, in bytes: far beyond what any key may be.
const UID_BYTES: usize = 8 << 10;

/// Cedar's request from its parts. The schema is asked only where the request's origin is not our own walk.
pub(crate) fn build(
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    context: &Value,
    schema: Option<&Schema>,
) -> Result<Request, String> {
    let Value::Object(map) = context else { return Err("the context is not an object".to_owned()) };
    let pairs = map.iter().map(|(name, value)| Ok((name.clone(), expression(value).map_err(|e| format!("`context.{name}` {e}"))?)));
    let pairs: Vec<_> = pairs.collect::<Result<_, String>>()?;
    let context = Context::from_pairs(pairs).map_err(|e| format!("the context is not usable: {e}"))?;
    Request::new(principal, action, resource, context, schema).map_err(|e| format!("the request does not fit the schema: {e}"))
}

/// One value of the context. Bounded in depth by [`limits::check`], which every caller has passed.
fn expression(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Bool(b) => Ok(RestrictedExpression::new_bool(*b)),
        Value::String(s) => Ok(RestrictedExpression::new_string(s.clone())),
        Value::Number(n) => match n.as_i64() {
            Some(i) if i.unsigned_abs() <= INTEGER_MAX => Ok(RestrictedExpression::new_long(i)),
            _ => Err(format!("holds the number {n}, which is no integer within 2^53")),
        },
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(expression).collect::<Result<_, _>>()?;
            Ok(RestrictedExpression::new_set(items))
        }
        Value::Object(map) => object(map),
        Value::Null => Err("holds a null".to_owned()),
    }
}

fn object(map: &Map<String, Value>) -> Result<RestrictedExpression, String> {
    if let Some(call) = map.get("__extn") {
        let arg = call.get("arg").and_then(Value::as_str).filter(|arg| is_decimal(arg));
        let known = map.len() == 1 && call.as_object().is_some_and(|c| c.len() == 2) && call.get("fn") == Some(&Value::from("decimal"));
        return match (known, arg) {
            (true, Some(arg)) => Ok(RestrictedExpression::new_decimal(arg)),
            _ => Err("holds an `__extn` that is not a decimal with 4 places".to_owned()),
        };
    }
    let pairs = map.iter().map(|(name, value)| Ok((name.clone(), expression(value)?)));
    let pairs: Vec<_> = pairs.collect::<Result<_, String>>()?;
    RestrictedExpression::new_record(pairs).map_err(|e| format!("is not a record: {e}"))
}

/// Exactly the form that the walk writes.
fn is_decimal(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    text.strip_prefix('-')
        .unwrap_or(text)
        .split_once('.')
        .is_some_and(|(whole, places)| whole.len() <= 15 && digits(whole) && places.len() == 4 && digits(places))
}

/// A request as recorded, read back.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) context: &'a Value,
    /// Why the arguments could not be shown to policies, when they could not.
    pub(crate) unfit: Option<&'a str>,
}

/// Reads one; the message names the member that is wrong.
pub(crate) fn read<'a>(request: &'a Value, types: &Types) -> Result<Recorded<'a>, String> {
    limits::check(request, "the request", limits::REQUEST_NODES, limits::REQUEST_BYTES)?;
    let map = request.as_object().ok_or("the request is not an object")?;
    if let Some(odd) = map.keys().find(|k| !["principal", "action", "resource", "context", "unfit"].contains(&k.as_str())) {
        return Err(format!("the request has an unknown member `{}`", clip(odd)));
    }
    let principal = uid(map, "principal")?;
    let action = uid(map, "action")?;
    let resource = uid(map, "resource")?;
    let known = types.is_principal(&principal) && action == types.action(action.id().unescaped()) && types.is_entity(&resource);
    if !known {
        return Err("the request names a principal, action or resource of an unknown type".to_owned());
    }
    let context = map.get("context").ok_or("the request has no `context`")?;
    let unfit = match map.get("unfit") {
        None => None,
        Some(Value::String(why)) => Some(why.as_str()),
        Some(_) => return Err("`unfit` of the request is not a text".to_owned()),
    };
    Ok(Recorded { principal, action, resource, context, unfit })
}

fn uid(map: &Map<String, Value>, name: &str) -> Result<EntityUid, String> {
    let text = map.get(name).and_then(Value::as_str).ok_or_else(|| format!("the request has no `{name}`"))?;
    if text.len() > UID_BYTES {
        return Err(format!("`{name}` of the request is longer than {UID_BYTES} bytes"));
    }
    EntityUid::from_str(text).map_err(|_| format!("`{name}` of the request is not an entity: `{}`", clip(text)))
}

/// The beginning of a stranger's text, safe to print.
pub(crate) fn clip(text: &str) -> String {
    let safe = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut clipped: String = text.chars().take(160).map(safe).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_walk_writes_is_read_back() {
        for bad in [
            json!(null),
            json!(1.5),
            json!(u64::MAX),
            json!((1_i64 << 53) + 1),
            json!([null]),
            json!({"__extn": {"fn": "ip", "arg": "127.0.0.1"}}),
            json!({"__extn": {"fn": "decimal", "arg": "1.5"}}),
            json!({"__extn": {"fn": "decimal", "arg": "1.5000"}, "x": 1}),
            json!({"__extn": {"fn": "decimal", "arg": "1.5000", "x": 1}}),
            json!({"__extn": {"fn": "decimal", "arg": "--1.5000"}}),
            json!({"__extn": 1}),
        ] {
            assert!(expression(&bad).is_err(), "{bad}");
        }
        assert!(expression(&json!({"a": [1, "x", true], "d": {"__extn": {"fn": "decimal", "arg": "-1.5000"}}})).is_ok());
    }
}
