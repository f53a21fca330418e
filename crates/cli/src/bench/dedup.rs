//! `bench dedup`: the same events again, under keys that were used before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;

use super::load::{Connection, Watch, event};
use super::report::Report;
use super::spec::OTHER;
use super::stage::Stage;
use super::{args::Setting, floor};
use crate::failure::Failure;

/// Distinct events that are repeated.
const DISTINCT: u64 = 2000;

/// Runs it.
pub async fn run(s: &Setting) -> Result<Report, Failure> {
    let stage = Arc::new(Stage::start(&s.dir, &s.ground).await?);
    let fdatasync = floor::fdatasync(&stage.dir)?;
    let floor = stage.floor(1, floor::group(s.concurrency)).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut first = Connection::open(stage.addr, &stage.key).await?;
    for n in 0..DISTINCT {
        post(&mut first, n, StatusCode::CREATED).await?;
    }
    let watch = Watch::start();
    let latencies = round(&stage, s, &next).await?;
    let took = watch.elapsed();
    let units = latencies.len();
    let report = Report::new("dedup", s.concurrency, latencies, units, took, floor, fdatasync);
    drop(first);
    if let Ok(stage) = Arc::try_unwrap(stage).map_err(|_| ()) {
        stage.stop().await;
    }
    Ok(report)
}

async fn post(connection: &mut Connection, n: u64, want: StatusCode) -> Result<(), Failure> {
    let key = format!("bench-{n}");
    let status = connection.post("/v1/events", "application/json", &[("idempotency-key", &key)], Bytes::from(event(OTHER, n))).await?;
    if status == want { Ok(()) } else { Err(Failure::plain(format!("event {n} was answered {status}, not {want}"))) }
}

async fn round(stage: &Arc<Stage>, s: &Setting, next: &Arc<AtomicU64>) -> Result<Vec<Duration>, Failure> {
    let (watch, span) = (Watch::start(), s.span);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..s.concurrency {
        let (stage, next) = (Arc::clone(stage), Arc::clone(next));
        tasks.spawn(async move {
            let mut connection = Connection::open(stage.addr, &stage.key).await?;
            let mut latencies = Vec::new();
            while watch.elapsed() < span {
                let n = next.fetch_add(1, Ordering::Relaxed) % DISTINCT;
                let one = Watch::start();
                post(&mut connection, n, StatusCode::OK).await?;
                latencies.push(one.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    super::args::collect(tasks).await
}
