//! A worker for one run: it claims the run's steps and no others, until there is nothing left to do in it. News wake it; what it asks then is
//! one read, as long as nothing of its run waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tollgate_core::id::RunId;
use tollgate_core::ports::{RunStands, StoreError};
use tollgate_core::scope::Scope;

use super::claim::{CLAIM_MAX, WAIT_FIRST, WAIT_MAX, spawn};
use super::run::{BEHIND_MAX, Shared};

/// Between two looks. News say not of which run they are: while nothing of this one is under way here, the pause grows.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// What a look at the run found.
enum Look {
    /// Nothing is left to do in it.
    Over(RunStands),
    /// It goes on.
    Open,
    /// It is not stored any more.
    Gone,
}

/// Takes the run's steps until it is over, and says then how it stands.
pub(super) async fn steps(s: Arc<Shared>, of: (Scope, RunId), over: oneshot::Sender<RunStands>) {
    // Whatever ends here is looked after.
    s.waiting.store(true, Ordering::Release);
    let (mut wait, mut pause, mut warned) = (WAIT_FIRST, PAUSE_FIRST, false);
    loop {
        match look(&s, of, &mut warned).await {
            Ok(Look::Over(stands)) => {
                // Whoever asked may have gone.
                let _ = over.send(stands);
                return;
            }
            Ok(Look::Gone) => return,
            Ok(Look::Open) => wait = WAIT_FIRST,
            Err(e) => {
                tracing::warn!(run = %of.1, error = %e, "the steps of the run could not be claimed; trying again");
                tokio::select! { biased;
                    () = s.stopping.cancelled() => return,
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MAX),
                }
                continue;
            }
        }
        pause = if s.busy.load(Ordering::Acquire) > 0 { PAUSE_FIRST } else { (pause * 2).min(PAUSE_MAX) };
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = s.deps.signals.steps.notified() => {}
            // Changes of state: the run may have ended elsewhere.
            () = s.deps.signals.positions.notified() => {}
            () = s.idle.notified() => {}
            () = tokio::time::sleep(s.deps.signals.interval(s.options.poll)) => {}
        }
    }
}

async fn look(s: &Arc<Shared>, (scope, run): (Scope, RunId), warned: &mut bool) -> Result<Look, StoreError> {
    let exec = &s.deps.engine.exec;
    let Some(stands) = exec.stands(scope, run).await? else { return Ok(Look::Gone) };
    if stands.is_over() {
        return Ok(Look::Over(stands));
    }
    s.look_at_ledger().await?;
    while stands.waits && s.behind() < BEHIND_MAX && !s.stopping.is_cancelled() {
        let free = s.free().min(CLAIM_MAX);
        if free == 0 {
            break;
        }
        let session = s.sessions.ensure().await?;
        match exec.claim_of(session, scope, run, u32::try_from(free).unwrap_or(1)).await {
            Ok(found) => {
                if found.unfit > 0 && !*warned {
                    let steps = found.unfit;
                    tracing::warn!(%run, steps, "steps of the run require labels that this worker lacks: they wait for one that has them");
                    *warned = true;
                }
                found.claimed.into_iter().for_each(|step| spawn(s, step));
                break;
            }
            Err(StoreError::LeaseLost) => s.sessions.lost(session),
            Err(e) => {
                // It may have claimed all the same.
                s.retire(session);
                return Err(e);
            }
        }
    }
    Ok(Look::Open)
}
