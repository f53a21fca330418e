//! Answers as JSON.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::error::ApiError;
use crate::view::to_bytes;

/// What handlers return.
pub(crate) type Reply = Result<Response, ApiError>;

/// 200 with this view.
pub(crate) fn ok(view: &impl Serialize) -> Response {
    json(StatusCode::OK, view)
}

/// This status with this view.
pub(crate) fn json(status: StatusCode, view: &impl Serialize) -> Response {
    json_bytes(status, to_bytes(view))
}

/// This status with JSON that is written already.
pub(crate) fn json_bytes(status: StatusCode, bytes: Bytes) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
}

/// The refusal of an id that names nothing here.
pub(crate) fn no_such(kind: &str, id: impl std::fmt::Display) -> ApiError {
    ApiError::not_found(format!("there is no {kind} `{id}` in this tenant and mode"))
}
