//! The judgement on an envelope: what is missing, misspelt, too long; and the event it makes.

use serde_json::value::RawValue;
use tollgate_core::event::{TEXT_MAX, check_event_type};
use tollgate_core::time::Timestamp;

use crate::error::ApiError;
use crate::extract::nearest;

use super::{RawEnvelope, cloud, numbers};

/// Longest idempotency key, in characters.
pub(crate) const ENVELOPE_KEY_MAX: usize = 255;

const FIELDS: &[&str] = &["source", "event_type", "payload", "subject", "time", "correlation_id", "agent_id", "session_id", "traceparent"];

/// An event that could be stored, without id and scope.
#[derive(Debug)]
pub(crate) struct Draft {
    pub source: String,
    pub event_type: String,
    pub payload: Box<RawValue>,
    pub subject: Option<String>,
    pub time: Option<Timestamp>,
    pub correlation_id: Option<String>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    pub traceparent: Option<String>,
    /// The key inside a line of a batch.
    pub key: Option<String>,
    /// `id` of a CloudEvent: with `source` it is the key when no other is given.
    pub cloud_id: Option<String>,
}

impl Draft {
    /// What both forms have in common, judged.
    pub(super) fn of(
        raw: RawEnvelope,
        source: String,
        event_type: String,
        payload: Box<RawValue>,
        cloud_id: Option<String>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            source,
            event_type,
            payload,
            subject: optional("subject", raw.subject)?,
            time: parse_time(raw.time.as_deref())?,
            correlation_id: optional("correlation_id", raw.correlation_id)?,
            agent_id: optional("agent_id", raw.agent_id)?,
            session_id: optional("session_id", raw.session_id)?,
            traceparent: optional("traceparent", raw.traceparent)?,
            key: raw.idempotency_key.map(|k| check_key(&k).map(|()| k)).transpose()?,
            cloud_id,
        })
    }
}

/// Judges an envelope. `line` is its line in a batch; only there may it hold its own idempotency key.
///
/// # Errors
/// `invalid_parameter` that names the field.
pub(crate) fn draft(raw: RawEnvelope, line: Option<usize>) -> Result<Draft, ApiError> {
    let placed = |e: ApiError| match line {
        Some(n) if !e.message.starts_with("line ") => ApiError { message: format!("line {n}: {}", e.message), ..e },
        _ => e,
    };
    if raw.specversion.is_some() {
        return cloud::draft(raw, line).map_err(placed);
    }
    native(raw, line).map_err(placed)
}

fn native(mut raw: RawEnvelope, line: Option<usize>) -> Result<Draft, ApiError> {
    let in_batch = line.is_some();
    let mut known = FIELDS.to_vec();
    if in_batch {
        known.push("idempotency_key");
    } else if raw.idempotency_key.is_some() {
        return Err(ApiError::invalid("`idempotency_key` in the body is for batches: send it as the header `Idempotency-Key`"));
    }
    misspelt(&raw.unknown, &known)?;
    for (given, right) in [(raw.cloud_type.is_some(), "event_type"), (raw.data.is_some() || raw.data_base64, "payload")] {
        if given && !(raw.event_type.is_some() && raw.payload.is_some()) {
            let wrong = if right == "payload" { "data" } else { "type" };
            return Err(ApiError::invalid(format!(
                "`{wrong}` is a field of CloudEvents, which also need `specversion`: did you mean `{right}`?"
            )));
        }
    }
    let missing = |name: &str| ApiError::invalid(format!("`{name}` is missing: an event has `source`, `event_type` and `payload`"));
    let source = raw.source.take().ok_or_else(|| missing("source"))?;
    let event_type = raw.event_type.take().ok_or_else(|| missing("event_type"))?;
    let payload = raw.payload.take().ok_or_else(|| missing("payload"))?;
    check_source(&source)?;
    check_event_type(&event_type).map_err(|m| ApiError::invalid(format!("`event_type`: {m}")))?;
    numbers::check_payload(&payload, "payload", line)?;
    Draft::of(raw, source, event_type, payload, None)
}

/// Refuses unknown fields that look like misspelt known ones.
pub(super) fn misspelt(unknown: &[String], known: &[&str]) -> Result<(), ApiError> {
    for name in unknown {
        if let Some(right) = nearest(name, known.iter().copied()) {
            return Err(ApiError::invalid(format!("the field `{}` is not known: did you mean `{right}`?", name.escape_debug())));
        }
    }
    Ok(())
}

pub(super) fn check_source(source: &str) -> Result<(), ApiError> {
    if source.is_empty() {
        return Err(ApiError::invalid("`source` is empty: name the system that the event comes from"));
    }
    check_text("source", source)
}

/// Optional text; an empty one is as good as none.
pub(super) fn optional(name: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    let text = text.filter(|t| !t.is_empty());
    if let Some(t) = &text {
        check_text(name, t)?;
    }
    Ok(text)
}

fn check_text(name: &str, text: &str) -> Result<(), ApiError> {
    if text.len() > TEXT_MAX {
        return Err(ApiError::invalid(format!("`{name}` has {} bytes: at most {TEXT_MAX} are taken", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!("`{name}` holds a control character: it is plain text on one line")));
    }
    Ok(())
}

pub(super) fn parse_time(text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|t| {
        let bad = || {
            let shown: String = t.chars().take(60).collect();
            ApiError::invalid(format!("`time`: `{}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z", shown.escape_debug()))
        };
        Timestamp::parse(t).ok_or_else(bad)
    })
    .transpose()
}

/// Checks an idempotency key.
pub(crate) fn check_key(key: &str) -> Result<(), ApiError> {
    let n = key.chars().count();
    if n == 0 || n > ENVELOPE_KEY_MAX {
        return Err(ApiError::invalid(format!("the idempotency key has {n} characters: it has 1 to {ENVELOPE_KEY_MAX}")));
    }
    if key.chars().any(char::is_control) {
        return Err(ApiError::invalid("the idempotency key holds a control character"));
    }
    Ok(())
}
