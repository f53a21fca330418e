//! The command line of the benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::task::JoinSet;

use super::ground::Ground;
use super::{chaos, crash, dedup, graphs, ingest, loop_, open, retention, scale};
use crate::failure::Failure;
use crate::output::Output;

/// What every benchmark takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Requests under way at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Seconds of measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Folder on the disk to measure; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The store: `embedded`, `private` for a Postgres server of its own, or an administrator's URL such as postgres://user@host/postgres,
    /// on whose server a database is made and dropped at the end
    #[arg(long, default_value = "embedded", value_name = "WHERE", value_parser = Ground::parse)]
    store: Ground,
}

/// Which benchmark.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Events in over HTTP; one in ten matches an operator
    Ingest {
        #[command(flatten)]
        common: Common,
        /// Events a request, as JSON lines; 1 is singly
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10000))]
        lines: u64,
    },
    /// The whole loop: event in, action governed and called, receipt durable
    Loop {
        #[command(flatten)]
        common: Common,
    },
    /// Repeated event keys
    Dedup {
        #[command(flatten)]
        common: Common,
    },
    /// Runs of graphs: so many at a time, each step durable before the next starts; `rate_per_s` counts steps
    Steps {
        #[command(flatten)]
        common: Common,
        /// Compute steps of one run, one after the other
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        steps: u16,
    },
    /// One-step runs enqueued, then drained
    Queue {
        #[command(flatten)]
        common: Common,
        /// How many
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
        count: u64,
    },
    /// Events with their receipts are written, grow old and are retired: bytes on disk, and their receipts from the archive
    Retention {
        #[command(flatten)]
        common: Common,
        /// How many
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
        events: u64,
    },
    /// An idle worker: from enqueueing to the start of the step
    Latency {
        #[command(flatten)]
        common: Common,
    },
    /// Claims on Postgres: with a large queue, beside a tenant that has very many, under an open snapshot
    Claims(scale::Claims),
    /// A large store after a clean stop: time to serve; memory and writes while idle
    Open(open::Open),
    /// Kill the node at random moments, and count what took effect
    Crash(crash::Crash),
    /// Many processes over one Postgres, killed and stopped at random: what took effect is counted, lanes, runs and the ledger are checked
    Chaos(chaos::Chaos),
    /// Every process restarted in its turn under load through a balancer: no request may fail
    Rolling(chaos::Rolling),
    /// A control plane and a worker that have nothing to do: the statements that they ask Postgres
    Idle(chaos::Idle),
    /// The process that `crash` kills
    #[command(hide = true)]
    CrashNode(crash::CrashNode),
}

/// A benchmark's setting.
pub struct Setting {
    pub concurrency: usize,
    pub span: Duration,
    pub dir: PathBuf,
    pub ground: Ground,
}

impl From<Common> for Setting {
    fn from(c: Common) -> Self {
        Self {
            concurrency: usize::from(c.concurrency),
            span: Duration::from_secs(c.seconds),
            dir: c.dir.unwrap_or_else(std::env::temp_dir),
            ground: c.store,
        }
    }
}

/// Runs it.
///
/// # Errors
/// When the load breaks or an answer is wrong: no figure is given then.
pub async fn run(out: Output, what: Bench) -> Result<(), Failure> {
    let report = match what {
        Bench::Ingest { common, lines } => ingest::run(&common.into(), lines).await?,
        Bench::Loop { common } => loop_::run(&common.into()).await?,
        Bench::Dedup { common } => dedup::run(&common.into()).await?,
        Bench::Steps { common, steps } => return graphs::steps(out, &common.into(), usize::from(steps)).await,
        Bench::Queue { common, count } => return graphs::queue(out, &common.into(), count).await,
        Bench::Retention { common, events } => return retention::run(out, &common.into(), events).await,
        Bench::Latency { common } => return graphs::latency(out, &common.into()).await,
        Bench::Claims(c) => return scale::run(out, c).await,
        Bench::Open(o) => return open::run(out, o).await,
        Bench::Crash(c) => return crash::crash(out, c).await,
        Bench::Chaos(c) => return chaos::chaos(out, c).await,
        Bench::Rolling(c) => return chaos::rolling(out, c).await,
        Bench::Idle(c) => return chaos::idle(out, c).await,
        Bench::CrashNode(c) => return crash::crash_node(out, c).await,
    };
    report.print(out);
    Ok(())
}

/// The latencies of all connections.
pub(super) async fn collect(mut tasks: JoinSet<Result<Vec<Duration>, Failure>>) -> Result<Vec<Duration>, Failure> {
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.append(&mut done.map_err(Failure::plain)??);
    }
    Ok(all)
}
