//! One HTTP call: checked, authenticated, sent once, and its answer turned into an outcome.
//!
//! A request goes to a connection at most once. The client's own retries are off or cannot apply (the body is a
//! stream); what remains is that it may move a request, untouched, from a connection found closed to a fresh one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use reqwest::{Body, Client, Request, Response};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::CallRequest;
use tollgate_core::scope::Mode;
use url::Url;

use super::answer::{self, Unreadable};
use super::body::GatedBody;
use super::outcome::{self, Outcomes};
use super::{HttpConnector, HttpTool};
use crate::commit::Commit;
use crate::scrub::Scrubber;

/// Of an answer that is not the output, this much is read for its message.
const REASON_BYTES: usize = 16 * 1024;

/// A rendered request, borrowed from the intent.
pub(crate) struct Parts<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub body: Option<&'a str>,
}

/// Makes the call. Whatever happens is an outcome.
pub(crate) async fn call(connector: &HttpConnector, tool: &HttpTool, parts: &Parts<'_>, request: &CallRequest<'_>) -> AttemptOutcome {
    let scrub = Scrubber::new(request.secret.as_ref().map(tollgate_core::ports::SecretLease::expose));
    let keyed = tool.idempotency_header.is_some() && request.remote_key.is_some();
    let outcomes = Outcomes { tool, scrub: &scrub, keyed, now: request.now };
    let left = request.deadline_at.since(request.now);
    let commit = Arc::new(Commit::within(left));
    let (client, prepared) = match prepare(connector, tool, parts, request, &commit) {
        Ok(ready) => ready,
        Err(message) => return AttemptOutcome::NotSent { message: scrub.text(&message), retryable: false },
    };
    if left.is_zero() {
        return AttemptOutcome::NotSent { message: "nothing was sent: the deadline had passed".into(), retryable: true };
    }
    // One timer covers resolving, connecting, sending and reading the whole answer.
    let mut timer = Box::pin(tokio::time::sleep(left));
    let sent = within(&mut timer, client.execute(prepared)).await;
    let mut response = match sent {
        Some(Ok(response)) => response,
        Some(Err(error)) => return outcomes.send_failed(&error, &commit),
        None => return outcomes.timed_out(left, &commit),
    };
    let read = within(&mut timer, outcomes.read(&mut response)).await;
    let read =
        read.unwrap_or_else(|| Err(Unreadable::CutOff(format!("the rest of the answer did not come within {}", outcome::span(left)))));
    outcomes.of_answer(&response, read)
}

/// Runs a future until the timer ends. The future is dropped then, which closes its connection.
async fn within<T>(timer: &mut Pin<Box<tokio::time::Sleep>>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = timer.as_mut() => None,
    }
}

impl Outcomes<'_> {
    /// Reads as much of the answer as its status deserves.
    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, Unreadable> {
        let cap =
            if self.is_output(response.status().as_u16()) { self.tool.max_response } else { REASON_BYTES.min(self.tool.max_response) };
        answer::read(response, cap).await
    }

    /// The send failed: whether anything can have reached the remote is known for certain only from the commit.
    fn send_failed(&self, error: &reqwest::Error, commit: &Commit) -> AttemptOutcome {
        if commit.abandon() {
            let (message, retryable) = super::error::not_sent(error);
            return AttemptOutcome::NotSent { message: self.scrub.text(&message), retryable };
        }
        self.in_doubt(format!("no answer: {}", super::error::words(error)), None)
    }

    fn timed_out(&self, after: Duration, commit: &Commit) -> AttemptOutcome {
        let within = outcome::span(after);
        if commit.abandon() {
            let message = format!("nothing was sent: no connection was made within {within}");
            return AttemptOutcome::NotSent { message, retryable: true };
        }
        self.in_doubt(format!("no answer within {within}"), None)
    }
}

/// Checks everything that can be checked without the network. An error means that nothing was sent, for good.
fn prepare<'c>(
    connector: &'c HttpConnector,
    tool: &HttpTool,
    parts: &Parts<'_>,
    request: &CallRequest<'_>,
    commit: &Arc<Commit>,
) -> Result<(&'c Client, Request), String> {
    let url = Url::parse(parts.url).map_err(|e| format!("nothing was sent: the rendered URL is not a URL: {e}"))?;
    check_target(tool, request.mode, &url)?;
    let client = connector.clients.for_url(&url).map_err(|refused| refused.to_string())?;
    if parts.method != tool.method.as_str() {
        return Err(format!("nothing was sent: the rendered method `{}` is not the tool's `{}`", parts.method, tool.method));
    }
    let mut prepared = Request::new(tool.method.clone(), url);
    let headers = prepared.headers_mut();
    for (name, value) in parts.headers {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    // After the tool's own headers, and replacing: no template can speak in their place.
    if let (Some(name), Some(key)) = (&tool.idempotency_header, request.remote_key) {
        headers.insert(name.clone(), header(name.as_str(), key)?.1);
    }
    if let Some((name, value)) = connector.auth.apply(request.secret.as_ref())? {
        headers.insert(name, value);
    }
    strip_framing(headers);
    *prepared.body_mut() = Some(Body::wrap(GatedBody::new(commit.clone(), parts.body.map(str::to_owned))));
    Ok((client, prepared))
}

/// A rendered request is stored and may be sent much later: it must still lead where the deployed connector leads, or
/// the secret would go to a host that no one configured, or unencrypted: the origin includes the scheme.
fn check_target(tool: &HttpTool, mode: Mode, url: &Url) -> Result<(), String> {
    let Some(target) = tool.target(mode) else {
        return Err("nothing was sent: the connector has no `test_config`, and test mode never reaches production".into());
    };
    if target.origin == url.origin() && url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(format!(
        "nothing was sent: the call was rendered for `{}`, and the connector now leads to `{}`",
        url.origin().ascii_serialization(),
        target.origin.ascii_serialization()
    ))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let bad = || format!("nothing was sent: the header `{}` cannot be written", name.escape_debug());
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    Ok((name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?))
}

/// How long the message is, and to whom it goes, is the client's to say.
fn strip_framing(headers: &mut HeaderMap) {
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

/// `Retry-After` of an answer.
pub(crate) fn retry_after(response: &Response, now: tollgate_core::time::Timestamp) -> Option<Duration> {
    response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|t| super::retry_after::parse(t, now))
}
