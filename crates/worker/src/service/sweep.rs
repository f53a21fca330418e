//! What time brings: timers, leases and approval requests that lapse, idempotency keys that are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tollgate_core::ports::StoreError;

use super::run::Shared;
use crate::desk::expire;

/// Timers of one transaction.
const TIMERS_MAX: u32 = 256;
/// Notifications closer together than this are one.
const COALESCE: Duration = Duration::from_millis(10);
/// The longest sleep: a clock that jumps is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How often lapsed approval requests are looked for; the database's clock judges them whenever they are answered.
const APPROVALS_EVERY: Duration = Duration::from_secs(15);
const KEYS_EVERY: Duration = Duration::from_secs(3600);
const KEYS_MAX: u32 = 1000;
const PAUSE: Duration = Duration::from_secs(1);

/// Makes due steps ready.
pub(super) async fn timers(s: Arc<Shared>) {
    loop {
        let wait = match s.deps.engine.exec.fire_timers(TIMERS_MAX).await {
            Ok((TIMERS_MAX, _)) => Duration::ZERO,
            Ok((_, next)) => next.map_or(SLEEP_MAX, |at| at.since(s.deps.engine.ids.now()).min(SLEEP_MAX)),
            Err(e) => {
                tracing::warn!(error = %e, "timers could not be read");
                PAUSE
            }
        };
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = s.deps.signals.timers.notified() => tokio::time::sleep(COALESCE).await,
        }
    }
}

/// Hands back what lapsed sessions held. A session lapses in a process that lives on when the machine sleeps or the store cannot write for
/// longer than a lease: its steps belong to nobody then, and nothing else would ever look at them.
pub(super) async fn leases(s: Arc<Shared>) {
    loop {
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(s.options.lease) => {}
        }
        match s.deps.engine.exec.reap().await {
            Ok(0) => {}
            Ok(n) => tracing::warn!(steps = n, "a lease lapsed; its steps are taken over"),
            Err(e) => tracing::warn!(error = %e, "steps of lapsed leases could not be handed back"),
        }
    }
}

/// Disposes actions whose request nobody answered in time: `expired`, never `denied`.
pub(super) async fn approvals(s: Arc<Shared>) {
    loop {
        if let Err(e) = lapsed(&s).await {
            tracing::warn!(error = %e, "lapsed approval requests could not be swept");
        }
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(APPROVALS_EVERY) => {}
        }
    }
}

async fn lapsed(s: &Shared) -> Result<(), StoreError> {
    for (scope, approval) in s.deps.engine.effects.lapsed_approvals(100).await? {
        match expire(&s.deps.engine, scope, approval).await {
            Ok(()) => {}
            // Someone answered first.
            Err(StoreError::Conflict(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Forgets idempotency keys whose time is over.
pub(super) async fn keys(s: Arc<Shared>) {
    loop {
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(KEYS_EVERY) => {}
        }
        loop {
            match s.deps.events.forget_keys(KEYS_MAX).await {
                Ok(n) if n == KEYS_MAX => {}
                Ok(_) => break,
                Err(e) => {
                    tracing::warn!(error = %e, "lapsed idempotency keys could not be forgotten");
                    break;
                }
            }
        }
    }
}
