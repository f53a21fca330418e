//! One random history, decided by its seed: workers that wait, sleep, die and lose answers at any await, remotes that lie, clocks that
//! jump, people who answer. In the end the world is brought to rest and every law is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tollgate_core::id::{ActionId, EventId, RunId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{DurableExec, StoreError};
use tollgate_core::spec::Ordering;
use tollgate_testkit::SkewedClock;
use tollgate_worker::Engine;

use crate::checks::{Fault, Law};
use crate::engine::Engine as Stands;
use crate::house::{House, HouseError, LEASE};
use crate::mistakes::Mistake;
use crate::tasks::{Polled, Tasks};

/// What a history was like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// A word over everything that happened: the same for the same seed.
    pub trace: u64,
    /// Awaits of workers.
    pub awaits: u64,
    /// Workers that died.
    pub deaths: u32,
    /// Actions proposed.
    pub actions: usize,
    /// Effects that were taken back.
    pub undone: usize,
    /// Runs of graphs that succeeded, and that ended otherwise.
    pub graphs: (usize, usize),
}

/// A history that broke a law.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seed {seed} breaks {} laws; run it again with TOLLGATE_SEED={seed}\n  {}", faults.len(), show(faults))]
pub struct Broken {
    /// The seed that shows it.
    pub seed: u64,
    /// Which laws, and how.
    pub faults: Vec<Fault>,
}

fn show(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// A worker as a process: its clock, and its session while it has one.
pub(crate) struct Worker {
    pub(crate) clock: Arc<SkewedClock>,
    pub(crate) engine: Option<Engine>,
}

/// A plan that was sent.
pub(crate) struct Sent {
    pub(crate) event: EventId,
    pub(crate) run: RunId,
    pub(crate) actions: usize,
}

/// A history under way.
pub(crate) struct History {
    pub(crate) h: House,
    pub(crate) rng: StdRng,
    pub(crate) ordering: Ordering,
    pub(crate) workers: Vec<Worker>,
    pub(crate) tasks: Tasks,
    /// The tool of each id: an id is a key, and an effect at the remote.
    pub(crate) tools: BTreeMap<String, &'static str>,
    pub(crate) sent: Vec<Sent>,
    /// Runs of graphs, and whether there are any: lanes outside the store know none of their actions.
    pub(crate) graphs: Vec<RunId>,
    pub(crate) has_graphs: bool,
    /// Steps that may be held at once.
    room: Option<u32>,
    /// Actions whose attempt had begun when their run was cancelled.
    pub(crate) under_way: BTreeSet<ActionId>,
    pub(crate) deaths: u32,
    pub(crate) faults: Vec<Fault>,
}

/// Runs one seed.
///
/// # Errors
/// When a law is broken.
pub fn run(seed: u64, mistake: Mistake) -> Result<Ran, Broken> {
    run_on(Stands::Sqlite, seed, mistake)
}

/// The same on an engine.
///
/// # Errors
/// As [`run`].
pub fn run_on(engine: Stands, seed: u64, mistake: Mistake) -> Result<Ran, Broken> {
    let history = pin!(tokio::task::unconstrained(History::run(engine, seed, mistake)));
    // Everything inside is polled by hand and time is virtual: nothing outside could wake it.
    match history.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok((ran, faults))) if faults.is_empty() => Ok(ran),
        Poll::Ready(Ok((_, faults))) => Err(Broken { seed, faults }),
        Poll::Ready(Err(e)) => Err(Broken { seed, faults: vec![Fault::new(Law::Rest, e.to_string())] }),
        Poll::Pending => Err(Broken { seed, faults: vec![Fault::new(Law::Rest, "the history waits for something outside of it")] }),
    }
}

impl History {
    async fn run(engine: Stands, seed: u64, mistake: Mistake) -> Result<(Ran, Vec<Fault>), HouseError> {
        let mut world = Self::new(engine, seed, mistake)?;
        // In every fourth, steps wait for room too.
        if mistake == Mistake::None && seed % 4 == 3 {
            let of_one = world.rng.random_range(1..3);
            let of_all = of_one + world.rng.random_range(0..3);
            world.h.limit(of_one, of_all).await?;
            world.room = Some(of_all);
        }
        for _ in 0..world.rng.random_range(20..120) {
            world.turn().await?;
            world.limits_hold().await?;
        }
        world.rest().await?;
        world.check().await?;
        let actions = world.sent.iter().map(|s| s.actions).sum();
        let all = world.h.actions().await?.into_values();
        let undone = all.filter(|a| a.compensates.is_some() && a.disposition == Some(Disposition::Applied)).count();
        let graphs = world.ends_of_graphs().await?;
        let ran = Ran { graphs, trace: world.h.fates.trace(), awaits: world.h.fates.awaits(), deaths: world.deaths, actions, undone };
        Ok((ran, world.faults))
    }

    /// No more steps are held than the limit over all of them allows.
    async fn limits_hold(&mut self) -> Result<(), HouseError> {
        let Some(room) = self.room else { return Ok(()) };
        let held: u64 = self.h.store.queue(None).await?.iter().map(|line| line.held).sum();
        if held > u64::from(room) {
            self.faults.push(Fault::new(Law::Limits, format!("{held} steps are held at once, and the limit is {room}")));
        }
        Ok(())
    }

    /// A worker's session: renewed while it stands, a new one when it was lost.
    pub(crate) async fn session(&mut self, i: usize) -> Result<Option<Engine>, HouseError> {
        let Some(worker) = self.workers.get_mut(i) else { return Ok(None) };
        if let Some(engine) = &worker.engine {
            match self.h.watch.renew(engine.session(), LEASE).await {
                Ok(()) => return Ok(worker.engine.clone()),
                Err(StoreError::LeaseLost) => {}
                Err(e) => return Err(e.into()),
            }
        }
        worker.engine = Some(self.h.worker_at(Arc::clone(&worker.clock)).await?);
        Ok(worker.engine.clone())
    }

    /// Lets a worker claim, and puts its work among everybody's.
    pub(crate) async fn claim(&mut self, i: usize, limit: u32) -> Result<usize, HouseError> {
        let Some(engine) = self.session(i).await? else { return Ok(0) };
        let claimed = match self.h.watch.claim(engine.session(), limit).await {
            Ok(claimed) => claimed,
            Err(StoreError::LeaseLost) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let n = claimed.len();
        for step in claimed {
            let engine = engine.clone();
            self.tasks.spawn(i, Box::pin(async move { engine.drive(step).await }));
        }
        Ok(n)
    }

    /// What a poll came to; `false` when there was nobody to poll.
    pub(crate) fn polled(&mut self, polled: Option<Polled>) -> bool {
        match polled {
            None => return false,
            Some(Polled::Waits) => {}
            Some(Polled::Died(worker)) => {
                self.deaths += 1;
                if let Some(w) = self.workers.get_mut(worker) {
                    w.engine = None;
                }
            }
            Some(Polled::Ended(
                Ok(()) | Err(StoreError::LeaseLost | StoreError::Unavailable(_) | StoreError::Held(_) | StoreError::AnswerLost),
            )) => {}
            // A configuration that never holds still, or a step that another took further: the step is tried again.
            Some(Polled::Ended(Err(StoreError::Stale | StoreError::Conflict(_)))) => {}
            Some(Polled::Ended(Err(e @ (StoreError::NotFound | StoreError::Corrupt(_))))) => {
                self.faults.push(Fault::new(Law::Complete, format!("a step ended with: {e}")));
            }
        }
        true
    }

    pub(crate) fn new(engine: Stands, seed: u64, mistake: Mistake) -> Result<Self, HouseError> {
        let mut rng = StdRng::seed_from_u64(seed);
        let strict = rng.random_range(0..3) == 0;
        // Lanes outside the store know no order of events.
        let ordering = if strict && !mistake.own_lanes() { Ordering::Strict } else { Ordering::Relaxed };
        let h = House::on(engine, seed, ordering, mistake)?;
        h.sealer.set("token", b"s1");
        let workers = (0..3).map(|_| Worker { clock: Arc::new(SkewedClock::new(Arc::clone(&h.clock))), engine: None }).collect();
        let tasks = Tasks::new(Arc::clone(&h.fates), Arc::clone(&h.clock));
        let mut world = Self {
            h,
            rng,
            ordering,
            workers,
            tasks,
            tools: BTreeMap::new(),
            sent: Vec::new(),
            graphs: Vec::new(),
            has_graphs: !mistake.own_lanes(),
            room: None,
            under_way: BTreeSet::new(),
            deaths: 0,
            faults: Vec::new(),
        };
        world.set_up();
        Ok(world)
    }

    /// Waits in virtual time.
    pub(crate) fn pass(&self, secs: u64) {
        self.h.clock.advance(Duration::from_secs(secs));
    }

    /// The place of each action in its operator's order.
    pub(crate) fn order(&self, runs: &BTreeMap<ActionId, (RunId, u32)>) -> BTreeMap<ActionId, (usize, u32)> {
        let place: BTreeMap<RunId, usize> = self.sent.iter().enumerate().map(|(i, s)| (s.run, i)).collect();
        runs.iter().filter_map(|(a, (run, seq))| Some((*a, (*place.get(run)?, *seq)))).collect()
    }
}
