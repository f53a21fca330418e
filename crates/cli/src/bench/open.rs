//! `bench open`: how long a store of many events takes to open and serve after a clean stop, and what the process costs while nothing happens.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::http::Method;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tollgate_core::scope::Mode;

use super::load::{Watch, event};
use super::spec::OTHER;
use crate::client::Client;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::output::Output;

/// Events of one request while the store is filled.
const BATCH: u64 = 1000;
/// Time to come to rest before idleness is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// How large.
#[derive(Debug, Args)]
pub struct Open {
    /// Events in the store
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    events: u64,
    /// Seconds of idleness to look at
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    idle: u64,
    /// Folder on the disk to measure; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Figures of one run.
#[derive(Debug, Serialize)]
struct Figures {
    /// Events in the store.
    events: u64,
    /// Size of the store's file.
    store_mb: u64,
    /// From the start of the process to the address it prints.
    listening_ms: f64,
    /// From the start of the process to its first answers: a list read, an event stored.
    serving_ms: f64,
    /// Resident memory at the end of the idle time.
    idle_rss_mb: f64,
    /// Bytes that the process sent to the disk while idle.
    idle_written_bytes: u64,
    /// Processor time while idle.
    idle_cpu_ms: u64,
}

/// Runs it.
///
/// # Errors
/// When the server does not start, or answers what it should not.
pub async fn run(out: Output, what: Open) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("tollgate-open-").tempdir_in(what.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    let project = folder.path().join("project");
    tollgate_spec::scaffold(&project, "open").map_err(Failure::plain)?;
    let mut server = Server::start(&project).await?;
    fill(&server.client, what.events).await?;
    server.stop().await?;

    let watch = Watch::start();
    server = Server::start(&project).await?;
    let listening = watch.elapsed();
    let last = server.client.json(Method::GET, "/v1/events?limit=1", None).await?;
    let stored: Value = server.client.json(Method::POST, "/v1/events", Some(&parse(&event(OTHER, what.events))?)).await?;
    let serving = watch.elapsed();
    if last["data"][0]["id"].as_str().is_none() || stored["id"].as_str().is_none() {
        return Err(Failure::plain("the server came back without its events"));
    }
    tokio::time::sleep(SETTLE).await;
    let before = server.usage()?;
    tokio::time::sleep(Duration::from_secs(what.idle)).await;
    let after = server.usage()?;
    let store_mb = std::fs::metadata(project.join(".tollgate/store.db"))?.len() >> 20;
    server.stop().await?;
    let figures = Figures {
        events: what.events + 1,
        store_mb,
        listening_ms: ms(listening),
        serving_ms: ms(serving),
        idle_rss_mb: after.rss_mb,
        idle_written_bytes: after.written - before.written,
        idle_cpu_ms: after.cpu_ms - before.cpu_ms,
    };
    print(out, &figures);
    Ok(())
}

fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 10_000.0).round() / 10.0
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(Failure::plain)
}

async fn fill(client: &Client, events: u64) -> Result<(), Failure> {
    let bar = ProgressBar::new(events);
    for first in (0..events).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let mut body = String::new();
        for n in first..(first + BATCH).min(events) {
            let _ = writeln!(body, "{}", event(OTHER, n));
        }
        let answer = client.send_as(Method::POST, "/v1/events", "application/x-ndjson", body.into_bytes()).await?;
        if !answer.status.is_success() {
            return Err(crate::client::refusal(&answer));
        }
        bar.set_position(first + BATCH);
    }
    bar.finish_and_clear();
    Ok(())
}

fn print(out: Output, f: &Figures) {
    if out.json {
        return out.value(&serde_json::to_value(f).unwrap_or_default());
    }
    out.table(
        &["bench", "events", "store_mb", "listening_ms", "serving_ms", "idle_rss_mb", "idle_written_bytes", "idle_cpu_ms"],
        &[vec![
            "open".to_owned(),
            f.events.to_string(),
            f.store_mb.to_string(),
            f.listening_ms.to_string(),
            f.serving_ms.to_string(),
            format!("{:.0}", f.idle_rss_mb),
            f.idle_written_bytes.to_string(),
            f.idle_cpu_ms.to_string(),
        ]],
    );
}

/// `tollgate dev` as a process of its own.
struct Server {
    process: Child,
    client: Client,
}

struct Usage {
    rss_mb: f64,
    written: u64,
    cpu_ms: u64,
}

impl Server {
    async fn start(project: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--project").arg(project).args(["--json", "dev", "--listen", "127.0.0.1:0"]).env("RUST_LOG", "error");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| Failure::plain("the server has no output"))?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.ok_or_else(|| Failure::plain("the server did not start; its message is above"))?;
        let url = parse(&line)?["url"].as_str().unwrap_or_default().to_owned();
        let keys = Keys::read(&project.join(".tollgate"))?;
        Ok(Self { process, client: Client::http(&url, keys.of(Mode::Live))? })
    }

    fn proc(&self, name: &str) -> Result<String, Failure> {
        let id = self.process.id().ok_or_else(|| Failure::plain("the server ended by itself"))?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{name}"))?)
    }

    fn usage(&self) -> Result<Usage, Failure> {
        let field = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let stat = self.proc("stat")?;
        let times: Vec<u64> =
            stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let rss_mb = field(&self.proc("status")?, "VmRSS:") as f64 / 1024.0;
        // Linux counts processor time in hundredths of a second.
        Ok(Usage { rss_mb, written: field(&self.proc("io")?, "write_bytes:"), cpu_ms: times.iter().sum::<u64>() * 10 })
    }

    /// As an operator stops it.
    async fn stop(mut self) -> Result<(), Failure> {
        let id = self.process.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.ok_or_else(|| Failure::plain("the server ended by itself"))?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM).map_err(Failure::plain)?;
        let status = self.process.wait().await?;
        if status.success() { Ok(()) } else { Err(Failure::plain(format!("the server ended with {status}"))) }
    }
}
