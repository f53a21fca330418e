//! `bench chaos`, `bench rolling` and `bench idle` at the command line: run, printed, and their folder kept when a law is broken.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::report::ChaosReport;
use super::{idle as idling, rolling as rolled, run};
use crate::failure::Failure;
use crate::output::Output;

/// How hard.
#[derive(Debug, Args)]
pub struct Chaos {
    /// How long processes are hurt, and work comes in
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many events are sent; each leads to one action
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(4..=10_000_000))]
    actions: u64,
    /// How many runs of a graph of five steps are started; one of the steps is an action
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    graphs: u64,
    /// Lease of the workers' sessions, in seconds: stopped workers are stopped for longer
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    lease: u64,
    /// Of the chance that is the run's own: what the upstream does, who is hurt when and how
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the run's own folder; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A rolling restart.
#[derive(Debug, Args)]
pub struct Rolling {
    /// Events a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// How often every process is restarted
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// How long a stopping control plane goes on serving: longer than the balancer takes to notice
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = tollgate_core::time::parse_span)]
    drain: Duration,
    /// Of all chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the run's own folder; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Nothing to do.
#[derive(Debug, Args)]
pub struct Idle {
    /// How long statements are counted
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Folder for the run's own folder; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn folder(dir: Option<PathBuf>, prefix: &str) -> Result<tempfile::TempDir, Failure> {
    let parent = dir.unwrap_or_else(std::env::temp_dir);
    Ok(tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?)
}

fn bar(out: Output, seconds: Option<u64>) -> ProgressBar {
    if out.json {
        return ProgressBar::hidden();
    }
    let bar = seconds.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let shape = if seconds.is_some() { "{wide_bar} {pos}/{len} s of trouble" } else { "{spinner} {pos} s" };
    if let Ok(style) = ProgressStyle::with_template(shape) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// The folder is kept when something is wrong: the logs of every process are in it.
fn verdict(laws: &[&str], folder: tempfile::TempDir) -> Result<(), Failure> {
    if laws.is_empty() {
        return Ok(());
    }
    Err(Failure::plain(format!("broken: {}; {}", laws.join(", "), kept(folder))))
}

fn kept(folder: tempfile::TempDir) -> String {
    format!("the run's folder is kept: {}", folder.keep().display())
}

fn broke(e: &Failure, folder: tempfile::TempDir) -> Failure {
    Failure::new(e.exit, format!("{e}; {}", kept(folder)))
}

/// Runs it.
///
/// # Errors
/// With the name of each broken law.
pub async fn chaos(out: Output, c: Chaos) -> Result<(), Failure> {
    let folder = folder(c.dir, "tollgate-chaos-")?;
    let (span, lease) = (Duration::from_secs(c.seconds), Duration::from_secs(c.lease));
    let setting = run::Setting { span, actions: c.actions, graphs: c.graphs, seed: c.seed, lease };
    let bar = bar(out, Some(c.seconds));
    let happened = run::run(setting, folder.path(), &|s| bar.set_position(s)).await;
    bar.finish_and_clear();
    match happened {
        Err(e) => Err(broke(&e, folder)),
        Ok(happened) => {
            let report = ChaosReport::new(setting, happened);
            report.print(out);
            verdict(&report.common.laws(), folder)
        }
    }
}

/// Runs it.
///
/// # Errors
/// With the name of each broken law.
pub async fn rolling(out: Output, c: Rolling) -> Result<(), Failure> {
    let folder = folder(c.dir, "tollgate-rolling-")?;
    let setting = rolled::Setting { rate: c.rate, rounds: c.rounds, drain: c.drain, seed: c.seed };
    let bar = bar(out, None);
    let report = rolled::run(setting, folder.path(), &|s| bar.set_position(s)).await;
    bar.finish_and_clear();
    match report {
        Err(e) => Err(broke(&e, folder)),
        Ok(report) => {
            report.print(out);
            verdict(&report.common.laws(), folder)
        }
    }
}

/// Runs it.
///
/// # Errors
/// When a process does not start or end well.
pub async fn idle(out: Output, c: Idle) -> Result<(), Failure> {
    let folder = folder(c.dir, "tollgate-idle-")?;
    let path: &Path = folder.path();
    idling::run(Duration::from_secs(c.seconds), path).await?.print(out);
    Ok(())
}
