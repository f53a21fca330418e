//! Waiting for another process: look, sleep a little, look again, never for ever.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Looks until there is an answer or the time is over (`None`). At least one look is taken.
#[expect(clippy::disallowed_methods, reason = "another process is waited for: there is no clock to inject")]
pub(crate) fn poll<T, E>(within: Duration, mut look: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if start.elapsed() >= within {
            return Ok(None);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
