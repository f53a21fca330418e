//! Talks to the project's server: over HTTP when one runs, else to the same routes inside this process, over the opened data folder.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

use crate::exit::Exit;
use crate::failure::Failure;

/// What a running server leaves in the data folder for the commands beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Where it listens.
    pub url: String,
}

/// The file of [`Running`].
pub const RUNNING_FILE: &str = "server.json";
/// The file of the keys that the first start makes.
pub const KEYS_FILE: &str = "keys.json";

enum Way {
    Http { base: String, client: reqwest::Client },
    Inside(Router),
}

/// A client of one server and one key.
pub struct Client {
    way: Way,
    key: String,
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|e| Failure::new(Exit::Failed, format!("the server's answer is not JSON: {e}")))
    }
}

impl Client {
    /// Over HTTP.
    ///
    /// # Errors
    /// When the address is none.
    pub fn http(base: &str, key: &str) -> Result<Self, Failure> {
        let fits = reqwest::Url::parse(base).is_ok_and(|u| ["http", "https"].contains(&u.scheme()) && u.has_host());
        if !fits {
            return Err(Failure::new(Exit::Usage, format!("`{base}` is not the address of a server: write it like http://127.0.0.1:3001")));
        }
        // The project's own server is on this machine or named by the user: no proxy between.
        // And no redirect is followed: the key is for this server alone.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
        Ok(Self { way: Way::Http { base: base.trim_end_matches('/').to_owned(), client }, key: key.to_owned() })
    }

    /// Inside this process.
    pub fn inside(router: Router, key: &str) -> Self {
        Self { way: Way::Inside(router), key: key.to_owned() }
    }

    /// Over the data folder alone: what is asked for is stored, and nobody works on it.
    pub fn is_inside(&self) -> bool {
        matches!(self.way, Way::Inside(_))
    }

    /// The server that runs over this data folder, if one answers.
    pub async fn running(data: &Path) -> Option<String> {
        let running: Running = serde_json::from_slice(&std::fs::read(data.join(RUNNING_FILE)).ok()?).ok()?;
        // A server that was killed leaves its file, and whoever took its port since would be sent the key that may do everything.
        if !is_held(data) {
            return None;
        }
        let client = Self::http(&running.url, "").ok()?;
        let answer = client.send(Method::GET, "/healthz", None, &[]).await.ok()?;
        answer.status.is_success().then_some(running.url)
    }

    /// Sends a request; whatever status comes back is an answer.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.request(method, path, body.map(|b| ("application/json", b)), headers).await
    }

    /// The same with another content type.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn send_as(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        self.request(method, path, Some((content_type, body)), &[]).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        match &self.way {
            Way::Http { base, client } => {
                let mut request = client.request(method, format!("{base}{path}")).bearer_auth(&self.key);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                if let Some((content_type, body)) = body {
                    request = request.header("content-type", content_type).body(body);
                }
                let gone =
                    |e: reqwest::Error| Failure::new(Exit::Unreachable, format!("the server at {base} does not answer: {}", cause(&e)));
                let answer = request.send().await.map_err(gone)?;
                let status = answer.status();
                let body = answer.bytes().await.map_err(gone)?.to_vec();
                Ok(Answer { status, body })
            }
            Way::Inside(router) => {
                let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", self.key));
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                if let Some((content_type, _)) = &body {
                    request = request.header("content-type", *content_type);
                }
                let broken = |e: String| Failure::new(Exit::Failed, e);
                let request = request.body(Body::from(body.map(|(_, b)| b).unwrap_or_default())).map_err(|e| broken(e.to_string()))?;
                let answer = router.clone().oneshot(request).await.map_err(|e| broken(e.to_string()))?;
                let status = answer.status();
                let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.map_err(|e| broken(e.to_string()))?.to_vec();
                Ok(Answer { status, body })
            }
        }
    }

    /// A request whose success is JSON; an error answer becomes a failure with its message.
    ///
    /// # Errors
    /// When no server answers, or it says no.
    pub async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(|b| b.to_string().into_bytes());
        let answer = self.send(method, path, body, &[]).await?;
        if answer.status.is_success() {
            return if answer.body.is_empty() { Ok(Value::Null) } else { answer.json() };
        }
        Err(refusal(&answer))
    }
}

/// Whether a process has the store of this data folder open.
fn is_held(data: &Path) -> bool {
    let Ok(file) = std::fs::File::open(data.join("store.lock")) else { return false };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
}

/// What an error answer says.
pub fn refusal(answer: &Answer) -> Failure {
    let value = answer.json().unwrap_or_default();
    let error = value.get("error").cloned().unwrap_or_default();
    let text = |k: &str| error.get(k).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (code, message) = (text("code"), text("message"));
    if code.is_empty() {
        return Failure::new(Exit::Failed, format!("the server answered {}", answer.status));
    }
    let exit = if answer.status == StatusCode::SERVICE_UNAVAILABLE { Exit::Unreachable } else { Exit::Failed };
    Failure { exit, message, code: Some(code) }
}

fn cause(e: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = e;
    while let Some(next) = source.source() {
        source = next;
    }
    source.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stranger_on_the_port_of_a_killed_server_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stranger = Router::new().route("/healthz", axum::routing::get(async || "ok"));
        tokio::spawn(async move { axum::serve(listener, stranger).await });
        std::fs::write(dir.path().join(RUNNING_FILE), serde_json::json!({ "url": url }).to_string()).unwrap();
        assert_eq!(Client::running(dir.path()).await, None, "no store at all");
        let lock = std::fs::File::create(dir.path().join("store.lock")).unwrap();
        assert_eq!(Client::running(dir.path()).await, None, "nobody holds it");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(Client::running(dir.path()).await, Some(url));
    }

    #[tokio::test]
    async fn the_key_follows_no_redirect() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let to = || async { axum::response::Redirect::temporary("/elsewhere") };
        let server = Router::new().route("/v1/runs", axum::routing::get(to)).route("/elsewhere", axum::routing::get(async || "followed"));
        tokio::spawn(async move { axum::serve(listener, server).await });
        let answer = Client::http(&base, "sk_live_x").unwrap().send(Method::GET, "/v1/runs", None, &[]).await.unwrap();
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    }
}
