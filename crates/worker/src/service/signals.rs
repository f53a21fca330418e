//! What wakes the loops of a service: notifications after commits, coalesced.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// One per process. Cheap to raise from the store's writer.
#[derive(Default)]
pub struct Signals {
    pub(crate) steps: Notify,
    pub(crate) timers: Notify,
    pub(crate) entries: Notify,
    pub(crate) events: Notify,
    pub(crate) replays: Notify,
    grown: AtomicBool,
}

impl Signals {
    /// Steps became ready, or timers earlier.
    pub fn steps(&self) {
        self.steps.notify_one();
        self.timers.notify_one();
    }

    /// The ledger grew.
    pub fn entries(&self) {
        if !self.grown.swap(true, Ordering::AcqRel) {
            self.entries.notify_one();
        }
    }

    /// The event log grew by events that have no position yet.
    pub fn events(&self) {
        self.events.notify_one();
    }

    /// A replay was begun.
    pub fn replays(&self) {
        self.replays.notify_one();
    }

    /// Whether the ledger grew since this was last asked.
    pub(crate) fn take_grown(&self) -> bool {
        self.grown.swap(false, Ordering::AcqRel)
    }
}
