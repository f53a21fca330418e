//! The queue: how much waits, by what its workers must have. For people, and for whatever starts and stops workers.

use std::time::Duration;

use axum::extract::State as AxumState;
use parking_lot::Mutex;
use tollgate_core::time::Timestamp;

use crate::auth::{Caller, perm};
use crate::deps::{App, State};
use crate::docs::ReadErrors;
use crate::view::QueueView;

use super::reply::{Reply, ok};

/// How old the figures of `/metrics` may be.
const FRESH: Duration = Duration::from_secs(5);

/// When the gauges were last set.
#[derive(Default)]
pub(crate) struct Gauged(Mutex<Option<Timestamp>>);

/// How much waits in this tenant and mode. Needs `runs:read`.
#[utoipa::path(get, path = "/v1/queue", tag = "runs", security(("api_key" = [])),
    responses((status = 200, description = "The queue", body = QueueView), ReadErrors))]
pub(crate) async fn get_queue(AxumState(app): AxumState<App>, caller: Caller<{ perm::RUNS_READ }>) -> Reply {
    let lines = app.deps.lists.queue(Some(caller.scope())).await?;
    Ok(ok(&QueueView::new(&lines, app.deps.ids.now())))
}

/// Sets the gauges of the queue of all tenants, unless they are fresh. Nothing is asked of the store while nobody looks at metrics.
pub(crate) async fn gauge(app: &State) {
    let now = app.deps.ids.now();
    {
        let mut last = app.gauged.0.lock();
        if last.is_some_and(|at| now.since(at) < FRESH) {
            return;
        }
        *last = Some(now);
    }
    let lines = match app.deps.lists.queue(None).await {
        Ok(lines) => lines,
        Err(e) => {
            tracing::warn!(error = %e, "the queue could not be counted for metrics");
            return;
        }
    };
    for line in QueueView::new(&lines, now).by_labels {
        let labels = line.labels.join(",");
        for (state, n) in [("ready", line.ready), ("parked", line.parked), ("held", line.held), ("timers", line.timers)] {
            #[allow(clippy::cast_precision_loss, reason = "a count of at most 100,000")]
            metrics::gauge!("tollgate_queue_depth", "state" => state, "labels" => labels.clone()).set(n as f64);
        }
        metrics::gauge!("tollgate_queue_oldest_seconds", "labels" => labels).set(line.oldest_seconds.unwrap_or_default());
    }
}
