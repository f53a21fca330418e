//! The service as a whole: its parts, its start, its stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, EventLog, Hands, LedgerLog, RunStands, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::claim;
use super::session::Sessions;
use super::{Options, Signals, Signer, publish, replay, sign, single, sweep};
use crate::engine::{Deps as EngineDeps, Engine};

/// A ledger that grows for this long without a checkpoint closes the gate.
pub(super) const BEHIND_MAX: Duration = Duration::from_secs(30);

/// How often a process that signs nothing looks whether somebody does, while it has work.
const LOOK: Duration = Duration::from_secs(5);

/// What a service works with.
pub struct Deps {
    /// The engine's.
    pub engine: EngineDeps,
    /// The event log.
    pub events: Arc<dyn EventLog>,
    /// The ledger.
    pub ledger: Arc<dyn LedgerLog>,
    /// Signs checkpoints; none in a process that only takes steps.
    pub signer: Option<Arc<Signer>>,
    /// Raised after commits.
    pub signals: Arc<Signals>,
}

/// What the loops share.
pub(super) struct Shared {
    pub(super) deps: Deps,
    pub(super) options: Options,
    pub(super) sessions: Sessions,
    pub(super) tasks: TaskTracker,
    /// No new steps from here on.
    pub(super) stopping: CancellationToken,
    /// Calls under way are given up.
    pub(super) aborting: CancellationToken,
    pub(super) busy: AtomicUsize,
    pub(super) waiting: AtomicBool,
    pub(super) idle: Notify,
    /// A session may be closed.
    pub(super) retiring: Notify,
    /// The entry that has been waiting for its position since this process first saw it do so, and when it looked last.
    unsigned: Mutex<Unsigned>,
}

#[derive(Clone, Copy, Default)]
struct Unsigned {
    oldest: Option<(u64, Timestamp)>,
    looked: Option<Timestamp>,
}

impl Shared {
    pub(super) fn free(&self) -> usize {
        self.options.concurrency.saturating_sub(self.busy.load(Ordering::Acquire))
    }

    /// A session may hold steps that nobody knows of.
    pub(super) fn retire(&self, session: SessionId) {
        self.sessions.retire(session);
        self.retiring.notify_one();
    }

    /// How long the ledger has been growing without a checkpoint, as far as this process knows.
    pub(super) fn behind(&self) -> Duration {
        match &self.deps.signer {
            Some(signer) => signer.behind(),
            None => self.unsigned.lock().oldest.map_or(Duration::ZERO, |(_, since)| self.deps.engine.ids.now().since(since)),
        }
    }

    /// Looks whether the ledger is signed, in a process that does not do it itself: nothing gets a position while nothing can be signed.
    pub(super) async fn look_at_ledger(&self) -> Result<(), StoreError> {
        let (now, before) = (self.deps.engine.ids.now(), *self.unsigned.lock());
        if self.deps.signer.is_some() || before.looked.is_some_and(|at| now.since(at) < LOOK) {
            return Ok(());
        }
        let waits = self.deps.ledger.waiting().await?;
        let oldest = waits.map(|n| before.oldest.filter(|(was, _)| *was == n).unwrap_or((n, now)));
        *self.unsigned.lock() = Unsigned { oldest, looked: Some(now) };
        Ok(())
    }

    pub(super) fn engine(&self, session: SessionId) -> Engine {
        Engine::new(self.deps.engine.clone(), session)
    }
}

/// A worker: takes steps to their commits until it is stopped.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    /// A service that does nothing yet.
    pub fn new(deps: Deps, options: Options) -> Self {
        let sessions = Sessions::new(Arc::clone(&deps.engine.exec), deps.engine.ids.clone(), options.lease, options.labels.clone());
        let shared = Shared {
            deps,
            options,
            sessions,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
            busy: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            idle: Notify::new(),
            retiring: Notify::new(),
            unsigned: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes over what an earlier process left, and starts every loop: this process does everything.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn start(&self) -> Result<(), StoreError> {
        self.take_over().await?;
        self.spawn_steps();
        self.spawn_control();
        self.shared.deps.signals.all();
        Ok(())
    }

    /// Starts what a control plane does: positions, checkpoints, replays, what time brings. It takes no steps.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn start_control(&self) -> Result<(), StoreError> {
        self.take_over().await?;
        self.spawn_control();
        self.shared.deps.signals.all();
        Ok(())
    }

    /// Starts what a worker does: it takes steps, and sees to what lapsed, since it may be the only process that lives.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn start_steps(&self) -> Result<(), StoreError> {
        self.take_over().await?;
        self.spawn_steps();
        self.shared.deps.signals.all();
        Ok(())
    }

    /// Starts what a worker for one run does: it takes this run's steps and no others. The receiver hears how the run stands when there is
    /// nothing left to do in it; nothing when it is not stored any more, or the service stops before.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn start_run(&self, scope: Scope, run: RunId) -> Result<oneshot::Receiver<RunStands>, StoreError> {
        self.take_over().await?;
        let (s, (over, heard)) = (&self.shared, oneshot::channel());
        s.tasks.spawn(single::steps(Arc::clone(s), (scope, run), over));
        self.spawn_keeping();
        s.deps.signals.all();
        Ok(heard)
    }

    async fn take_over(&self) -> Result<(), StoreError> {
        let s = &self.shared;
        s.deps.engine.exec.reap().await?;
        s.deps.engine.effects.wake_blocked().await?;
        s.tasks.spawn(sweep::timers(Arc::clone(s)));
        s.tasks.spawn(sweep::leases(Arc::clone(s)));
        Ok(())
    }

    fn spawn_steps(&self) {
        self.shared.tasks.spawn(claim::steps(Arc::clone(&self.shared)));
        self.spawn_keeping();
    }

    /// What keeps the sessions.
    fn spawn_keeping(&self) {
        let s = &self.shared;
        for task in [claim::renewals, claim::retirements] {
            s.tasks.spawn(task(Arc::clone(s)));
        }
    }

    fn spawn_control(&self) {
        let s = &self.shared;
        s.tasks.spawn(sweep::approvals(Arc::clone(s)));
        s.tasks.spawn(sweep::keys(Arc::clone(s)));
        s.tasks.spawn(replay::replays(Arc::clone(s)));
        s.tasks.spawn(publish::positions(Arc::clone(s)));
        if let Some(signer) = &s.deps.signer {
            s.tasks.spawn(sign::checkpoints(Arc::clone(s), Arc::clone(signer)));
        }
    }

    /// Lets retention run beside the steps, again after each span, until the service stops.
    pub fn retain(&self, retention: super::Retention, every: Duration) {
        let s = &self.shared;
        let ids = s.deps.engine.ids.clone();
        s.tasks.spawn(super::retain::retention(retention, every, s.stopping.clone(), move || ids.now()));
    }

    /// Stops: takes nothing new, waits for calls under way, hands the rest back, signs what was written.
    pub async fn stop(&self) {
        let s = &self.shared;
        s.stopping.cancel();
        s.tasks.close();
        if tokio::time::timeout(s.options.grace, s.tasks.wait()).await.is_err() {
            s.aborting.cancel();
            s.tasks.wait().await;
        }
        if let Err(e) = s.sessions.close().await {
            tracing::warn!(error = %e, "steps could not be handed back; they are when the lease lapses");
        }
        if let Some(signer) = &s.deps.signer
            && let Err(e) = signer.sign_all().await
        {
            tracing::warn!(error = %e, "the last checkpoint was not signed");
        }
    }

    /// Why no work may be taken now: the ledger has been growing for half a minute without a checkpoint.
    ///
    /// # Errors
    /// A message for people.
    pub fn gate(&self) -> Result<(), String> {
        let behind = self.shared.behind();
        if behind < BEHIND_MAX {
            return Ok(());
        }
        Err(format!("checkpoints have not been signed for {} s: the gate is closed until they are", behind.as_secs()))
    }

    /// Steps under way.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::Acquire)
    }
}

impl Hands for Service {
    fn session(&self) -> Option<SessionId> {
        if self.gate().is_err()
            || self.shared.stopping.is_cancelled()
            || self.shared.free() == 0
            || self.shared.waiting.load(Ordering::Acquire)
        {
            return None;
        }
        self.shared.sessions.current()
    }

    fn lost(&self, session: SessionId) {
        self.shared.retire(session);
    }

    fn take(&self, steps: Vec<Claimed>) {
        for step in steps {
            claim::spawn(&self.shared, step);
        }
    }
}
