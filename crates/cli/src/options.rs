//! The worker's knobs, from the environment variables of the design.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_core::terms::{Labels, check_label};
use tollgate_worker::Options;

use crate::exit::Exit;
use crate::failure::Failure;

const POLL_MIN: Duration = Duration::from_millis(10);
/// As much as the database shows of a connection's name, with what stands before it.
const NAME_MAX: usize = 40;

fn read<T: std::str::FromStr>(name: &str, what: &str) -> Result<Option<T>, Failure> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => match text.trim().parse() {
            Ok(v) => Ok(Some(v)),
            Err(_) => Err(Failure::new(Exit::Usage, format!("{name} is `{text}`: {what} is expected"))),
        },
    }
}

fn whole<T: std::str::FromStr + PartialOrd + std::fmt::Display>(name: &str, from: T, to: T) -> Result<Option<T>, Failure> {
    let expected = format!("a whole number from {from} to {to}");
    match read::<T>(name, &expected)? {
        Some(n) if n < from || n > to => Err(Failure::new(Exit::Usage, format!("{name} is {n}: {expected} is expected"))),
        n => Ok(n),
    }
}

/// The worker's options.
///
/// # Errors
/// When a variable does not say what it should.
pub fn worker() -> Result<Options, Failure> {
    let mut options = Options::default();
    if let Some(n) = whole::<usize>("WORKER_CONCURRENCY", 1, 10_000)? {
        options.concurrency = n;
    }
    if let Some(n) = whole::<u64>("WORKER_LEASE_SECONDS", 1, 86_400)? {
        options.lease = Duration::from_secs(n);
    }
    if let Some(n) = whole::<u32>("WORKER_MAX_RETRIES", 0, 1_000_000)? {
        options.retries_max = n;
    }
    if let Ok(text) = std::env::var("WORKER_POLL_INTERVAL") {
        let wrong = |e: String| Failure::new(Exit::Usage, format!("WORKER_POLL_INTERVAL: {e}"));
        options.poll = tollgate_core::time::parse_span(&text).map_err(wrong)?;
        if options.poll < POLL_MIN {
            return Err(wrong(format!("`{text}` is too short: 10ms is the shortest")));
        }
    }
    if let Ok(text) = std::env::var("WORKER_LABELS") {
        options.labels = labels(text.split(',').map(str::trim).filter(|l| !l.is_empty()))
            .map_err(|e| Failure::new(Exit::Usage, format!("WORKER_LABELS: {e}")))?;
    }
    Ok(options)
}

/// What a worker has.
///
/// # Errors
/// In words, when one is no label.
pub fn labels<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Labels, String> {
    let mut out = BTreeSet::new();
    for name in names {
        check_label(name).map_err(|e| format!("`{}`: {e}", name.escape_debug()))?;
        out.insert(name.to_owned());
    }
    Ok(Labels(Some(out)))
}

/// The worker's name: `WORKER_ID`, or the process id.
///
/// # Errors
/// When it is no name.
pub fn worker_id() -> Result<String, Failure> {
    let Ok(name) = std::env::var("WORKER_ID") else { return Ok(std::process::id().to_string()) };
    let fits = !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let expected = format!("1 to {NAME_MAX} letters, digits, `-`, `_` or `.` are expected");
    if fits { Ok(name) } else { Err(Failure::new(Exit::Usage, format!("WORKER_ID is `{}`: {expected}", name.escape_debug()))) }
}
