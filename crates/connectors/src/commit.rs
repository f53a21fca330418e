//! The point of no return of one call, shared between who gives up on it and who performs it.
//!
//! A deadline may pass at the very moment when a connection takes the request. Exactly one side wins here: either the
//! call has begun, and its outcome is in doubt, or it is abandoned, and whoever comes to perform it must not. Nor may
//! it after the deadline: a process that was stopped meanwhile wakes up with its timers not yet heard, and by now
//! another may have asked the remote, heard no, and called.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

/// Whether the outside may have been touched.
#[derive(Debug)]
pub(crate) struct Commit {
    state: AtomicU8,
    /// No call begins after it.
    deadline: Instant,
}

impl Commit {
    /// Of a call that has this long.
    pub fn within(left: Duration) -> Self {
        let now = Instant::now();
        // A deadline that no clock can hold is none.
        let deadline = now.checked_add(left).unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400));
        Self { state: AtomicU8::new(OPEN), deadline }
    }

    /// The performing side asks to go on. `false`: the call was abandoned, or is too late: nothing may happen any more.
    pub fn begin(&self) -> bool {
        let to = if Instant::now() < self.deadline { BEGUN } else { ABANDONED };
        match self.state.compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => to == BEGUN,
            Err(seen) => seen == BEGUN,
        }
    }

    /// The waiting side gives up. `true`: nothing had begun, and nothing will.
    pub fn abandon(&self) -> bool {
        match self.state.compare_exchange(OPEN, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(seen) => seen == ABANDONED,
        }
    }

    /// Whether it was given up before it began.
    pub fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::Acquire) == ABANDONED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_begins_after_the_deadline() {
        let late = Commit::within(Duration::ZERO);
        assert!(!late.begin() && late.is_abandoned() && late.abandon());
        assert!(!late.begin(), "not on another try either");
    }

    #[test]
    fn one_side_wins_and_stays_the_winner() {
        let begun = Commit::within(LONG);
        assert!(begun.begin() && begun.begin());
        assert!(!begun.abandon());
        assert!(begun.begin() && !begun.is_abandoned());

        let abandoned = Commit::within(LONG);
        assert!(abandoned.abandon() && abandoned.abandon());
        assert!(!abandoned.begin() && abandoned.is_abandoned());
    }

    #[test]
    fn a_race_never_has_two_winners() {
        for _ in 0..200 {
            let commit = Commit::within(LONG);
            let (begun, abandoned) = std::thread::scope(|s| {
                let a = s.spawn(|| commit.begin());
                let b = s.spawn(|| commit.abandon());
                (a.join().unwrap(), b.join().unwrap())
            });
            assert!(begun != abandoned);
        }
    }
}
