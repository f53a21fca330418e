//! `bench loop`: event in over HTTP, plan, gate, intent, call, receipt durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;

use super::load::{Connection, Watch, event};
use super::report::Report;
use super::spec::MATCHING;
use super::stage::Stage;
use super::{args::Setting, floor};
use crate::failure::Failure;

/// Rows that a governed action leaves at the least: event, run, action, intent, attempt, receipt, key.
const ROWS: usize = 7;

/// Runs it.
pub async fn run(s: &Setting) -> Result<Report, Failure> {
    let stage = Arc::new(Stage::start(&s.dir, &s.ground).await?);
    let fdatasync = floor::fdatasync(&stage.dir)?;
    let floor = stage.floor(ROWS, floor::group(s.concurrency)).await?;
    let next = Arc::new(AtomicU64::new(0));
    // Connections, caches and statements are warm before time is taken.
    round(&stage, s, &next, s.span / 5).await?;
    let watch = Watch::start();
    let latencies = round(&stage, s, &next, s.span).await?;
    let took = watch.elapsed();
    let units = latencies.len();
    let report = Report::new("loop", s.concurrency, latencies, units, took, floor, fdatasync);
    let (calls, asked) = (stage.calls.load(Ordering::Relaxed), next.load(Ordering::Relaxed));
    if calls != asked {
        return Err(Failure::plain(format!("{asked} actions were asked for, the upstream saw {calls} calls")));
    }
    if let Ok(stage) = Arc::try_unwrap(stage).map_err(|_| ()) {
        stage.stop().await;
    }
    Ok(report)
}

async fn round(stage: &Arc<Stage>, s: &Setting, next: &Arc<AtomicU64>, span: Duration) -> Result<Vec<Duration>, Failure> {
    let watch = Watch::start();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..s.concurrency {
        let (stage, next) = (Arc::clone(stage), Arc::clone(next));
        tasks.spawn(async move {
            let mut connection = Connection::open(stage.addr, &stage.key).await?;
            let mut latencies = Vec::new();
            while watch.elapsed() < span {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let done = stage.waiting.on(format!("bench:{n}"));
                let one = Watch::start();
                let status = connection.post("/v1/events", "application/json", &[], Bytes::from(event(MATCHING, n))).await?;
                if !status.is_success() {
                    return Err(Failure::plain(format!("the server answered {status}")));
                }
                tokio::time::timeout(Duration::from_secs(30), done)
                    .await
                    .map_err(|_| Failure::plain(format!("action {n} has no receipt after 30 s")))?
                    .map_err(|_| Failure::plain("the worker went away"))?;
                latencies.push(one.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    super::args::collect(tasks).await
}
