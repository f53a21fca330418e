//! The bodies that `POST /v1/events` takes, for the description of the API only: the intake reads the bytes itself.

#![expect(dead_code, reason = "names the fields for the description of the API")]

use serde_json::Value;
use utoipa::ToSchema;

/// An event to store.
#[derive(ToSchema)]
pub(crate) struct EventIn {
    /// The system that it comes from.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
    source: String,
    /// Dotted type.
    #[schema(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_:/-]+(\\.[A-Za-z0-9_:/-]+)*$", example = "issues.opened")]
    event_type: String,
    /// What happened: any JSON. Numbers beyond 2^53 travel as strings.
    payload: Value,
    /// What it is about.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    subject: Option<String>,
    /// When it happened; when it came, if left out.
    #[schema(format = DateTime, min_length = 20)]
    time: Option<String>,
    /// Ties together what belongs to one story.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    correlation_id: Option<String>,
    /// The agent it concerns.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    agent_id: Option<String>,
    /// The session it concerns.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    session_id: Option<String>,
    /// W3C trace context.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    traceparent: Option<String>,
}

/// A CloudEvent in structured mode. `source` and `id` are its key when no `Idempotency-Key` is given.
#[derive(ToSchema)]
pub(crate) struct CloudEventIn {
    /// Always `1.0`.
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    /// Unique within its source.
    #[schema(min_length = 1)]
    id: String,
    /// The system that it comes from.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
    source: String,
    /// Dotted type.
    #[schema(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_:/-]+(\\.[A-Za-z0-9_:/-]+)*$")]
    r#type: String,
    /// The payload. `null` when left out.
    data: Option<Value>,
    /// A JSON media type.
    #[schema(pattern = "^application/json$")]
    datacontenttype: Option<String>,
    /// What it is about.
    #[schema(max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    subject: Option<String>,
    /// When it happened.
    #[schema(format = DateTime, min_length = 20)]
    time: Option<String>,
}
