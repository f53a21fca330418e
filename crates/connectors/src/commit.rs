//! The point of no return of one call, shared between who gives up on it and who performs it.
//!
//! A deadline may pass at the very moment when a connection takes the request. Exactly one side wins here: either the
//! call has begun, and its outcome is in doubt, or it is abandoned, and whoever comes to perform it must not.

use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

/// Whether the outside may have been touched.
#[derive(Debug, Default)]
pub(crate) struct Commit(AtomicU8);

impl Commit {
    /// The performing side asks to go on. `false`: the call was abandoned, nothing may happen any more.
    pub fn begin(&self) -> bool {
        match self.0.compare_exchange(OPEN, BEGUN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(seen) => seen == BEGUN,
        }
    }

    /// The waiting side gives up. `true`: nothing had begun, and nothing will.
    pub fn abandon(&self) -> bool {
        match self.0.compare_exchange(OPEN, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(seen) => seen == ABANDONED,
        }
    }

    /// Whether it was given up before it began.
    pub fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) == ABANDONED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_wins_and_stays_the_winner() {
        let begun = Commit::default();
        assert!(begun.begin() && begun.begin());
        assert!(!begun.abandon());
        assert!(begun.begin() && !begun.is_abandoned());

        let abandoned = Commit::default();
        assert!(abandoned.abandon() && abandoned.abandon());
        assert!(!abandoned.begin() && abandoned.is_abandoned());
    }

    #[test]
    fn a_race_never_has_two_winners() {
        for _ in 0..200 {
            let commit = Commit::default();
            let (begun, abandoned) = std::thread::scope(|s| {
                let a = s.spawn(|| commit.begin());
                let b = s.spawn(|| commit.abandon());
                (a.join().unwrap(), b.join().unwrap())
            });
            assert!(begun != abandoned);
        }
    }
}
