//! Time and randomness under the test's hand.

use std::sync::Arc;
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

/// A machine's own clock: the world's, and as wrong as the test sets it.
pub struct SkewedClock {
    world: Arc<SimClock>,
    /// Microseconds that it is ahead; behind when negative.
    ahead: Mutex<i64>,
}

impl SkewedClock {
    /// Right, for now.
    pub fn new(world: Arc<SimClock>) -> Self {
        Self { world, ahead: Mutex::new(0) }
    }

    /// Microseconds that it is ahead of the world.
    pub fn ahead(&self) -> i64 {
        *self.ahead.lock()
    }

    /// Jumps: this many microseconds ahead of the world from now on, or behind it.
    pub fn set_ahead(&self, micros: i64) {
        *self.ahead.lock() = micros;
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.world.now().as_micros() + *self.ahead.lock())
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
