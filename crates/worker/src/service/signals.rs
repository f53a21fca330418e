//! What wakes the loops of a service: notifications after commits, coalesced.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, watch};

/// Between two looks for work while news come in: none is lost, and this is for what nobody thought of.
const QUIET: std::time::Duration = std::time::Duration::from_secs(60);

/// One per process. Cheap to raise from the store's writer.
pub struct Signals {
    pub(crate) steps: Notify,
    pub(crate) timers: Notify,
    pub(crate) entries: Notify,
    pub(crate) positions: Notify,
    pub(crate) replays: Notify,
    grown: AtomicBool,
    /// Counts the news that the ledger grew: for whoever waits for a disposition.
    pub(crate) entered: watch::Sender<u64>,
    /// Counts how often positions were given: for streams.
    given: watch::Sender<u64>,
    /// News of other processes come in: nothing needs to be looked for at intervals.
    hears: AtomicBool,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            steps: Notify::new(),
            timers: Notify::new(),
            entries: Notify::new(),
            positions: Notify::new(),
            replays: Notify::new(),
            grown: AtomicBool::new(false),
            entered: watch::Sender::new(0),
            given: watch::Sender::new(0),
            hears: AtomicBool::new(false),
        }
    }
}

impl Signals {
    /// Steps became ready, or timers earlier.
    pub fn steps(&self) {
        self.steps.notify_one();
        self.timers.notify_one();
    }

    /// The ledger grew.
    pub fn entries(&self) {
        self.entered.send_modify(|n| *n = n.wrapping_add(1));
        if !self.grown.swap(true, Ordering::AcqRel) {
            self.entries.notify_one();
        }
    }

    /// Events or changes were stored that have no position yet.
    pub fn positions(&self) {
        self.positions.notify_one();
    }

    /// Counts how often positions were given to what any process stored.
    pub fn given(&self) -> watch::Receiver<u64> {
        self.given.subscribe()
    }

    /// Positions were given, or whoever waits for them should look all the same.
    pub(crate) fn give(&self) {
        self.given.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// A replay was begun.
    pub fn replays(&self) {
        self.replays.notify_one();
    }

    /// Whether news of other processes come in. While they do not, work is looked for at intervals.
    pub fn hears(&self, hears: bool) {
        self.hears.store(hears, Ordering::Release);
        self.steps.notify_one();
        self.positions.notify_one();
    }

    /// Everything, for whoever may have missed something.
    pub fn all(&self) {
        self.steps();
        self.entries();
        self.positions();
        self.replays();
    }

    /// How long to sleep between two looks for work.
    pub(crate) fn interval(&self, poll: std::time::Duration) -> std::time::Duration {
        if self.hears.load(Ordering::Acquire) { poll.max(QUIET) } else { poll }
    }

    /// Whether the ledger grew since this was last asked.
    pub(crate) fn take_grown(&self) -> bool {
        self.grown.swap(false, Ordering::AcqRel)
    }
}
