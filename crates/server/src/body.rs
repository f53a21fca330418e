//! Bodies: read whole under a limit and a deadline, and what their content type is.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use tollgate_core::time::show_span;

use crate::error::{ApiError, Code};

/// Reads a body.
///
/// # Errors
/// `payload_too_large`, `request_timeout`, or `invalid_parameter` when the client broke off.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, limit: usize, timeout: Duration) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::new(Code::PayloadTooLarge, format!("the body is longer than {limit} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(timeout, Limited::new(body, limit).collect());
    match collected.await {
        Err(_) => Err(ApiError::new(Code::RequestTimeout, format!("the body did not arrive within {}: send it again", show_span(timeout)))),
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::invalid("the body ended before all of it had arrived")),
    }
}

/// The content type without its parameters, in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.is_empty() { None } else { Some(essence) }
}

/// The answer to a content type that the route does not take.
pub(crate) fn unsupported(given: Option<&str>, taken: &str) -> ApiError {
    let message = match given {
        None => format!("the request has no content type: send `Content-Type: {taken}`"),
        Some(t) => format!("the content type `{}` is not taken here: send `{taken}`", t.escape_debug()),
    };
    ApiError::new(Code::UnsupportedMediaType, message)
}
