//! Time and randomness under the test's hand.

use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tollgate_core::ports::{Clock, Entropy};
use tollgate_core::time::Timestamp;

/// A clock that stands until it is moved.
pub struct SimClock(Mutex<Timestamp>);

impl Default for SimClock {
    fn default() -> Self {
        Self(Mutex::new(Timestamp::from_micros(1_790_000_000_000_000)))
    }
}

impl SimClock {
    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        let mut now = self.0.lock();
        *now = now.plus(span);
    }

    /// Moves it forward to an instant; never back.
    pub fn advance_to(&self, at: Timestamp) {
        let mut now = self.0.lock();
        *now = (*now).max(at);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Randomness that a seed decides.
pub struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().fill_bytes(buffer);
    }
}
