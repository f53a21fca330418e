//! Payloads are read once without building anything: nesting, text and numbers must survive every reader after us.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tollgate_core::canon::{DEPTH_MAX, INTEGER_MAX, too_deep};

use crate::error::ApiError;

use super::json_fault;

/// From here on every double is whole, and neighbours collide: what was meant cannot be told.
const DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Checks a payload; `line` is its line in a batch.
///
/// # Errors
/// `invalid_parameter` with the JSON pointer of a number beyond 2^53, or what is wrong with its text.
pub(crate) fn check_payload(payload: &RawValue, field: &str, line: Option<usize>) -> Result<(), ApiError> {
    match serde_json::from_str::<Sound>(payload.get()) {
        Ok(_) => Ok(()),
        Err(e) => {
            let at = line.map_or(String::new(), |n| format!("line {n}: "));
            // Only now is the value built, to say where.
            let value = serde_json::from_str::<Value>(payload.get()).ok();
            if value.as_ref().is_some_and(too_deep) {
                return Err(nested(&at, field));
            }
            match value.and_then(|v| locate(&v, &mut String::new())) {
                Some((pointer, number)) => Err(beyond(&at, field, &pointer, &number)),
                None => {
                    let fault = json_fault(&e, None);
                    Err(ApiError { message: format!("{at}`{field}`: {}", fault.message), ..fault })
                }
            }
        }
    }
}

/// Checks a value that was built already, as [`check_payload`] does.
///
/// # Errors
/// `invalid_parameter` with the JSON pointer of a number beyond 2^53.
pub(crate) fn check_value(value: &Value, field: &str) -> Result<(), ApiError> {
    if too_deep(value) {
        return Err(nested("", field));
    }
    match locate(value, &mut String::new()) {
        Some((pointer, number)) => Err(beyond("", field, &pointer, &number)),
        None => Ok(()),
    }
}

fn nested(at: &str, field: &str) -> ApiError {
    ApiError::invalid(format!(
        "{at}`{field}`: lists and objects stand more than {DEPTH_MAX} deep in each other: send it flatter, or the inner part as text"
    ))
}

fn beyond(at: &str, field: &str, pointer: &str, number: &str) -> ApiError {
    ApiError::invalid(format!(
        "{at}the number {number} at `/{field}{pointer}` is beyond 2^53 and would change silently: send it as a string"
    ))
}

fn locate(value: &Value, path: &mut String) -> Option<(String, String)> {
    let mut below = |key: &str, v: &Value| {
        let len = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let found = locate(v, path);
        path.truncate(len);
        found
    };
    match value {
        Value::Number(n) => {
            let fine = match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => i.unsigned_abs() <= INTEGER_MAX,
                (None, Some(u)) => u <= INTEGER_MAX,
                (None, None) => n.as_f64().is_some_and(|f| f.abs() < DOUBLE_MAX),
            };
            if fine { None } else { Some((path.clone(), n.to_string())) }
        }
        Value::Array(items) => items.iter().enumerate().find_map(|(i, v)| below(&i.to_string(), v)),
        Value::Object(map) => map.iter().find_map(|(k, v)| below(k, v)),
        _ => None,
    }
}

/// A value that has been looked at and not kept.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Look(0).deserialize(d)
    }
}

/// A look at one value, with the number of lists and objects that it stands in.
struct Look(usize);

impl Look {
    fn inside<E: serde::de::Error>(self) -> Result<usize, E> {
        if self.0 < DEPTH_MAX { Ok(self.0 + 1) } else { Err(E::custom("the nesting is too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Sound;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Sound, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Sound, E> {
        if n.unsigned_abs() <= INTEGER_MAX { Ok(Sound) } else { Err(E::custom("a number is beyond 2^53")) }
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Sound, E> {
        if n <= INTEGER_MAX { Ok(Sound) } else { Err(E::custom("a number is beyond 2^53")) }
    }

    fn visit_f64<E: serde::de::Error>(self, f: f64) -> Result<Sound, E> {
        if f.abs() < DOUBLE_MAX { Ok(Sound) } else { Err(E::custom("a number is beyond 2^53")) }
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        let inside = self.inside()?;
        while seq.next_element_seed(Look(inside))?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        let inside = self.inside()?;
        while let Some(key) = map.next_key::<Sound>()? {
            let Sound = key;
            map.next_value_seed(Look(inside))?;
        }
        Ok(Sound)
    }
}
