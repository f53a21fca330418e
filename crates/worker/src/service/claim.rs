//! Claims, and the tasks that take claimed steps to their commits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tollgate_core::id::SessionId;
use tollgate_core::ports::{Claimed, StoreError};

use super::run::{BEHIND_MAX, Shared};

/// Most steps of one claim.
pub(super) const CLAIM_MAX: usize = 64;
/// First and longest wait after the store could not serve.
pub(super) const WAIT_FIRST: Duration = Duration::from_millis(50);
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

type Loop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Claims whenever work is announced, a step ends while others wait, or the poll interval passes.
pub(super) fn steps(s: Arc<Shared>) -> Loop {
    Box::pin(async move {
        let mut wait = WAIT_FIRST;
        loop {
            match claim_all(&s).await {
                Ok(()) => wait = WAIT_FIRST,
                Err(e) => {
                    tracing::warn!(error = %e, "steps could not be claimed; trying again");
                    tokio::select! { biased;
                        () = s.stopping.cancelled() => return,
                        () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MAX),
                    }
                    continue;
                }
            }
            tokio::select! { biased;
                () = s.stopping.cancelled() => return,
                () = s.deps.signals.steps.notified() => {}
                () = s.idle.notified() => {}
                () = tokio::time::sleep(s.deps.signals.interval(s.options.poll)) => {}
            }
        }
    })
}

async fn claim_all(s: &Arc<Shared>) -> Result<(), StoreError> {
    let mut more = false;
    loop {
        s.look_at_ledger().await?;
        // After a claim that got all it asked for there is more.
        if s.behind() >= BEHIND_MAX || s.stopping.is_cancelled() || (!more && !s.deps.engine.exec.pending().await?) {
            s.waiting.store(false, Ordering::Release);
            return Ok(());
        }
        // What waits goes first: nothing new is handed to this worker past the queue.
        s.waiting.store(true, Ordering::Release);
        let free = s.free().min(CLAIM_MAX);
        if free == 0 {
            return Ok(());
        }
        let session = s.sessions.ensure().await?;
        match s.deps.engine.exec.claim(session, u32::try_from(free).unwrap_or(1)).await {
            // Others were faster, or what is ready may not begin yet: whoever changes that says so.
            Ok(claimed) if claimed.is_empty() => {
                s.waiting.store(false, Ordering::Release);
                return Ok(());
            }
            Ok(claimed) => {
                more = claimed.len() >= free;
                claimed.into_iter().for_each(|step| spawn(s, step));
            }
            Err(StoreError::LeaseLost) => s.sessions.lost(session),
            Err(e) => {
                // It may have claimed all the same.
                s.retire(session);
                return Err(e);
            }
        }
    }
}

/// Counts a step as under way for as long as it lives.
struct Busy(Arc<Shared>, SessionId);

impl Busy {
    fn new(s: &Arc<Shared>, session: SessionId) -> Self {
        s.busy.fetch_add(1, Ordering::AcqRel);
        s.sessions.begin(session);
        Self(Arc::clone(s), session)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        if self.0.sessions.end(self.1) {
            self.0.retiring.notify_one();
        }
        if self.0.waiting.load(Ordering::Acquire) {
            self.0.idle.notify_one();
        }
    }
}

/// Takes a step, and what its commits hand on, in a task of its own.
pub(super) fn spawn(s: &Arc<Shared>, step: Claimed) {
    let busy = Busy::new(s, step.lease.session);
    let shared = Arc::clone(s);
    s.tasks.spawn(async move {
        let _busy = busy;
        tokio::select! { biased;
            () = shared.aborting.cancelled() => {}
            () = drive(&shared, step) => {}
        }
    });
}

async fn drive(s: &Arc<Shared>, first: Claimed) {
    let engine = s.engine(first.lease.session);
    let mut queue = VecDeque::from([first]);
    while let Some(step) = queue.pop_front() {
        let mut next = take(s, &engine, step).await.into_iter();
        if engine.lost_an_answer() {
            s.retire(engine.session());
        }
        queue.extend(next.next());
        // Actions side by side get tasks of their own.
        next.for_each(|step| spawn(s, step));
    }
}

/// One step, for as long as the store cannot serve it: the step stays held meanwhile.
async fn take(s: &Shared, engine: &crate::Engine, step: Claimed) -> Vec<Claimed> {
    let mut wait = WAIT_FIRST;
    loop {
        match engine.step(step).await {
            Ok(next) => return next,
            Err(StoreError::LeaseLost) => {
                tracing::info!(run = %step.run, "another session took this step over");
                return Vec::new();
            }
            Err(e @ (StoreError::Unavailable(_) | StoreError::Held(_) | StoreError::Stale | StoreError::AnswerLost)) => {
                tracing::warn!(run = %step.run, error = %e, "a step waits for the store");
                s.retire(step.lease.session);
                if s.stopping.is_cancelled() {
                    return Vec::new();
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            Err(e) => {
                metrics::counter!("tollgate_steps_stuck_total").increment(1);
                tracing::error!(run = %step.run, error = %e, "a step cannot go on; it stays held until the worker restarts");
                return Vec::new();
            }
        }
    }
}

/// Closes sessions that may hold steps which nobody knows of, when all that is known of theirs is done.
pub(super) fn retirements(s: Arc<Shared>) -> Loop {
    Box::pin(async move {
        loop {
            tokio::select! { biased;
                () = s.stopping.cancelled() => return,
                () = s.retiring.notified() => {}
            }
            let mut wait = WAIT_FIRST;
            loop {
                match s.sessions.close_retired().await {
                    Ok(0) => break,
                    Ok(n) => {
                        tracing::info!(steps = n, "steps whose claim was never answered were handed back");
                        break;
                    }
                    Err(e) => tracing::warn!(error = %e, "a session could not be closed; trying again"),
                }
                tokio::select! { biased;
                    () = s.stopping.cancelled() => return,
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MAX),
                }
            }
        }
    })
}

/// Renews the session while it has work. An idle session lapses, and nothing is written.
pub(super) fn renewals(s: Arc<Shared>) -> Loop {
    Box::pin(async move {
        loop {
            tokio::select! { biased;
                () = s.aborting.cancelled() => return,
                () = s.stopping.cancelled(), if s.busy.load(Ordering::Acquire) == 0 => return,
                () = tokio::time::sleep(s.options.lease / 3) => {}
            }
            if s.busy.load(Ordering::Acquire) > 0
                && let Err(e) = s.sessions.renew().await
            {
                tracing::warn!(error = %e, "the worker's lease was not renewed");
            }
        }
    })
}
