//! What is about the service itself: health, metrics, the description of the API, and the pages of error codes. No key is needed.

use std::sync::OnceLock;

use axum::extract::State as AxumState;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};

use crate::deps::App;
use crate::docs::{AnyErrors, PageErrors, ReadyErrors};
use crate::error::{ApiError, Code, index_page, page};
use crate::extract::Segment;
use crate::view::to_bytes;

use super::queue::gauge;
use super::table::openapi;

/// Whether the process runs.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "It runs", body = String, content_type = "text/plain"), AnyErrors))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the process may take work.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200, description = "It may", body = String, content_type = "text/plain"), ReadyErrors))]
pub(crate) async fn readyz(AxumState(app): AxumState<App>) -> Result<&'static str, ApiError> {
    app.deps.health.ready().map(|()| "ready\n").map_err(|why| ApiError::unavailable(format!("not ready: {why}")))
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"), AnyErrors))]
pub(crate) async fn metrics(AxumState(app): AxumState<App>) -> Response {
    gauge(&app).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.deps.metrics.render()).into_response()
}

/// The description of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value, content_type = "application/json"), AnyErrors))]
pub(crate) async fn description() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| to_bytes(&openapi()));
    ([(CONTENT_TYPE, "application/json")], text.clone()).into_response()
}

/// Every error code.
#[utoipa::path(get, path = "/errors", tag = "service", 
    responses((status = 200, description = "The codes", content((String = "text/plain"), (String = "text/html"))), AnyErrors))]
pub(crate) async fn error_index(headers: HeaderMap) -> Response {
    text(&headers, index_page)
}

/// What an error code means, and what to do.
#[utoipa::path(get, path = "/errors/{code}", tag = "service", params(("code" = String, Path, description = "The stable word", example = "not_found")),
    responses((status = 200, description = "Its page", content((String = "text/plain"), (String = "text/html"))), PageErrors))]
pub(crate) async fn error_page(Segment(code): Segment, headers: HeaderMap) -> Result<Response, ApiError> {
    let unknown = || ApiError::not_found(format!("there is no error code `{}`: see `/errors`", code.escape_debug()));
    let code = Code::parse(&code).ok_or_else(unknown)?;
    Ok(text(&headers, |html| page(code, html)))
}

fn text(headers: &HeaderMap, page: impl Fn(bool) -> String) -> Response {
    let html = headers.get_all(ACCEPT).iter().any(|v| v.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("text/html")));
    let content_type = if html { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" };
    ([(CONTENT_TYPE, content_type), (VARY, "accept")], page(html)).into_response()
}
