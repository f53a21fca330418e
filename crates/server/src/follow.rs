//! One open stream of events: pages of the event log turned into server-sent events, then a wait for more. Knows no routes.

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tollgate_core::event::Event;
use tollgate_core::hash::Digest;
use tollgate_core::ports::StoreError;
use tollgate_core::route::matches;
use tollgate_core::scope::Scope;

use crate::cursor::StreamCursors;
use crate::deps::App;
use crate::error::ApiError;
use crate::view::event_json;

/// Events read at once: with the longest payloads this is what a stream holds in memory.
const PAGE: u32 = 16;
/// What is written at once, in bytes, unless one event is longer.
const CHUNK: usize = 64 * 1024;

/// Which events. What is not given fits all.
pub(crate) struct Filter {
    /// A glob.
    pub event_type: Option<String>,
    pub source: Option<String>,
    pub subject: Option<String>,
}

impl Filter {
    fn fits(&self, e: &Event) -> bool {
        self.event_type.as_deref().is_none_or(|glob| matches(glob, &e.event_type))
            && self.source.as_ref().is_none_or(|s| *s == e.source)
            && self.subject.as_ref().is_none_or(|s| e.subject.as_ref() == Some(s))
    }
}

/// What a stream is of.
pub(crate) struct Following {
    pub app: App,
    pub scope: Scope,
    /// Digest of the API key: looked up again while the stream is open.
    pub key: Digest,
    pub filter: Filter,
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
    /// The position of the last event that was read.
    position: u64,
    page: VecDeque<(u64, Event)>,
    /// The last page was full: there may be more behind it.
    more: bool,
    ended: bool,
    stored: watch::Receiver<u64>,
    beat: Interval,
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
    /// `service_unavailable`.
    pub async fn open(of: Following, position: u64) -> Result<Self, ApiError> {
        let stored = of.app.stored.subscribe();
        let mut beat = interval(of.app.options.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let mut it = Self { of, position, page: VecDeque::new(), more: true, ended: false, stored, beat };
        it.read().await?;
        Ok(it)
    }

    /// The next bytes; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        while !self.ended {
            if self.of.closing.is_cancelled() {
                return self.last("the service stops: come back with the last id");
            }
            if !self.page.is_empty() {
                self.beat.reset();
                return Some(Ok(self.write()));
            }
            if !self.more {
                if !self.of.follow {
                    return None;
                }
                match self.wait().await {
                    Woke::Closing => continue,
                    Woke::Beat => return Some(Ok(Bytes::from_static(b": still here\n\n"))),
                    Woke::Look => {}
                }
            }
            if self.of.app.authenticate(&self.of.key).await.is_err_and(|e| e.code.status() == http::StatusCode::UNAUTHORIZED) {
                return self.last("the API key was revoked");
            }
            if let Err(e) = self.read().await {
                tracing::warn!(error = %e, "a stream of events ends: the store does not answer");
                return self.last("events cannot be read at the moment: come back with the last id");
            }
        }
        None
    }

    /// Ends the stream with a word for people who watch it.
    #[expect(clippy::unnecessary_wraps, reason = "the caller returns it as it is")]
    fn last(&mut self, why: &str) -> Option<Result<Bytes, Infallible>> {
        self.ended = true;
        Some(Ok(format!(": {why}\n\n").into()))
    }

    async fn wait(&mut self) -> Woke {
        let poll = tokio::time::sleep(self.of.app.options.stream_poll);
        tokio::select! {
            biased;
            () = self.of.closing.cancelled() => Woke::Closing,
            _ = self.beat.tick() => Woke::Beat,
            // This process stored something; what others stored is seen with the poll.
            _ = self.stored.changed() => Woke::Look,
            () = poll => Woke::Look,
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        // Marked as seen before the log is read: what is stored meanwhile wakes the next wait.
        self.stored.borrow_and_update();
        let page = self.of.app.deps.events.events_after(self.of.scope, self.position, PAGE).await?;
        self.more = page.len() >= PAGE as usize;
        self.position = page.last().map_or(self.position, |(p, _)| *p);
        self.page = page.into();
        Ok(())
    }

    /// What fits one write. When nothing of a page is wanted the id alone goes out: a client that comes back need not wait for the walk again.
    fn write(&mut self) -> Bytes {
        let mut out = Vec::new();
        let mut passed = None;
        while out.len() < CHUNK {
            let Some((position, event)) = self.page.pop_front() else { break };
            passed = Some(position);
            if self.of.filter.fits(&event) {
                push(&mut out, &self.of.cursors.write(position), &event_json(&event));
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
