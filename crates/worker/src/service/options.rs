//! How a worker service is set up.

use std::time::Duration;

use tollgate_core::terms::Labels;

/// The knobs of a worker, by the names of their environment variables.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// `WORKER_LABELS`: it takes only what requires no others; everything when none were named.
    pub labels: Labels,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 256,
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(5),
            retries_max: u32::MAX,
            grace: Duration::from_secs(10),
            labels: Labels::default(),
        }
    }
}
