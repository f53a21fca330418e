//! The load: connections of its own, each with one request under way, and their latencies.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// A stopwatch.
#[derive(Clone, Copy)]
pub struct Watch(std::time::Instant);

impl Watch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// One keep-alive connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authorization: String,
}

fn broken(e: impl std::fmt::Display) -> Failure {
    Failure::plain(format!("the load's connection broke: {e}"))
}

impl Connection {
    /// Connects.
    pub async fn open(addr: std::net::SocketAddr, key: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move {
            // Its end shows in the next request.
            let _ = connection.await;
        });
        Ok(Self { sender, authorization: format!("Bearer {key}") })
    }

    /// Posts, and reads the whole answer.
    pub async fn post(&mut self, path: &str, content_type: &str, headers: &[(&str, &str)], body: Bytes) -> Result<StatusCode, Failure> {
        let mut request = Request::post(path).header("host", "localhost").header("content-type", content_type);
        request = request.header("authorization", &self.authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(broken)?;
        self.sender.ready().await.map_err(broken)?;
        let answer = self.sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(broken)?;
        }
        Ok(status)
    }
}

/// An event whose payload is about a kilobyte.
pub fn event(event_type: &str, n: u64) -> String {
    let filler = "x".repeat(900);
    format!(
        r#"{{"source":"bench","event_type":"{event_type}","payload":{{"n":{n},"order":"order-{n}","customer":"customer-{}","filler":"{filler}"}}}}"#,
        n % 1000
    )
}
