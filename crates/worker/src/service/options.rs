//! How a worker service is set up.

use std::time::Duration;

/// The knobs of a worker, by the names of their environment variables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// `WORKER_CONCURRENCY`: steps under way at once.
    pub concurrency: usize,
    /// `WORKER_LEASE_SECONDS`: how long a session's lease lasts without a renewal.
    pub lease: Duration,
    /// `WORKER_POLL_INTERVAL`: how often ready work is looked for when no notification comes.
    pub poll: Duration,
    /// `WORKER_MAX_RETRIES`: no step of a graph is tried again more often, whatever its spec says.
    pub retries_max: u32,
    /// How long a stopping worker waits for its calls before it hands their steps back.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let (lease, poll, grace) = (Duration::from_secs(30), Duration::from_secs(5), Duration::from_secs(10));
        Self { concurrency: 256, lease, poll, retries_max: u32::MAX, grace }
    }
}
