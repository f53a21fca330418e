//! `bench ingest`: events in over HTTP, singly or as JSON lines; one in ten matches an operator, and its run is committed with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;

use super::load::{Connection, Watch, event};
use super::report::Report;
use super::spec::{MATCHING, OTHER};
use super::stage::Stage;
use super::{args::Setting, floor};
use crate::failure::Failure;

/// Runs it. `lines` events a request; 1 is singly.
pub async fn run(s: &Setting, lines: u64) -> Result<Report, Failure> {
    let stage = Arc::new(Stage::start(&s.dir, &s.ground).await?);
    let fdatasync = floor::fdatasync(&stage.dir)?;
    let group = usize::try_from(lines).unwrap_or(1) * floor::group(s.concurrency);
    let floor = stage.floor(1, group).await?;
    let next = Arc::new(AtomicU64::new(0));
    round(&stage, s, &next, lines, s.span / 5).await?;
    let watch = Watch::start();
    let latencies = round(&stage, s, &next, lines, s.span).await?;
    let took = watch.elapsed();
    let units = latencies.len() * usize::try_from(lines).unwrap_or(1);
    let name = if lines == 1 { "ingest".to_owned() } else { format!("ingest x{lines}") };
    let report = Report::new(&name, s.concurrency, latencies, units, took, floor, fdatasync);
    if let Ok(stage) = Arc::try_unwrap(stage).map_err(|_| ()) {
        stage.stop().await;
    }
    Ok(report)
}

async fn round(stage: &Arc<Stage>, s: &Setting, next: &Arc<AtomicU64>, lines: u64, span: Duration) -> Result<Vec<Duration>, Failure> {
    let watch = Watch::start();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..s.concurrency {
        let (stage, next) = (Arc::clone(stage), Arc::clone(next));
        tasks.spawn(async move {
            let mut connection = Connection::open(stage.addr, &stage.key).await?;
            let mut latencies = Vec::new();
            while watch.elapsed() < span {
                let first = next.fetch_add(lines, Ordering::Relaxed);
                let body = body(first, lines);
                let content_type = if lines == 1 { "application/json" } else { "application/x-ndjson" };
                let one = Watch::start();
                let status = connection.post("/v1/events", content_type, &[], Bytes::from(body)).await?;
                if !status.is_success() {
                    return Err(Failure::plain(format!("the server answered {status}")));
                }
                latencies.push(one.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    super::args::collect(tasks).await
}

fn body(first: u64, lines: u64) -> String {
    let mut out = String::new();
    for n in first..first + lines {
        out.push_str(&event(if n % 10 == 0 { MATCHING } else { OTHER }, n));
        out.push('\n');
    }
    out
}
