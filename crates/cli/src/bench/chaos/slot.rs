//! The place of one process: what runs in it is hurt and started again until the trouble is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use super::trouble::{Next, Trouble, of_serve, of_worker};
use crate::bench::crash::send::Target;
use crate::bench::load::Watch;
use crate::child::Child;
use crate::failure::Failure;

/// A process is tried to be started for so long: the database may be down.
const START_WITHIN: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

/// What runs in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// A control plane.
    Serve,
    /// A worker.
    Worker,
}

/// How often what was done.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// SIGKILL.
    pub kills: u64,
    /// SIGSTOP and, later, SIGCONT.
    pub stops: u64,
}

/// Where events are taken, by slot.
pub type Doors = watch::Sender<BTreeMap<usize, Target>>;

/// A slot with its process.
pub struct Slot {
    fleet: Arc<Fleet>,
    doors: Arc<Doors>,
    part: Part,
    n: usize,
    child: Child,
    /// What was done to it.
    pub tally: Tally,
}

async fn start(fleet: &Fleet, doors: &Doors, part: Part, n: usize) -> Result<Child, Failure> {
    match part {
        Part::Worker => fleet.start_worker(n).await,
        Part::Serve => {
            let (child, target) = fleet.start_serve(n).await?;
            doors.send_modify(|d| drop(d.insert(n, target)));
            Ok(child)
        }
    }
}

impl Slot {
    /// Starts a process.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn open(fleet: &Arc<Fleet>, doors: &Arc<Doors>, part: Part, n: usize) -> Result<Self, Failure> {
        let child = start(fleet, doors, part, n).await?;
        Ok(Self { fleet: Arc::clone(fleet), doors: Arc::clone(doors), part, n, child, tally: Tally::default() })
    }

    fn name(&self) -> String {
        let part = if self.part == Part::Serve { "serve" } else { "worker" };
        format!("{part}-{}", self.n)
    }

    /// Hurts it until the trouble is over; then it runs.
    ///
    /// # Errors
    /// When it ended by itself, or does not start again.
    pub async fn suffer(mut self, seed: u64, lease: Duration, over: CancellationToken) -> Result<Self, Failure> {
        let name = self.name();
        for nth in 0.. {
            let Next { after, trouble } = match self.part {
                Part::Worker => of_worker(seed, &name, nth, lease),
                Part::Serve => of_serve(seed, &name, nth),
            };
            tokio::select! { biased;
                () = over.cancelled() => break,
                () = tokio::time::sleep(after) => {}
            }
            match trouble {
                Trouble::Kill => self = self.killed().await?,
                Trouble::Stop(span) => {
                    self.child.signal(Signal::STOP)?;
                    tokio::time::sleep(span).await;
                    self.child.signal(Signal::CONT)?;
                    self.tally.stops += 1;
                }
            }
        }
        Ok(self)
    }

    async fn killed(self) -> Result<Self, Failure> {
        let Self { fleet, doors, part, n, child, mut tally } = self;
        if part == Part::Serve {
            doors.send_modify(|d| drop(d.remove(&n)));
        }
        child.kill().await?;
        tally.kills += 1;
        let watch = Watch::start();
        loop {
            match start(&fleet, &doors, part, n).await {
                Ok(child) => return Ok(Self { fleet, doors, part, n, child, tally }),
                Err(e) if watch.elapsed() > START_WITHIN => return Err(e),
                // The database may just be down, as an operator's supervisor would find it.
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Stops it with SIGTERM and starts another in its place.
    ///
    /// # Errors
    /// When it does not end well, or does not start again.
    pub async fn restarted(self) -> Result<Self, Failure> {
        let Self { fleet, doors, part, n, child, tally } = self;
        child.stop().await?;
        let child = start(&fleet, &doors, part, n).await?;
        Ok(Self { fleet, doors, part, n, child, tally })
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn close(self) -> Result<(), Failure> {
        if self.part == Part::Serve {
            self.doors.send_modify(|d| drop(d.remove(&self.n)));
        }
        self.child.stop().await
    }
}
