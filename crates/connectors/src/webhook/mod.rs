//! Webhooks: verified over the raw body, then mapped to an event. Knows nothing of tools or calls.

mod event_type;
mod signature;

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tollgate_core::event::{TEXT_MAX, check_event_type};
use tollgate_core::hash::Digest;
use tollgate_core::ports::{SecretLease, VerifiedWebhook, WebhookError};
use tollgate_core::spec::{WebhookScheme, WebhookSpec};
use tollgate_core::time::Timestamp;
use tollgate_expr::{Inputs, Template};

use self::event_type::{EventType, ROOTS};
use self::signature::Headers;
use crate::fault::Fault;
use crate::template::Placed;

/// Longest delivery id taken from a body, in bytes.
const ID_MAX: usize = 255;

/// A delivery is known again for 30 days: what is older must have been refused by its timestamp long before.
const TOLERANCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The compiled webhooks of one connector.
pub(crate) struct Webhook {
    scheme: WebhookScheme,
    secret: String,
    event_type: EventType,
    subject: Option<Placed<Template>>,
    header_names: Vec<String>,
}

impl Webhook {
    /// Compiles; all faults at once.
    pub fn compile(spec: &WebhookSpec) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let event_type = EventType::compile("webhook.event_type", &spec.event_type).map_err(|f| faults.push(f)).ok();
        let subject = spec.subject.as_ref().map(|s| Placed::text("webhook.subject", s, ROOTS)).transpose();
        let subject = subject.map_err(|f| faults.push(f)).ok();
        check_scheme(&spec.scheme, &mut faults);
        if spec.secret.trim().is_empty() {
            faults.push(Fault::new("webhook.secret", "name the secret that verifies: an unsigned webhook is refused, never skipped"));
        }
        match (event_type, subject) {
            (Some(event_type), Some(subject)) if faults.is_empty() => {
                let mut header_names = event_type.header_names();
                header_names.extend(subject.as_ref().map(event_type::header_names).unwrap_or_default());
                Ok(Self { scheme: spec.scheme.clone(), secret: spec.secret.clone(), event_type, subject, header_names })
            }
            _ => Err(faults),
        }
    }

    /// Name of the secret that verifies.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Verifies and maps one delivery.
    pub fn verify(&self, headers: Headers<'_>, body: &[u8], secret: &SecretLease, now: Timestamp) -> Result<VerifiedWebhook, WebhookError> {
        let signed_id = signature::verify(&self.scheme, headers, body, secret, now)?;
        // Only now is the body anything but bytes.
        let (value, payload) = parse(headers, body)?;
        let header_values: Map<String, Value> =
            self.header_names.iter().filter_map(|n| headers(n).map(|v| (n.clone(), Value::from(v)))).collect();
        let header_values = Value::Object(header_values);
        let inputs = Inputs::new().with("headers", &header_values).with("body", &value);
        let event_type = self.event_type.eval(&inputs).map_err(WebhookError::BadBody)?;
        check_event_type(&event_type).map_err(|m| WebhookError::BadBody(format!("webhook.event_type: {m}")))?;
        let subject = self.subject(&inputs)?;
        let dedupe_key = signed_id.or_else(|| self.id_in_body(&value)).unwrap_or_else(|| format!("sha256:{}", Digest::of(body)));
        Ok(VerifiedWebhook { event_type, subject, dedupe_key, payload })
    }

    fn subject(&self, inputs: &Inputs<'_>) -> Result<Option<String>, WebhookError> {
        let Some(template) = &self.subject else { return Ok(None) };
        let subject = match template.eval_or_null(inputs).map_err(|e| WebhookError::BadBody(e.to_string()))? {
            Value::Null => return Ok(None),
            Value::String(text) => text,
            scalar @ (Value::Bool(_) | Value::Number(_)) => scalar.to_string(),
            _ => return Err(WebhookError::BadBody(template.wrong("a subject is text, and this is a list or an object").to_string())),
        };
        if subject.len() > TEXT_MAX || subject.contains(char::is_control) {
            let message = format!("a subject has at most {TEXT_MAX} bytes and no control characters");
            return Err(WebhookError::BadBody(template.wrong(message).to_string()));
        }
        Ok(Some(subject).filter(|s| !s.is_empty()))
    }

    /// The delivery id inside the signed body. Where the sender leaves it out, the body's digest stands in for it: a
    /// delivery must not be lost over a missing field.
    fn id_in_body(&self, body: &Value) -> Option<String> {
        let WebhookScheme::Hmac { delivery_id: Some(pointer), .. } = &self.scheme else { return None };
        let id = match body.pointer(pointer)? {
            Value::String(text) => text.clone(),
            Value::Number(n) => n.to_string(),
            _ => return None,
        };
        (!id.is_empty() && id.len() <= ID_MAX && !id.contains(char::is_control)).then(|| format!("id:{id}"))
    }
}

fn check_scheme(scheme: &WebhookScheme, faults: &mut Vec<Fault>) {
    if let WebhookScheme::StandardWebhooks { tolerance } | WebhookScheme::Hmac { tolerance, .. } = scheme
        && tolerance.0 > TOLERANCE_MAX
    {
        faults.push(Fault::new(
            "webhook.tolerance",
            "a delivery could be played back long after it was sent: a tolerance is at most one day, and five minutes is common",
        ));
    }
    let WebhookScheme::Hmac { signature_header, timestamp_header, delivery_id, .. } = scheme else { return };
    for (place, name) in [("webhook.signature_header", Some(signature_header)), ("webhook.timestamp_header", timestamp_header.as_ref())] {
        if let Some(name) = name.filter(|n| http::header::HeaderName::from_bytes(n.as_bytes()).is_err()) {
            faults.push(Fault::new(place, format!("`{}` is not a header name: use letters, digits and dashes", name.escape_debug())));
        }
    }
    if let Some(pointer) = delivery_id.as_ref().filter(|p| !p.starts_with('/')) {
        faults.push(Fault::new(
            "webhook.delivery_id",
            format!("`{}` is not a JSON pointer: write it like `/data/id`", pointer.escape_debug()),
        ));
    }
}

fn parse(headers: Headers<'_>, body: &[u8]) -> Result<(Value, Box<RawValue>), WebhookError> {
    let kind = headers("content-type").unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Err(WebhookError::BadBody(
            "the body is form-encoded: set the webhook's content type to `application/json` at the sender".into(),
        ));
    }
    let not_json = |e: serde_json::Error| WebhookError::BadBody(format!("the body is not JSON: {e}"));
    let value = serde_json::from_slice(body).map_err(not_json)?;
    let payload = serde_json::from_slice(body).map_err(not_json)?;
    Ok((value, payload))
}

#[cfg(test)]
mod tests;
