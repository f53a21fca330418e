//! What goes round every request: its id, its span, its counts, panics, and the writing of error bodies.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tollgate_core::id::RequestId;
use tracing::Instrument as _;

use crate::deps::App;
use crate::error::{ApiError, Code, render, wants_problem};
use crate::serve::Drained;

/// The header that names the request.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Counters of one route, by status.
type ByStatus = HashMap<u16, (Counter, Histogram)>;

/// Handles of metrics by route and status, so that counting looks up no labels.
#[derive(Default)]
pub(crate) struct Meters {
    requests: RwLock<HashMap<String, ByStatus>>,
}

impl Meters {
    fn count(&self, route: &str, status: u16, seconds: f64) {
        if let Some((counter, histogram)) = self.requests.read().get(route).and_then(|s| s.get(&status)) {
            counter.increment(1);
            histogram.record(seconds);
            return;
        }
        let mut all = self.requests.write();
        let (counter, histogram) = all.entry(route.to_owned()).or_default().entry(status).or_insert_with(|| {
            let labels = [("route", route.to_owned()), ("status", status.to_string())];
            (metrics::counter!("tollgate_http_requests_total", &labels), metrics::histogram!("tollgate_http_request_seconds", &labels))
        });
        counter.increment(1);
        histogram.record(seconds);
    }
}

/// The outermost layer.
pub(crate) async fn outermost(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = app.deps.ids.now();
    let id = RequestId::from_bytes(app.deps.ids.uuid()).to_string();
    let problem = wants_problem(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let read = matches!(*request.method(), http::Method::GET | http::Method::HEAD);
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), route);
    let late = request.extensions().get::<Drained>().is_some_and(Drained::is_late) && route.starts_with("/v1/");
    let handled = next.run(request).instrument(span.clone());
    let done = if late {
        Some(ApiError::unavailable("this process is stopping: try again, another one takes the request").into_response())
    } else if read {
        AssertUnwindSafe(handled).catch_unwind().await.ok()
    } else {
        // A client that goes away takes its request's future with it, which must not end between a commit and what follows it: steps that
        // the commit handed to this process would be held by its worker, and known to nobody.
        tokio::spawn(handled).await.ok()
    };
    let mut response = done.unwrap_or_else(|| {
        span.in_scope(|| tracing::error!("a handler panicked"));
        ApiError::new(Code::InternalError, "something failed that should not have: tell the operator of this service the request id")
            .into_response()
    });
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        span.in_scope(|| tracing::debug!(code = error.code.as_str(), message = %error.message, "refused"));
        response = render(&error, response, &id, problem);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    harden(response.headers_mut());
    let took = app.deps.ids.now().since(began);
    let status = response.status().as_u16();
    app.meters.count(route, status, took.as_secs_f64());
    let ms = (took.as_secs_f64() * 1_000_000.0).round() / 1000.0;
    // What changes nothing and went well is of interest to nobody but those who look for it.
    if read && status < 400 {
        span.in_scope(|| tracing::debug!(status, ms, "answered"));
    } else {
        span.in_scope(|| tracing::info!(status, ms, "answered"));
    }
    response
}

/// What browsers and caches must not do with any answer: guess another type, keep it, or show it inside another page. Answers hold
/// what strangers sent.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
}
