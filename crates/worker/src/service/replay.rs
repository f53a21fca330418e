//! Replays: recorded events are offered again, slice by slice, under a new offering number.

use std::sync::Arc;
use std::time::Duration;

use tollgate_core::event::Event;
use tollgate_core::ports::{ReplayRange, ReplayState, StoreError};
use tollgate_core::route::{matches, offers};
use tollgate_core::scope::Scope;

use super::run::Shared;

/// Events of one slice: one transaction.
const SLICE: u32 = 256;
const PAUSE: Duration = Duration::from_secs(1);
/// A replay that another process began and did not end is found this late.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Moves every open replay on, whenever one is begun and at the start.
pub(super) async fn replays(s: Arc<Shared>) {
    loop {
        let open = advance_all(&s).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "a replay could not go on");
            true
        });
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = s.deps.signals.replays.notified() => {}
            () = tokio::time::sleep(if open { PAUSE } else { LOOK_EVERY }) => {}
        }
    }
}

/// Answers whether any is still open.
async fn advance_all(s: &Shared) -> Result<bool, StoreError> {
    let mut open = false;
    for (scope, mut state) in s.deps.events.open_replays().await? {
        while state.next < state.end {
            if s.stopping.is_cancelled() {
                return Ok(true);
            }
            match slice(s, scope, &state).await {
                Ok(moved) => state = moved,
                // Someone else moved it, or what is active changed: the next round reads again.
                Err(StoreError::Conflict(_) | StoreError::Stale) => {
                    open = true;
                    break;
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(open)
}

async fn slice(s: &Shared, scope: Scope, state: &ReplayState) -> Result<ReplayState, StoreError> {
    let bundles = &s.deps.engine.bundles;
    let Some(active) = bundles.active(scope) else { return Err(StoreError::Stale) };
    let events = s.deps.events.events_after(scope, state.next.saturating_sub(1), SLICE).await?;
    let last = events.last().map_or(state.end, |(position, _)| position + 1);
    let next = if events.len() < SLICE as usize { state.end } else { last.min(state.end) };
    let mut runs = Vec::new();
    for (_, event) in events.iter().filter(|(position, e)| *position < state.end && wanted(&state.range, e)) {
        let offered = offers(&active, event, state.range.operator.as_deref(), &s.deps.engine.ids);
        runs.extend(offered.into_iter().map(|run| (event.id, run)));
    }
    s.deps.events.advance_replay(scope, state.range.id, state.next, next, runs).await
}

fn wanted(range: &ReplayRange, event: &Event) -> bool {
    range.from.is_none_or(|from| event.received_at >= from)
        && range.to.is_none_or(|to| event.received_at < to)
        && range.event_type.as_deref().is_none_or(|glob| matches(glob, &event.event_type))
}
