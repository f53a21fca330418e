//! `tollgate worker`: takes steps of the runs in a shared Postgres to their commits, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tollgate_core::id::RunId;
use tollgate_core::terms::Labels;
use tollgate_server::Health;

use super::one_run;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Hand, HandSetup, Meter, Ready};
use crate::serving::Stop;
use crate::store_args::StoreArgs;

/// The command line of `worker`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Environment: DATABASE_URL, TOLLGATE_KEYS or TOLLGATE_MASTER_KEY, WORKER_ID, WORKER_CONCURRENCY, WORKER_LEASE_SECONDS, \
    WORKER_POLL_INTERVAL, WORKER_MAX_RETRIES, WORKER_LABELS, RUN_ID\n\n\
    With RUN_ID=run_… it takes the steps of this run alone, until it has ended, and ends then itself: with 0 when it succeeded (or had nothing to \
    carry out), with 1 when it did not or a person must resolve a call, with 130 when the worker was stopped before."
)]
pub struct Worker {
    #[command(flatten)]
    store: StoreArgs,
    /// Address and port of /healthz, /readyz and /metrics; none when left out
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// What this worker has, such as `gpu`: it takes only steps that require nothing else [default: WORKER_LABELS; none]
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
}

/// Runs it until Ctrl-C or SIGTERM, or until the one run that it is for has ended; steps under way are finished or handed back.
///
/// # Errors
/// When the database or the keys cannot be used.
pub async fn run(cx: &Context, what: Worker) -> Result<(), Failure> {
    let named = one_run::named()?;
    let (mut access, mut worker, id) = (what.store.access()?, crate::options::worker()?, crate::options::worker_id()?);
    if !what.labels.is_empty() {
        let wrong = |e: String| Failure::new(Exit::Usage, format!("--label {e}"));
        worker.labels = crate::options::labels(what.labels.iter().map(String::as_str)).map_err(wrong)?;
    } else if worker.labels.0.is_none() {
        // Beside others it takes what anybody may take.
        worker.labels = Labels(Some(BTreeSet::new()));
    }
    let concurrency = worker.concurrency;
    access.name = format!("tollgate worker {id}");
    let keys = what.store.keys.clone().unwrap_or_else(|| cx.data_dir(None));
    let listener = match &what.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let hand = Hand::open(HandSetup { access, project: cx.project.clone(), keys, worker }).await?;
    let one = match named {
        Some(run) => match one_run::find(&*hand.exec, run).await? {
            (run, stands) if stands.is_over() => return run.ended(cx, &stands, true),
            (run, _) => Some(run),
        },
        None => None,
    };
    let leaving = Arc::new(AtomicBool::new(false));
    let about = listener.map(|(listener, addr)| {
        let ready = Ready { service: hand.service.clone(), leaving: Arc::clone(&leaving) };
        (addr, tokio::spawn(about(listener, ready)))
    });
    let over = match one {
        Some(run) => Some(hand.service.start_run(run.scope, run.id).await?),
        None => {
            hand.service.start_steps().await?;
            None
        }
    };
    let stop = Stop::catch()?;
    let addr = about.as_ref().map(|(addr, _)| *addr);
    greet(cx, &id, (concurrency, named), addr);
    let heard = match over {
        Some(over) => tokio::select! {
            () = stop.wait() => None,
            stands = over => stands.ok(),
        },
        None => {
            stop.wait().await;
            None
        }
    };
    leaving.store(true, Ordering::Release);
    hand.service.stop().await;
    if let Some((_, server)) = about {
        server.abort();
    }
    match one {
        Some(run) => run.report(cx, &*hand.exec, heard).await,
        None => Ok(()),
    }
}

/// The first line: it is ready.
fn greet(cx: &Context, id: &str, (concurrency, of): (usize, Option<RunId>), addr: Option<std::net::SocketAddr>) {
    let metrics = addr.map(|a| format!("http://{a}/metrics"));
    if cx.out.json {
        cx.out.line(serde_json::json!({"worker": id, "metrics": metrics, "run": of}).to_string());
        return;
    }
    let of = of.map_or_else(String::new, |run| format!(" of {run}"));
    cx.out.line(format!("{} worker {id}: up to {concurrency} steps{of} at once", cx.out.paint(1, "tollgate")));
    if let Some(metrics) = metrics {
        cx.out.line(format!("  metrics    {metrics}"));
    }
}

async fn listen(address: &str) -> Result<(TcpListener, std::net::SocketAddr), Failure> {
    let no = |e: std::io::Error| {
        let exit = if e.kind() == std::io::ErrorKind::InvalidInput { Exit::Usage } else { Exit::Failed };
        Failure::new(exit, format!("cannot listen on {address} for metrics: {e}"))
    };
    let listener = TcpListener::bind(address).await.map_err(no)?;
    let addr = listener.local_addr().map_err(no)?;
    Ok((listener, addr))
}

/// What a worker says of itself.
async fn about(listener: TcpListener, ready: Ready) {
    let (meter, ready) = (Meter::install(), Arc::new(ready));
    let readyz = move || {
        let ready = Arc::clone(&ready);
        async move {
            match ready.ready() {
                Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            }
        }
    };
    let metrics = move || {
        let meter = meter.clone();
        async move { ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], meter.render()) }
    };
    let router = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(readyz)).route("/metrics", get(metrics));
    if let Err(e) = axum::serve(listener, router).await {
        tracing::warn!(error = %e, "metrics are not served any more");
    }
}
