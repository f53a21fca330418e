//! Positions of events: given right after they are stored, by whoever hears of it first. A store that gives them at commit has nothing to do.

use std::sync::Arc;
use std::time::Duration;

use super::run::Shared;

/// News closer together than this are one.
const COALESCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_secs(1);

/// Gives positions whenever the event log grew.
pub(super) async fn positions(s: Arc<Shared>) {
    loop {
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = s.deps.signals.events.notified() => {}
        }
        let mut wait = COALESCE;
        if let Err(e) = s.deps.events.publish().await {
            tracing::warn!(error = %e, "events could not be given their positions; trying again");
            s.deps.signals.events();
            wait = PAUSE;
        }
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
