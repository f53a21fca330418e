//! This machine's clock and randomness: the only place where they are read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tollgate_core::ports::{Clock, Entropy, IdSource};
use tollgate_core::time::Timestamp;

/// The machine's wall clock.
pub struct SystemClock;

/// How far this process lives ahead of the machine, in microseconds.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// From here on this process lives so far ahead of the machine's clock: a benchmark sees with it what becomes of things when they are old.
pub fn live_ahead(by: std::time::Duration) {
    AHEAD.store(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
}

/// The clock in the place of a database's own; none unless this process lives ahead of it.
pub fn clock_ahead() -> Option<std::sync::Arc<dyn Clock>> {
    (AHEAD.load(Ordering::Relaxed) > 0).then(|| std::sync::Arc::new(SystemClock) as _)
}

/// The latest instant that was given out, in microseconds.
static LATEST: AtomicI64 = AtomicI64::new(0);

/// Never runs backwards while the process lives, whatever is done to the machine's clock.
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "time enters the program here")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_micros()).unwrap_or(i64::MAX).saturating_add(AHEAD.load(Ordering::Relaxed));
        Timestamp::from_micros(LATEST.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

/// The operating system's randomness, taken in blocks: salts and ids need a few bytes thousands of times a second.
#[derive(Default)]
pub struct OsEntropy {
    pool: parking_lot::Mutex<Pool>,
}

struct Pool {
    bytes: Box<[u8; 4096]>,
    used: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { bytes: Box::new([0; 4096]), used: 4096 }
    }
}

impl Entropy for OsEntropy {
    #[expect(
        clippy::panic,
        reason = "asked once at the start, the system gives randomness for ever; without it no key, id or salt may be made"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        let mut pool = self.pool.lock();
        for piece in buffer.chunks_mut(256) {
            if pool.used + piece.len() > pool.bytes.len() {
                if let Err(e) = getrandom::fill(&mut *pool.bytes) {
                    panic!("the operating system gives no randomness: {e}");
                }
                pool.used = 0;
            }
            let end = pool.used + piece.len();
            let used = pool.used;
            if let Some(fresh) = pool.bytes.get_mut(used..end) {
                piece.copy_from_slice(fresh);
                // What was given out is not kept.
                fresh.fill(0);
            }
            pool.used = end;
        }
    }
}

/// Asks the system for randomness once: a process that could make no keys does not start.
///
/// # Errors
/// What the system says.
pub fn check_randomness() -> Result<(), getrandom::Error> {
    getrandom::fill(&mut [0; 32])
}

/// Ids, time and randomness of this process.
pub fn ids() -> IdSource {
    IdSource::new(std::sync::Arc::new(SystemClock), std::sync::Arc::new(OsEntropy::default()))
}
