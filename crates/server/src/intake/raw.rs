//! One pass over the bytes of an envelope, ours or CloudEvents: the fields as they came, unjudged.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ApiError, Code};
use crate::words::reworded;

/// The fields of an envelope as they came.
#[derive(Default, Debug)]
pub(crate) struct RawEnvelope {
    pub source: Option<String>,
    pub event_type: Option<String>,
    pub payload: Option<Box<RawValue>>,
    pub subject: Option<String>,
    pub time: Option<String>,
    pub correlation_id: Option<String>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    pub traceparent: Option<String>,
    pub idempotency_key: Option<String>,
    pub specversion: Option<String>,
    pub id: Option<String>,
    pub cloud_type: Option<String>,
    pub data: Option<Box<RawValue>>,
    pub data_base64: bool,
    pub content_type: Option<String>,
    /// Names of fields that neither form has.
    pub unknown: Vec<String>,
}

/// What is wrong with JSON text. `line` is the line of a batch, from 1.
pub(crate) fn json_fault(e: &serde_json::Error, line: Option<usize>) -> ApiError {
    let text = e.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    // Readers that fail at the first byte count none.
    let column = e.column().max(1);
    let at = match line {
        Some(n) => format!("line {n}, column {column}"),
        None => format!("line {}, column {column}", e.line()),
    };
    if e.is_data() {
        ApiError::invalid(format!("{} ({at})", reworded(what, None)))
    } else if e.is_eof() && e.line() == 1 && e.column() == 0 {
        ApiError::new(Code::InvalidJson, "the body is empty: send a JSON object")
    } else {
        ApiError::new(Code::InvalidJson, format!("the body is not well-formed JSON: {what} ({at})"))
    }
}

impl<'de> Deserialize<'de> for RawEnvelope {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = RawEnvelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `source`, `event_type` and `payload`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEnvelope, A::Error> {
        let mut out = RawEnvelope::default();
        while let Some(Name(name)) = map.next_key()? {
            match name.as_ref() {
                "source" => text(&mut map, "source", &mut out.source)?,
                "event_type" => text(&mut map, "event_type", &mut out.event_type)?,
                "payload" => raw(&mut map, "payload", &mut out.payload)?,
                "subject" => text(&mut map, "subject", &mut out.subject)?,
                "time" => text(&mut map, "time", &mut out.time)?,
                "correlation_id" => text(&mut map, "correlation_id", &mut out.correlation_id)?,
                "agent_id" => text(&mut map, "agent_id", &mut out.agent_id)?,
                "session_id" => text(&mut map, "session_id", &mut out.session_id)?,
                "traceparent" => text(&mut map, "traceparent", &mut out.traceparent)?,
                "idempotency_key" => text(&mut map, "idempotency_key", &mut out.idempotency_key)?,
                "specversion" => text(&mut map, "specversion", &mut out.specversion)?,
                "id" => text(&mut map, "id", &mut out.id)?,
                "type" => text(&mut map, "type", &mut out.cloud_type)?,
                "data" => raw(&mut map, "data", &mut out.data)?,
                "datacontenttype" => text(&mut map, "datacontenttype", &mut out.content_type)?,
                "data_base64" => {
                    out.data_base64 = true;
                    map.next_value::<IgnoredAny>()?;
                }
                other => {
                    out.unknown.push(other.to_owned());
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(out)
    }
}

fn raw<'de, A: MapAccess<'de>>(map: &mut A, name: &str, slot: &mut Option<Box<RawValue>>) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

fn text<'de, A: MapAccess<'de>>(map: &mut A, name: &'static str, slot: &mut Option<String>) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
    }
    *slot = map.next_value_seed(Text(name))?;
    Ok(())
}

/// A field's name; borrowed unless it holds escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(s)))
            }
            fn visit_str<E>(self, s: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(s.to_owned())))
            }
        }
        d.deserialize_str(V)
    }
}

/// Text or null, for the field of this name.
struct Text(&'static str);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Option<String>, D::Error> {
        d.deserialize_any(self)
    }
}

impl Visitor<'_> for Text {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string for `{}`", self.0)
    }

    fn visit_str<E>(self, s: &str) -> Result<Option<String>, E> {
        Ok(Some(s.to_owned()))
    }

    fn visit_string<E>(self, s: String) -> Result<Option<String>, E> {
        Ok(Some(s))
    }

    fn visit_unit<E>(self) -> Result<Option<String>, E> {
        Ok(None)
    }
}
