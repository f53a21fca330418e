//! Positions of events and changes: given right after they are stored, by whoever hears of it first. A store that gives them at commit has
//! nothing to do; streams are woken all the same.

use std::sync::Arc;
use std::time::Duration;

use super::run::Shared;

/// News closer together than this are one.
const COALESCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_secs(1);

/// Gives positions whenever something was stored, and at intervals while news of other processes do not come in.
pub(super) async fn positions(s: Arc<Shared>) {
    loop {
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = s.deps.signals.positions.notified() => {}
            () = tokio::time::sleep(s.deps.signals.interval(s.options.poll)) => {}
        }
        let mut wait = COALESCE;
        if let Err(e) = s.deps.events.publish().await {
            tracing::warn!(error = %e, "what was stored could not be given its positions; trying again");
            s.deps.signals.positions();
            wait = PAUSE;
        }
        s.deps.signals.give();
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
