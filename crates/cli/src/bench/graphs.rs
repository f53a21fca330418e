//! `bench steps`, `bench queue` and `bench latency`: runs of graphs on a real store, driven by the worker's own engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tollgate_core::graph::{GraphPlan, GraphSpec};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::plan::ProposedAction;
use tollgate_core::ports::{Blob, Claimed, NodeFault, Program, StartGraph};
use tollgate_core::run::RunState;
use tollgate_core::scope::Mode;
use tollgate_core::terms::Labels;
use tollgate_worker::Engine;

use super::args::{Setting, collect};
use super::load::Watch;
use super::report::{quantile_ms, round};
use super::stage::Stage;
use super::{floor, floor_postgres};
use crate::failure::Failure;
use crate::node::actor;
use crate::output::Output;

/// Longer than any benchmark: it renews no lease.
const LEASE: Duration = Duration::from_secs(7200);
/// Rows of a run that is enqueued: the run, its graph, its journal's first, its step, and the change that is told.
const ENQUEUED: usize = 5;
/// Steps of one claim while a queue is drained.
const CLAIM: u32 = 16;

/// Figures of one run.
#[derive(Debug, Serialize)]
struct Figures {
    bench: &'static str,
    store: &'static str,
    steps: usize,
    concurrency: usize,
    /// Steps a second; of `queue`, runs drained a second; of `latency`, runs a second.
    rate_per_s: f64,
    runs_per_s: f64,
    /// Of `queue`: runs started a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    enqueued_per_s: Option<f64>,
    /// A run from its start to its end; of `latency`, from its enqueueing to the start of its step.
    p50_ms: f64,
    p99_ms: f64,
    /// Processors that this process kept busy.
    cpu_cores: f64,
    /// What the bare statements that commit the same rows reach, in steps a second; of `queue`, runs that begin and end.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor_per_s: Option<f64>,
    /// Of `latency`: a bare commit of the rows that enqueue a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor_ms: Option<f64>,
    /// Of `queue`: both its halves together; of `latency`: the median.
    ratio_to_floor: f64,
}

impl Figures {
    fn print(&self, out: Output) {
        let value = serde_json::to_value(self).unwrap_or_default();
        if out.json {
            out.value(&value);
            return;
        }
        let Value::Object(fields) = value else { return };
        let (names, row): (Vec<String>, Vec<String>) =
            fields.into_iter().map(|(name, v)| (name, v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned))).unzip();
        out.table(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[row]);
    }
}

/// Runs of one graph on a stage.
struct Rig {
    stage: Stage,
    plan: Arc<GraphPlan>,
    session: SessionId,
}

fn line(steps: usize) -> Result<GraphSpec, Failure> {
    let step = |i: usize| match i {
        0 => json!({"name": "s0", "kind": {"compute": {"expression": "input.n + 1"}}}),
        i => {
            let before = format!("s{}", i - 1);
            json!({"name": format!("s{i}"), "depends_on": [before], "kind": {"compute": {"expression": format!("steps.{before}.output + 1")}}})
        }
    };
    let steps: Vec<Value> = (0..steps).map(step).collect();
    serde_json::from_value(json!({"name": "bench", "steps": steps})).map_err(Failure::plain)
}

impl Rig {
    async fn start(s: &Setting, steps: usize) -> Result<Self, Failure> {
        let stage = Stage::start(&s.dir, &s.ground).await?;
        let node = stage.node();
        let program = node.engine.graphs.compile(line(steps)?).map_err(Failure::plain)?;
        let session = SessionId::from_bytes(node.ids.uuid());
        node.engine.exec.open_session(session, LEASE, Labels::default()).await?;
        Ok(Self { plan: Arc::clone(program.plan()), session, stage })
    }

    fn store(&self) -> &'static str {
        if self.stage.private.is_some() { "postgres" } else { "embedded" }
    }

    /// Starts a run.
    async fn enqueue(&self, claim: bool) -> Result<(RunId, Option<Claimed>), Failure> {
        let node = self.stage.node();
        let (input, blob) = Blob::keep(&json!({"n": 1})).map_err(Failure::plain)?;
        let run = RunId::from_bytes(node.ids.uuid());
        let who = actor(Mode::Live);
        let command = StartGraph {
            terms: Default::default(),
            scope: who.scope,
            run,
            plan: Arc::clone(&self.plan),
            input,
            blob,
            principal: who.principal,
            bundle: self.stage.bundle,
            at: node.ids.now(),
            claim: claim.then_some(self.session),
        };
        let started = node.engine.exec.start_graph(command).await?;
        Ok((run, started.claimed.first().copied()))
    }

    fn engine(&self) -> Engine {
        Engine::new(self.stage.node().engine.clone(), self.session)
    }

    /// A run must have come to its end.
    async fn check(&self, run: RunId) -> Result<(), Failure> {
        let found = self.stage.node().store.run(actor(Mode::Live).scope, run).await?;
        match found.map(|r| r.state) {
            Some(RunState::Succeeded) => Ok(()),
            other => Err(Failure::plain(format!("the run {run} is {other:?}, not succeeded"))),
        }
    }

    async fn floor(&self, steps: usize, concurrency: usize) -> Result<f64, Failure> {
        match &self.stage.private {
            None => floor::graphs(&self.stage.dir, steps, floor::group(concurrency)),
            Some(private) => floor_postgres::graphs(&private.admin, steps, concurrency).await,
        }
    }

    /// A bare commit of the rows that enqueue a run, one at a time, in milliseconds.
    async fn commit_ms(&self) -> Result<f64, Failure> {
        let (per_s, together) = match &self.stage.private {
            None => (floor::inserts(&self.stage.dir, ENQUEUED, 1)?, 1.0),
            Some(private) => (floor_postgres::inserts(&private.admin, ENQUEUED, 1).await?, floor_postgres::TOGETHER),
        };
        Ok(1000.0 * together / per_s)
    }

    async fn stop(self: Arc<Self>) {
        if let Ok(rig) = Arc::try_unwrap(self).map_err(|_| ()) {
            rig.stage.stop().await;
        }
    }
}

/// Processor time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: state, and ten more before user and system time, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(n: usize, took: Duration) -> f64 {
    (n as f64 / took.as_secs_f64()).round()
}

/// `bench steps`: so many runs at a time, each from its start to its end.
pub async fn steps(out: Output, s: &Setting, steps: usize) -> Result<(), Failure> {
    let rig = Arc::new(Rig::start(s, steps).await?);
    let floor = rig.floor(steps, s.concurrency).await?;
    round_of_runs(&rig, s.concurrency, s.span / 5).await?;
    let (watch, before) = (Watch::start(), cpu());
    let mut latencies = round_of_runs(&rig, s.concurrency, s.span).await?;
    let (took, busy) = (watch.elapsed(), cpu().saturating_sub(before));
    let rate_per_s = rate(latencies.len() * steps, took);
    let figures = Figures {
        bench: "steps",
        store: rig.store(),
        steps,
        concurrency: s.concurrency,
        rate_per_s,
        runs_per_s: rate(latencies.len(), took),
        enqueued_per_s: None,
        p50_ms: quantile_ms(&mut latencies, 0.5),
        p99_ms: quantile_ms(&mut latencies, 0.99),
        cpu_cores: round(busy.as_secs_f64() / took.as_secs_f64()),
        floor_per_s: Some(floor.round()),
        floor_ms: None,
        ratio_to_floor: round(rate_per_s / floor),
    };
    rig.stop().await;
    figures.print(out);
    Ok(())
}

async fn round_of_runs(rig: &Arc<Rig>, concurrency: usize, span: Duration) -> Result<Vec<Duration>, Failure> {
    let (watch, mut tasks) = (Watch::start(), JoinSet::new());
    for _ in 0..concurrency {
        let rig = Arc::clone(rig);
        tasks.spawn(async move {
            let (engine, mut latencies, mut last) = (rig.engine(), Vec::new(), None);
            while watch.elapsed() < span {
                let one = Watch::start();
                let (run, claimed) = rig.enqueue(true).await?;
                engine.drive(claimed.ok_or_else(|| Failure::plain("the first step was not handed on"))?).await?;
                latencies.push(one.elapsed());
                last = Some(run);
            }
            if let Some(run) = last {
                rig.check(run).await?;
            }
            Ok::<_, Failure>(latencies)
        });
    }
    collect(tasks).await
}

/// `bench queue`: so many one-step runs enqueued, then drained by claims.
pub async fn queue(out: Output, s: &Setting, count: u64) -> Result<(), Failure> {
    let rig = Arc::new(Rig::start(s, 1).await?);
    // Nobody but the benchmark claims.
    rig.stage.node().service.stop().await;
    let floor = rig.floor(1, s.concurrency).await?;
    let (before, total) = (cpu(), Watch::start());
    let left = Arc::new(AtomicU64::new(count));
    let (watch, mut tasks) = (Watch::start(), JoinSet::new());
    for _ in 0..s.concurrency {
        let (rig, left) = (Arc::clone(&rig), Arc::clone(&left));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                let one = Watch::start();
                rig.enqueue(false).await?;
                latencies.push(one.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let enqueued = rate(collect(tasks).await?.len(), watch.elapsed());
    let (watch, mut tasks) = (Watch::start(), JoinSet::new());
    for _ in 0..s.concurrency {
        let rig = Arc::clone(&rig);
        tasks.spawn(async move {
            let (engine, mut latencies) = (rig.engine(), Vec::new());
            loop {
                let claimed = rig.stage.node().engine.exec.claim(rig.session, CLAIM).await?;
                if claimed.is_empty() {
                    return Ok::<_, Failure>(latencies);
                }
                for step in claimed {
                    let one = Watch::start();
                    engine.drive(step).await?;
                    latencies.push(one.elapsed());
                }
            }
        });
    }
    let mut latencies = collect(tasks).await?;
    if latencies.len() as u64 != count {
        return Err(Failure::plain(format!("{count} runs were enqueued and {} drained", latencies.len())));
    }
    let drained = rate(latencies.len(), watch.elapsed());
    let figures = Figures {
        bench: "queue",
        store: rig.store(),
        steps: 1,
        concurrency: s.concurrency,
        rate_per_s: drained,
        runs_per_s: drained,
        enqueued_per_s: Some(enqueued),
        p50_ms: quantile_ms(&mut latencies, 0.5),
        p99_ms: quantile_ms(&mut latencies, 0.99),
        cpu_cores: round(cpu().saturating_sub(before).as_secs_f64() / total.elapsed().as_secs_f64()),
        floor_per_s: Some(floor.round()),
        floor_ms: None,
        ratio_to_floor: round(enqueued * drained / (enqueued + drained) / floor),
    };
    rig.stop().await;
    figures.print(out);
    Ok(())
}

/// Tells when a step starts.
struct Told {
    inner: Arc<dyn Program>,
    started: Mutex<Option<oneshot::Sender<()>>>,
}

impl Program for Told {
    fn plan(&self) -> &Arc<GraphPlan> {
        self.inner.plan()
    }
    fn compute(&self, node: usize, context: &Value) -> Result<Value, NodeFault> {
        if let Some(tell) = self.started.lock().take() {
            // Who does not wait any more has its figure.
            let _ = tell.send(());
        }
        self.inner.compute(node, context)
    }
    fn propose(&self, node: usize, context: &Value) -> Result<ProposedAction, NodeFault> {
        self.inner.propose(node, context)
    }
}

/// `bench latency`: one run at a time on an idle worker, from its enqueueing to the start of its step.
pub async fn latency(out: Output, s: &Setting) -> Result<(), Failure> {
    let rig = Arc::new(Rig::start(s, 1).await?);
    let graphs = &rig.stage.node().engine.graphs;
    let inner = graphs.compile(line(1)?).map_err(Failure::plain)?;
    let told = Arc::new(Told { inner, started: Mutex::default() });
    graphs.keep(Arc::clone(&told) as _);
    let floor_ms = rig.commit_ms().await?;
    let (watch, before, mut latencies) = (Watch::start(), cpu(), Vec::new());
    while watch.elapsed() < s.span {
        let (tell, started) = oneshot::channel();
        *told.started.lock() = Some(tell);
        let one = Watch::start();
        rig.enqueue(false).await?;
        let waited = tokio::time::timeout(Duration::from_secs(30), started).await;
        waited.map_err(|_| Failure::plain("a step was not started after 30 s"))?.map_err(Failure::plain)?;
        latencies.push(one.elapsed());
        // The worker comes to rest.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let runs_per_s = rate(latencies.len(), watch.elapsed());
    let p50_ms = quantile_ms(&mut latencies, 0.5);
    let figures = Figures {
        bench: "latency",
        store: rig.store(),
        steps: 1,
        concurrency: 1,
        rate_per_s: runs_per_s,
        runs_per_s,
        enqueued_per_s: None,
        p50_ms,
        p99_ms: quantile_ms(&mut latencies, 0.99),
        cpu_cores: round(cpu().saturating_sub(before).as_secs_f64() / watch.elapsed().as_secs_f64()),
        floor_per_s: None,
        floor_ms: Some((floor_ms * 1000.0).round() / 1000.0),
        ratio_to_floor: round(p50_ms / floor_ms),
    };
    rig.stop().await;
    figures.print(out);
    Ok(())
}
