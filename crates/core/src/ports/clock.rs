//! Time and randomness come from outside.

use crate::id::uuid_v7;
use crate::time::Timestamp;

/// Reads the time.
pub trait Clock: Send + Sync {
    /// Now, by this machine. Leases and expiries are judged by the store's clock instead.
    fn now(&self) -> Timestamp;
}

/// Gives randomness.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with random bytes, fit for keys and salts.
    fn fill(&self, buffer: &mut [u8]);
}

/// Makes ids out of a clock and randomness.
#[derive(Clone)]
pub struct IdSource {
    clock: std::sync::Arc<dyn Clock>,
    entropy: std::sync::Arc<dyn Entropy>,
}

impl IdSource {
    /// Ids from this clock and this randomness.
    pub fn new(clock: std::sync::Arc<dyn Clock>, entropy: std::sync::Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// The bytes of a new UUIDv7.
    pub fn uuid(&self) -> [u8; 16] {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        uuid_v7(self.clock.now().as_millis(), random)
    }

    /// Random bytes, fit for salts.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.entropy.fill(&mut out);
        out
    }

    /// 0 to 1000, for jitter.
    pub fn jitter(&self) -> u16 {
        u16::from_be_bytes(self.random()) % 1001
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
