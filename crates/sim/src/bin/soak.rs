//! The simulator for hours: as many seeds as one likes, a line of progress, and every seed that breaks a law.
//!
//! `cargo run --release -p tollgate-sim --bin soak -- --seeds 1000000 [--from 0] [--threads 2]`

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use tollgate_sim::{Batch, Mistake, batch};

const USAGE: &str = "usage: soak --seeds N [--from S] [--threads T]";
/// Broken seeds after which the rest is not worth the time.
const ENOUGH: usize = 10;
/// Seeds from one line of progress to the next, where nobody watches the line change.
const EVERY: u64 = 10_000;

struct Asked {
    seeds: u64,
    from: u64,
    threads: usize,
}

fn asked(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let (mut seeds, mut from, mut threads) = (None, 0, std::thread::available_parallelism().map_or(1, usize::from));
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("`{flag}` needs a number after it; {USAGE}"))?;
        let n: u64 = value.parse().map_err(|_| format!("`{flag}` needs a whole number, not `{value}`; {USAGE}"))?;
        match flag.as_str() {
            "--seeds" => seeds = Some(n),
            "--from" => from = n,
            "--threads" => threads = usize::try_from(n).unwrap_or(1).max(1),
            _ => return Err(format!("`{flag}` is not an option; {USAGE}")),
        }
    }
    let seeds = seeds.ok_or_else(|| format!("say how many seeds; {USAGE}"))?;
    Ok(Asked { seeds, from, threads })
}

/// What has come so far. A terminal that went away stops nothing.
fn progress(of: u64, b: &Batch) {
    let terminal = stderr().is_terminal();
    if !b.seeds.is_multiple_of(if terminal { 50 } else { EVERY }) && b.seeds != of {
        return;
    }
    let (start, end) = if terminal && b.seeds != of { ("\r", "") } else { ("", "\n") };
    let line =
        format!("{} of {of} seeds, {} actions, {} awaits, {} deaths, {} broken", b.seeds, b.actions, b.awaits, b.deaths, b.broken.len());
    let _ = write!(stderr(), "{start}{line}{end}");
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(e) => {
            let _ = writeln!(stderr(), "{e}");
            return ExitCode::from(2);
        }
    };
    let seeds = asked.from..asked.from.saturating_add(asked.seeds);
    let told = AtomicUsize::new(0);
    let done = batch(seeds, asked.threads, Mistake::None, ENOUGH, &|b| {
        // Told at once: whoever stops a long run has what it found.
        if told.swap(b.broken.len(), Ordering::Relaxed) < b.broken.len()
            && let Some(broken) = b.broken.last()
        {
            let _ = writeln!(stdout(), "{broken}");
        }
        progress(asked.seeds, b);
    });
    if done.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
