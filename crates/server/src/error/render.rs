//! Error bodies: ours, and RFC 9457 when the client asks for `application/problem+json`.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;

/// An error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// What went wrong.
    pub error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetail<'a> {
    /// The class of error.
    #[schema(example = "invalid_request")]
    pub r#type: &'a str,
    /// The stable word.
    #[schema(example = "invalid_parameter")]
    pub code: &'a str,
    /// For people.
    pub message: &'a str,
    /// The page that says what it means and what to do.
    #[schema(example = "/errors/invalid_parameter")]
    pub doc_url: String,
    /// Names the request in the logs of the service.
    #[schema(example = "req_01hzy0000000000000000000000")]
    pub request_id: &'a str,
}

/// An error in the form of RFC 9457.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// The page of the code.
    pub r#type: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub detail: &'a str,
    /// The stable word.
    pub code: &'a str,
    /// Names the request in the logs of the service.
    pub request_id: &'a str,
}

/// Writes an error into its response, in the format that the client accepts.
pub(crate) fn render(error: &ApiError, mut response: Response, request_id: &str, problem: bool) -> Response {
    let code = error.code;
    let doc_url = format!("/errors/{}", code.as_str());
    let (body, content_type) = if problem {
        let body = Problem {
            r#type: doc_url,
            title: code.as_str().replace('_', " "),
            status: code.status().as_u16(),
            detail: &error.message,
            code: code.as_str(),
            request_id,
        };
        (serde_json::to_vec(&body), "application/problem+json")
    } else {
        let detail = ErrorDetail { r#type: code.kind(), code: code.as_str(), message: &error.message, doc_url, request_id };
        (serde_json::to_vec(&ErrorBody { error: detail }), "application/json")
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // These structs of text always serialise; an empty body would still carry the right status.
    *response.body_mut() = Body::from(body.unwrap_or_default());
    response
}

/// Whether the client asks for RFC 9457.
pub(crate) fn wants_problem(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|v| v.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("application/problem+json")))
}
