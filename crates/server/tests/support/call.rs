//! Requests as tests write them, and their answers as snapshots show them.

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::House;

/// A request under way to being sent.
pub struct Call<'a> {
    house: &'a House,
    method: &'static str,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl House {
    /// A request with the key that may do everything.
    pub fn call(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", self.key).into_bytes())];
        Call { house: self, method, path: path.into(), headers, body: Body::empty() }
    }

    /// The same with a JSON body.
    pub fn send(&self, method: &'static str, path: impl Into<String>, body: &Value) -> Call<'_> {
        self.call(method, path).header("content-type", "application/json").body(body.to_string())
    }
}

impl Call<'_> {
    /// Sets a header; an empty value takes it away.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(n, _)| n != name);
        if !value.as_ref().is_empty() {
            self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        }
        self
    }

    /// Uses another key.
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }

    /// Sets the body as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::from(body.into());
        self
    }

    /// Sets a body that arrives in its own time.
    pub fn stream(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sends it; the body of the answer is not read.
    pub async fn open(self) -> http::Response<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        self.house.router.clone().oneshot(request.body(self.body).unwrap()).await.unwrap()
    }

    /// Sends it.
    pub async fn go(self) -> Answer {
        let (parts, body) = self.open().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Status, code and message of an error in one line, after the whole shape was checked.
    pub fn error(&self) -> String {
        let body = self.json();
        let e = &body["error"];
        let text = |field: &str| e[field].as_str().unwrap_or_else(|| panic!("{} is no error: {body}", self.status));
        let (code, message) = (text("code"), text("message"));
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        let fields: std::collections::BTreeSet<&str> = e.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["code", "doc_url", "message", "request_id", "type"].into());
        assert_eq!(e["doc_url"], format!("/errors/{code}"));
        assert_eq!(e["request_id"], self.header("x-request-id"));
        assert!(tollgate_server::Code::parse(code).is_some_and(|c| c.status() == self.status), "{body}");
        assert!(!message.ends_with('.') && message.chars().next().is_some_and(|c| !c.is_uppercase()), "{message}");
        let retry = self.header("retry-after");
        let retry = if retry.is_empty() { String::new() } else { format!(", again in {retry} s") };
        format!("{} {code}{retry}: {message}", self.status.as_u16())
    }
}
