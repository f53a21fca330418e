//! The example's tracker: a small HTTP service that honours idempotency keys, counts its effects, and now and then answers late or not at
//! all. It knows nothing of Tollgate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Of so many writes one is applied and its answer comes too late.
const LATE_EVERY: u64 = 5;
/// Of so many writes one is lost on the way.
const LOST_EVERY: u64 = 8;
/// Longer than any deadline of the example's tools.
const LATE: Duration = Duration::from_secs(3);

/// What the tracker did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Effects by what they are.
    pub by_kind: BTreeMap<String, u64>,
    /// Requests answered from a key that was there already.
    pub recognised: u64,
    /// Times that the same thing was done again: must stay 0.
    pub doubled: u64,
    /// Writes answered too late.
    pub answered_late: u64,
    /// Writes that never arrived.
    pub lost: u64,
}

impl Effects {
    /// All effects.
    pub fn total(&self) -> u64 {
        self.by_kind.values().sum()
    }
}

#[derive(Default)]
struct Book {
    effects: Effects,
    /// What was done, by kind and content.
    done: BTreeMap<String, u64>,
    keys: BTreeMap<String, Value>,
    writes: u64,
}

/// A tracker; clones share their book.
#[derive(Clone)]
pub struct Tracker {
    book: Arc<Mutex<Book>>,
    token: Arc<str>,
}

enum Fate {
    Prompt,
    Late,
    Lost,
}

impl Tracker {
    /// A tracker that lets in who bears this token.
    pub fn new(token: &str) -> Self {
        Self { book: Arc::default(), token: token.into() }
    }

    /// What it did so far.
    pub fn effects(&self) -> Effects {
        self.book.lock().effects.clone()
    }

    /// Whether this was done.
    pub fn has_done(&self, kind: &str, what: &Value) -> bool {
        self.book.lock().done.contains_key(&format!("{kind} {what}"))
    }

    /// Its routes.
    pub fn router(self) -> Router {
        let token = Arc::clone(&self.token);
        let guard = middleware::from_fn(move |request: Request, next: middleware::Next| {
            let token = Arc::clone(&token);
            async move {
                let given = request.headers().get("authorization").and_then(|v| v.to_str().ok());
                if given == Some(&format!("Bearer {token}")) { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
            }
        });
        Router::new()
            .route("/issues/{issue}/labels", post(label))
            .route("/issues/{issue}/labels/{label}", get(has_label))
            .route("/issues/{issue}/comments", post(comment))
            .route("/pull-requests/{id}/reviewers", post(reviewer))
            .route("/announcements", post(announce))
            .route("/alerts", post(alert))
            .route("/repositories/archive", post(archive))
            .route("/repositories/delete", post(delete))
            .layer(guard)
            .with_state(self)
    }

    /// The channel of announcements is always slow; everything else now and then.
    fn fate(&self, kind: &str) -> Fate {
        let mut book = self.book.lock();
        book.writes += 1;
        let n = book.writes;
        if kind != "announcement" && n.is_multiple_of(LOST_EVERY) {
            book.effects.lost += 1;
            return Fate::Lost;
        }
        if kind == "announcement" || n.is_multiple_of(LATE_EVERY) {
            book.effects.answered_late += 1;
            return Fate::Late;
        }
        Fate::Prompt
    }

    async fn write(&self, kind: &str, what: Value, headers: &HeaderMap) -> Response {
        let fate = self.fate(kind);
        if matches!(fate, Fate::Lost) {
            tokio::time::sleep(LATE).await;
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let answer = self.apply(kind, &what, key);
        if matches!(fate, Fate::Late) {
            tokio::time::sleep(LATE).await;
        }
        (StatusCode::CREATED, Json(answer)).into_response()
    }

    fn apply(&self, kind: &str, what: &Value, key: Option<String>) -> Value {
        let mut book = self.book.lock();
        if let Some(first) = key.as_ref().and_then(|k| book.keys.get(k)).cloned() {
            book.effects.recognised += 1;
            return first;
        }
        let times = book.done.entry(format!("{kind} {what}")).or_default();
        *times += 1;
        if *times > 1 {
            book.effects.doubled += 1;
        }
        *book.effects.by_kind.entry(kind.to_owned()).or_default() += 1;
        let answer = json!({"id": book.effects.total(), "kind": kind});
        if let Some(key) = key {
            book.keys.insert(key, answer.clone());
        }
        answer
    }
}

async fn label(State(t): State<Tracker>, Path(issue): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("label", json!([issue, body["label"]]), &headers).await
}

async fn has_label(State(t): State<Tracker>, Path((issue, label)): Path<(String, String)>) -> Json<Value> {
    Json(json!({"present": t.has_done("label", &json!([issue, label]))}))
}

async fn comment(State(t): State<Tracker>, Path(issue): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("comment", json!([issue, body["body"]]), &headers).await
}

async fn reviewer(State(t): State<Tracker>, Path(id): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("reviewer", json!([id, body["reviewer"]]), &headers).await
}

async fn announce(State(t): State<Tracker>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("announcement", body["release"].clone(), &headers).await
}

async fn alert(State(t): State<Tracker>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("alert", body, &headers).await
}

async fn archive(State(t): State<Tracker>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("archived repository", body["repository"].clone(), &headers).await
}

async fn delete(State(t): State<Tracker>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    t.write("deleted repository", body["repository"].clone(), &headers).await
}
