//! The error that handlers return. It travels to the outermost layer, which knows the request's id and wanted format.

use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};

use super::Code;

/// What a client did wrong, or what failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The stable word.
    pub code: Code,
    /// For people: lower case, one sentence.
    pub message: String,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
}

impl ApiError {
    /// An error of this code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retry_after = match code {
            Code::EntityLocked | Code::RateLimited => Some(1),
            Code::ServiceUnavailable => Some(2),
            Code::SecretNotSet => Some(60),
            _ => None,
        };
        Self { code, message: message.into(), retry_after }
    }

    /// `invalid_parameter`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, message)
    }

    /// `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// `service_unavailable`.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::ServiceUnavailable, message)
    }

    /// The headers that belong to it.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut out = HeaderMap::new();
        if let Some(s) = self.retry_after {
            out.insert(RETRY_AFTER, HeaderValue::from(s));
        }
        if matches!(self.code, Code::KeyInvalid | Code::KeyRevoked) {
            out.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        out
    }
}

impl IntoResponse for ApiError {
    /// Status and headers; the body is written by the outermost layer.
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), self.headers()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
