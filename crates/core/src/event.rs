//! An immutable fact from outside, in one envelope.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hash::Digest;
use crate::id::EventId;
use crate::scope::Scope;
use crate::time::Timestamp;

/// Longest event type, in bytes.
pub const EVENT_TYPE_MAX: usize = 200;
/// Longest source and subject, in bytes.
pub const TEXT_MAX: usize = 255;

/// A stored event. The payload is kept as the bytes that came, and hashed as such.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    #[serde(flatten)]
    pub scope: Scope,
    /// Where it comes from: a connector's name or a URI.
    pub source: String,
    /// Dotted type, such as `issues.opened`.
    pub event_type: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened; when it came, if the sender does not say.
    pub time: Timestamp,
    /// When it was stored.
    pub received_at: Timestamp,
    /// Ties together what belongs to one story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The agent it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The session it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The payload as it came.
    pub payload: Box<RawValue>,
}

impl Event {
    /// The digest of the payload's raw bytes.
    pub fn payload_digest(&self) -> Digest {
        Digest::of(self.payload.get().as_bytes())
    }
}

/// Says what is wrong with an event type, if anything.
pub fn check_event_type(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > EVENT_TYPE_MAX {
        return Err(format!("an event type has 1 to {EVENT_TYPE_MAX} bytes"));
    }
    for segment in text.split('.') {
        if segment.is_empty() {
            return Err(format!("`{text}` has an empty segment: write dotted words such as `issues.opened`"));
        }
        if let Some(c) = segment.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-:/".contains(*c))) {
            return Err(format!("`{text}` holds `{}`: event types use letters, digits, `_`, `-`, `:`, `/` and dots", c.escape_default()));
        }
    }
    Ok(())
}
