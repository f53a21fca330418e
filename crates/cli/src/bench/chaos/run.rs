//! The run of `bench chaos`: load, trouble, peace, verdict.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::fleet::{Fleet, Knobs};
use super::load::{Ground, Verdict, events, judge, runs};
use super::slot::{Part, Slot, Tally};
use super::trouble::of_backends;
use crate::bench::crash::send::Acknowledged;
use crate::bench::crash::settled::settled;
use crate::bench::load::Watch;
use crate::failure::Failure;
use crate::node::Private;

/// Control planes.
pub const SERVES: usize = 2;
/// Workers.
pub const WORKERS: usize = 3;
/// Longer than a control plane is stopped would be a wait for nothing: another one takes the event.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);
/// All work is done by then after the trouble, or something is stuck.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How long there is trouble, and load.
    pub span: Duration,
    /// Events, each of which leads to one action.
    pub actions: u64,
    /// Runs of graphs, each with one action.
    pub graphs: u64,
    /// Of all chance that is ours.
    pub seed: u64,
    /// Of workers' sessions.
    pub lease: Duration,
}

/// What happened.
pub struct Happened {
    /// Acknowledged events.
    pub acknowledged: Vec<Acknowledged>,
    /// Runs of graphs that were started.
    pub graphs: u64,
    /// What was done to workers, and to control planes.
    pub workers: Tally,
    /// See above.
    pub serves: Tally,
    /// Backends that were terminated.
    pub backends: u64,
    /// Postgres was dropped and started again so often.
    pub restarts: u64,
    /// From the end of the trouble until nothing was open.
    pub settled: Duration,
    /// What is left of it.
    pub verdict: Verdict,
}

/// Trouble of the database itself.
#[derive(Default)]
struct Database {
    backends: AtomicU64,
    restarts: AtomicU64,
}

/// Runs it in a folder that is there.
///
/// # Errors
/// When a process ends by itself or does not come back, an event is refused, or work does not end.
pub async fn run(setting: Setting, dir: &Path, progress: &dyn Fn(u64)) -> Result<Happened, Failure> {
    let ground = Ground::lay(dir, setting.seed, Knobs { lease: setting.lease, drain: Duration::ZERO, postgres: &[] }).await?;
    let mut slots = Vec::new();
    for (part, count) in [(Part::Serve, SERVES), (Part::Worker, WORKERS)] {
        for n in 1..=count {
            slots.push((part, Slot::open(&ground.fleet, &ground.doors, part, n).await?));
        }
    }
    let node = Arc::new(ground.fleet.open().await?);
    let (events, runs) = (events(&ground.doors, ANSWER_WITHIN), runs(node, &ground.fleet));
    let (over, database) = (CancellationToken::new(), Arc::new(Database::default()));
    let mut troubles = JoinSet::new();
    for (part, slot) in slots {
        let suffers = slot.suffer(setting.seed, setting.lease, over.clone());
        troubles.spawn(async move { Ok::<_, Failure>(Some((part, suffers.await?))) });
    }
    let of_database = trouble_database(Arc::clone(&ground.fleet), Arc::clone(&database), setting, over.clone());
    troubles.spawn(async move { of_database.await.map(|()| None) });
    let watch = Watch::start();
    while watch.elapsed() < setting.span {
        let share = |of: u64| u64::try_from(u128::from(of) * watch.elapsed().as_millis() / setting.span.as_millis().max(1)).unwrap_or(of);
        events.release(share(setting.actions).min(setting.actions));
        runs.release(share(setting.graphs).min(setting.graphs));
        progress(watch.elapsed().as_secs());
        if events.is_broken() || runs.is_broken() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            // Nobody's trouble ends before its time.
            Some(ended) = troubles.join_next() => {
                ended.map_err(Failure::plain)??;
                return Err(Failure::plain("a process was left alone before its time"));
            }
        }
    }
    over.cancel();
    let mut slots = Vec::new();
    while let Some(ended) = troubles.join_next().await {
        slots.extend(ended.map_err(Failure::plain)??);
    }
    events.release(setting.actions);
    runs.release(setting.graphs);
    let (acknowledged, started) = (events.end().await?, runs.end().await?);
    let peace = Watch::start();
    settled(&ground.doors.subscribe(), &ground.effects, SETTLED_WITHIN).await?;
    let settled = peace.elapsed();
    let (mut workers, mut serves) = (Tally::default(), Tally::default());
    // Workers first: the last checkpoint covers what they wrote.
    slots.sort_by_key(|(part, _)| *part == Part::Serve);
    for (part, slot) in slots {
        let of = if part == Part::Serve { &mut serves } else { &mut workers };
        *of = Tally { kills: of.kills + slot.tally.kills, stops: of.stops + slot.tally.stops };
        slot.close().await?;
    }
    let verdict = judge(&ground, setting.actions, &acknowledged, &started).await?;
    let (backends, restarts) = (database.backends.load(Ordering::Relaxed), database.restarts.load(Ordering::Relaxed));
    Ok(Happened { acknowledged, graphs: started.len() as u64, workers, serves, backends, restarts, settled, verdict })
}

/// Terminates backends, and drops the whole server once in the middle.
async fn trouble_database(fleet: Arc<Fleet>, tally: Arc<Database>, setting: Setting, over: CancellationToken) -> Result<(), Failure> {
    let watch = Watch::start();
    for nth in 0.. {
        let (after, count) = of_backends(setting.seed, nth);
        tokio::select! { biased;
            () = over.cancelled() => return Ok(()),
            () = tokio::time::sleep(after) => {}
        }
        if watch.elapsed() > setting.span / 2 && tally.restarts.load(Ordering::Relaxed) == 0 {
            fleet.private.crash_and_restart().await?;
            tally.restarts.fetch_add(1, Ordering::Relaxed);
        } else {
            tally.backends.fetch_add(terminate(&fleet.private, count).await?, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Terminates that many connections of our processes.
async fn terminate(private: &Private, count: u64) -> Result<u64, Failure> {
    let (client, connection) = tokio_postgres::connect(&private.admin, NoTls).await.map_err(said)?;
    let connection = tokio::spawn(connection);
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT a.pid FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
        WHERE a.datname = current_database() AND NOT r.rolsuper ORDER BY random() LIMIT $1) AS t";
    let row = client.query_one(sql, &[&i64::try_from(count).unwrap_or(1)]).await.map_err(said)?;
    connection.abort();
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

fn said(e: tokio_postgres::Error) -> Failure {
    Failure::plain(e.as_db_error().map_or_else(|| e.to_string(), ToString::to_string))
}
