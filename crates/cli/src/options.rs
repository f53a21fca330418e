//! The worker's knobs, from the environment variables of the design.

use std::time::Duration;

use tollgate_worker::Options;

use crate::exit::Exit;
use crate::failure::Failure;

fn read<T: std::str::FromStr>(name: &str, what: &str) -> Result<Option<T>, Failure> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => match text.trim().parse() {
            Ok(v) => Ok(Some(v)),
            Err(_) => Err(Failure::new(Exit::Usage, format!("{name} is `{text}`: {what} is expected"))),
        },
    }
}

/// The worker's options.
///
/// # Errors
/// When a variable does not say what it should.
pub fn worker() -> Result<Options, Failure> {
    let mut options = Options::default();
    if let Some(n) = read::<usize>("WORKER_CONCURRENCY", "a whole number from 1")? {
        options.concurrency = n.max(1);
    }
    if let Some(n) = read::<u64>("WORKER_LEASE_SECONDS", "a whole number of seconds from 1")? {
        options.lease = Duration::from_secs(n.max(1));
    }
    if let Ok(text) = std::env::var("WORKER_POLL_INTERVAL") {
        options.poll =
            tollgate_core::time::parse_span(&text).map_err(|e| Failure::new(Exit::Usage, format!("WORKER_POLL_INTERVAL: {e}")))?;
    }
    Ok(options)
}
