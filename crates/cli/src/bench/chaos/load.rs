//! What all these runs share: an installation with an upstream that misbehaves, events that are sent at a pace, and the verdict at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fleet::{Fleet, Knobs};
use super::graphs::{self, Started};
use super::slot::Doors;
use crate::bench::crash::effects::{Effects, Told};
use crate::bench::crash::facts::{self, Facts};
use crate::bench::crash::laws::{self, Broken, Case};
use crate::bench::crash::send::{self, Acknowledged, Orders, Released};
use crate::bench::crash::spec::{Kind, bundle};
use crate::bench::crash::upstream;
use crate::failure::Failure;
use crate::node::{Node, assemble};

/// An installation, and the system outside.
pub struct Ground {
    /// The processes' common part.
    pub fleet: Arc<Fleet>,
    /// The upstream's books.
    pub effects: Arc<Effects>,
    /// Where the control planes listen.
    pub doors: Arc<Doors>,
}

impl Ground {
    /// Lays it in a folder that is there.
    ///
    /// # Errors
    /// When there is no Postgres, or it does not start.
    pub async fn lay(dir: &Path, seed: u64, knobs: Knobs) -> Result<Self, Failure> {
        let effects = Arc::new(Effects::default());
        let upstream = upstream::start(seed, Arc::clone(&effects)).await?;
        let assembled = assemble(Arc::new(bundle(upstream)), dir).map_err(|f| Failure::plain(f.lines().join("\n")))?;
        let fleet = Arc::new(Fleet::lay(dir, &assembled, knobs).await?);
        Ok(Self { fleet, effects, doors: Arc::new(watch::Sender::new(BTreeMap::new())) })
    }
}

/// Something that is released bit by bit to tasks that work on it.
pub struct Flow<T> {
    released: watch::Sender<Released>,
    workers: JoinHandle<Result<Vec<T>, Failure>>,
}

impl<T> Flow<T> {
    /// So many may be worked on from now on.
    pub fn release(&self, below: u64) {
        self.released.send_modify(|r| r.below = r.below.max(below));
    }

    /// How many were released.
    pub fn below(&self) -> u64 {
        self.released.borrow().below
    }

    /// There will be no more; waits until all are done.
    ///
    /// # Errors
    /// When one could not be done.
    pub async fn end(self) -> Result<Vec<T>, Failure> {
        self.released.send_modify(|r| r.all = true);
        self.workers.await.map_err(Failure::plain)?
    }

    /// Whether its tasks ended before they should: one of them failed.
    pub fn is_broken(&self) -> bool {
        self.workers.is_finished()
    }
}

/// Events, sent to where these doors lead.
pub fn events(doors: &Doors, answer_within: Duration) -> Flow<Acknowledged> {
    let (released, seen) = watch::channel(Released::default());
    let workers = tokio::spawn(send::all(Orders { targets: doors.subscribe(), released: seen, answer_within }));
    Flow { released, workers }
}

/// Runs of graphs.
pub fn runs(node: Arc<Node>, fleet: &Fleet) -> Flow<Started> {
    let (released, seen) = watch::channel(Released::default());
    Flow { released, workers: tokio::spawn(graphs::start_all(node, fleet.bundle, seen)) }
}

/// What is left of a run, and what is wrong with it.
pub struct Verdict {
    /// From the store and its ledger.
    pub facts: Facts,
    /// From the upstream.
    pub told: BTreeMap<(Kind, String), Told>,
    /// Laws that do not hold.
    pub broken: Vec<Broken>,
}

/// Reads what every process left and judges it.
///
/// # Errors
/// When it cannot be read.
pub async fn judge(ground: &Ground, sent: u64, acknowledged: &[Acknowledged], started: &[Started]) -> Result<Verdict, Failure> {
    let node = ground.fleet.open().await?;
    let facts = facts::of(&node).await?;
    let told: BTreeMap<_, _> = ground.effects.all().into_iter().map(|(kind, op, told)| ((kind, op), told)).collect();
    let others: BTreeSet<_> = graphs::ops(started.len() as u64);
    let (order, lanes) = (ground.effects.order(), ground.effects.lanes());
    let case = Case { sent, acknowledged, others: &others, facts: &facts, told: &told, order: &order, lanes: &lanes };
    let mut broken = laws::judge(&case);
    broken.extend(graphs::judge(&node, started).await?);
    Ok(Verdict { facts, told, broken })
}
