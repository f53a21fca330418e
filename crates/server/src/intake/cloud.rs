//! CloudEvents 1.0 in structured mode, mapped onto our envelope.

use serde_json::value::RawValue;
use tollgate_core::event::check_event_type;

use crate::error::ApiError;

use super::envelope::{Draft, check_source};
use super::{RawEnvelope, check_payload};

pub(super) fn draft(mut raw: RawEnvelope, line: Option<usize>) -> Result<Draft, ApiError> {
    let version = raw.specversion.take().unwrap_or_default();
    if version != "1.0" {
        return Err(ApiError::invalid(format!("`specversion`: `{}` is not known: only CloudEvents 1.0 are taken", version.escape_debug())));
    }
    if raw.data_base64 {
        return Err(ApiError::invalid("`data_base64` is not taken: payloads are JSON, so send `data`"));
    }
    if let Some(t) = raw.content_type.as_deref().filter(|t| !is_json(t)) {
        return Err(ApiError::invalid(format!("`datacontenttype`: `{}` is not taken: payloads are JSON", t.escape_debug())));
    }
    let missing = |name: &str| ApiError::invalid(format!("`{name}` is missing: a CloudEvent has `specversion`, `id`, `source` and `type`"));
    let id = raw.id.take().filter(|t| !t.is_empty()).ok_or_else(|| missing("id"))?;
    let source = raw.source.take().ok_or_else(|| missing("source"))?;
    let event_type = raw.cloud_type.take().ok_or_else(|| missing("type"))?;
    check_source(&source)?;
    check_event_type(&event_type).map_err(|m| ApiError::invalid(format!("`type`: {m}")))?;
    // An event without data is allowed there; here every event has a payload.
    let payload = raw.data.take().unwrap_or_else(|| RawValue::NULL.to_owned());
    check_payload(&payload, "data", line)?;
    Draft::of(raw, source, event_type, payload, Some(id))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}
