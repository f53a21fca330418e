//! The queue as clients see it.

use serde::Serialize;
use tollgate_core::ports::{QUEUE_BOUND, QueueLine};
use tollgate_core::time::Timestamp;
use utoipa::ToSchema;

/// How much waits for workers with the same labels.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueDepthLine)]
pub(crate) struct QueueLineView {
    /// What a worker must have; empty for most steps.
    pub labels: Vec<String>,
    /// Steps that a worker could take now.
    pub ready: u64,
    /// Steps that wait for room under a limit.
    pub parked: u64,
    /// Steps that workers hold.
    pub held: u64,
    /// Steps that wait for a time.
    pub timers: u64,
    /// Age of the oldest ready step among those at the head of their queues, in seconds; null when none is ready.
    pub oldest_seconds: Option<f64>,
}

/// The queue of a tenant and mode.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueDepth)]
pub(crate) struct QueueView {
    /// Always `queue`.
    pub object: &'static str,
    /// Steps that a worker could take now.
    pub ready: u64,
    /// Steps that wait for room under a limit.
    pub parked: u64,
    /// Steps that workers hold.
    pub held: u64,
    /// Steps that wait for a time.
    pub timers: u64,
    /// Age of the oldest ready step among those at the head of their queues, in seconds; null when none is ready.
    pub oldest_seconds: Option<f64>,
    /// Whether a count reached its bound of 100,000: then there may be more.
    pub at_least: bool,
    /// The same by the labels that workers must have.
    pub by_labels: Vec<QueueLineView>,
}

fn age(oldest: Option<Timestamp>, now: Timestamp) -> Option<f64> {
    oldest.map(|at| now.since(at).as_secs_f64())
}

impl QueueView {
    /// As it is now.
    pub fn new(lines: &[QueueLine], now: Timestamp) -> Self {
        let sum = |of: fn(&QueueLine) -> u64| lines.iter().map(of).sum();
        let bound = u64::from(QUEUE_BOUND);
        let line = |l: &QueueLine| QueueLineView {
            labels: l.labels.clone(),
            ready: l.ready,
            parked: l.parked,
            held: l.held,
            timers: l.timers,
            oldest_seconds: age(l.oldest, now),
        };
        Self {
            object: "queue",
            ready: sum(|l| l.ready),
            parked: sum(|l| l.parked),
            held: sum(|l| l.held),
            timers: sum(|l| l.timers),
            oldest_seconds: age(lines.iter().filter_map(|l| l.oldest).min(), now),
            at_least: lines.iter().any(|l| [l.ready, l.parked, l.held, l.timers].iter().any(|n| *n >= bound)),
            by_labels: lines.iter().map(line).collect(),
        }
    }
}
