//! One open stream: pages of a log turned into server-sent events, then a wait for more. Knows no routes.

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tollgate_core::hash::Digest;
use tollgate_core::ports::StoreError;
use tollgate_core::scope::Scope;

use crate::cursor::StreamCursors;
use crate::deps::App;
use crate::error::ApiError;

mod source;

pub(crate) use source::{Filter, Item, Source};

/// What is written at once, in bytes, unless one event is longer.
const CHUNK: usize = 64 * 1024;
/// When a client whose process stops comes back, in milliseconds.
const RETRY: u32 = 1000;

/// What a stream is of.
pub(crate) struct Following {
    pub app: App,
    pub scope: Scope,
    /// Digest of the API key: looked up again while the stream is open.
    pub key: Digest,
    pub source: Source,
    pub cursors: StreamCursors,
    /// Whether to wait for more when all was sent.
    pub follow: bool,
    pub closing: CancellationToken,
    /// Held for as long as the stream is open.
    #[expect(dead_code, reason = "given back when it is dropped")]
    pub permit: OwnedSemaphorePermit,
}

/// An open stream.
pub(crate) struct Follower {
    of: Following,
    /// The position up to which was read.
    position: u64,
    /// Nothing up to here is sent.
    after: u64,
    page: VecDeque<(u64, Item)>,
    /// The last page was full: there may be more behind it.
    more: bool,
    ended: bool,
    wakes: Wakes,
    beat: Interval,
}

/// What a stream that has sent everything waits for.
struct Wakes {
    /// This process stored something.
    stored: watch::Receiver<u64>,
    /// Positions were given, to whatever any process stored.
    positions: Option<watch::Receiver<u64>>,
    /// API keys may have changed.
    changes: Option<watch::Receiver<u64>>,
}

impl Wakes {
    /// From here on, what comes is new.
    fn seen(&mut self) {
        self.stored.borrow_and_update();
        for w in [&mut self.positions, &mut self.changes].into_iter().flatten() {
            w.borrow_and_update();
        }
    }

    async fn any(&mut self) {
        tokio::select! {
            () = changed(Some(&mut self.stored)) => {}
            () = changed(self.positions.as_mut()) => {}
            () = changed(self.changes.as_mut()) => {}
        }
    }
}

async fn changed(watch: Option<&mut watch::Receiver<u64>>) {
    if let Some(w) = watch
        && w.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Why a wait ended.
enum Woke {
    Beat,
    Look,
    Closing,
}

impl Follower {
    /// Opens a stream behind a position. The first page is read at once, so that a store that cannot is an answer and not a broken stream.
    ///
    /// # Errors
    /// `service_unavailable`; `cursor_expired` when what came after the position is not all there any more.
    pub async fn open(of: Following, after: u64) -> Result<Self, ApiError> {
        let app = &of.app;
        let wakes =
            Wakes { stored: app.stored.subscribe(), positions: app.options.positions.clone(), changes: app.options.changes.clone() };
        let mut beat = interval(app.options.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        of.source.check(app, of.scope, after).await?;
        let position = of.source.begin(after);
        let mut it = Self { of, position, after, page: VecDeque::new(), more: true, ended: false, wakes, beat };
        it.read().await?;
        Ok(it)
    }

    /// The next bytes; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        while !self.ended {
            if self.of.closing.is_cancelled() {
                return self.last(&format!("retry: {RETRY}\n: the service stops: come back with the last id"));
            }
            if !self.page.is_empty() {
                self.beat.reset();
                return Some(Ok(self.write()));
            }
            if !self.more {
                if let Some(end) = self.of.source.end() {
                    self.ended = true;
                    let mut out = b"event: end\n".to_vec();
                    push(&mut out, &self.of.cursors.write(self.position.max(self.after)), &end);
                    return Some(Ok(out.into()));
                }
                if !self.of.follow {
                    return None;
                }
                match self.wait().await {
                    Woke::Closing => continue,
                    Woke::Beat => {
                        // News may get lost with the connection that they come by: what nobody told of is seen this late.
                        self.more = true;
                        return Some(Ok(Bytes::from_static(b": still here\n\n")));
                    }
                    Woke::Look => {}
                }
            }
            if self.of.app.authenticate(&self.of.key).await.is_err_and(|e| e.code.status() == http::StatusCode::UNAUTHORIZED) {
                return self.last(": the API key was revoked");
            }
            if let Err(e) = self.read().await {
                tracing::warn!(error = %e, "a stream ends: the store does not answer");
                return self.last(": events cannot be read at the moment: come back with the last id");
            }
        }
        None
    }

    /// Ends the stream with a word for whoever watches it.
    #[expect(clippy::unnecessary_wraps, reason = "the caller returns it as it is")]
    fn last(&mut self, why: &str) -> Option<Result<Bytes, Infallible>> {
        self.ended = true;
        Some(Ok(format!("{why}\n\n").into()))
    }

    async fn wait(&mut self) -> Woke {
        let options = &self.of.app.options;
        // Where positions are told of, nothing is looked for in between.
        let poll = tokio::time::sleep(if options.positions.is_some() { options.heartbeat } else { options.stream_poll });
        tokio::select! {
            biased;
            () = self.of.closing.cancelled() => Woke::Closing,
            _ = self.beat.tick() => Woke::Beat,
            () = self.wakes.any() => Woke::Look,
            () = poll => Woke::Look,
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        // Marked as seen before the log is read: what is stored meanwhile wakes the next wait.
        self.wakes.seen();
        let Following { app, scope, source, .. } = &mut self.of;
        let read = source.read(app, *scope, self.position).await?;
        self.more = read.more;
        self.position = read.to;
        self.page = read.items.into();
        while self.page.front().is_some_and(|(at, _)| *at <= self.after) {
            self.page.pop_front();
        }
        Ok(())
    }

    /// What fits one write. When nothing of a page is wanted the id alone goes out: a client that comes back need not wait for the walk again.
    fn write(&mut self) -> Bytes {
        let mut out = Vec::new();
        let mut passed = None;
        while out.len() < CHUNK {
            let Some((position, item)) = self.page.pop_front() else { break };
            passed = Some(position);
            if let Some(json) = self.of.source.shown(&item) {
                push(&mut out, &self.of.cursors.write(position), &json);
            }
        }
        if let Some(position) = passed.filter(|_| out.is_empty()) {
            out = format!("id: {}\n\n", self.of.cursors.write(position)).into_bytes();
        }
        out.into()
    }
}

/// One event. A payload keeps its line breaks as they came: each begins another line of data, and a carriage return, which would too, goes.
fn push(out: &mut Vec<u8>, id: &str, json: &[u8]) {
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(id.as_bytes());
    for line in json.split(|b| *b == b'\n') {
        out.extend_from_slice(b"\ndata: ");
        out.extend(line.iter().filter(|b| **b != b'\r'));
    }
    out.extend_from_slice(b"\n\n");
}
