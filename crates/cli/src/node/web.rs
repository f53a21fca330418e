//! The server over a node: its ports, its readiness, its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tollgate_core::ports::{Bundles, Desk, EventLog, Sealer};
use tollgate_server::{Deps, Health, Options, router};
use tollgate_worker::{Service, Taking};

use super::{Node, scopes};

/// How late a key that another process revoked stops working when no news come in.
const KEYS_MAX_AGE: Duration = Duration::from_secs(1);

/// The process's metrics, installed once.
#[derive(Clone)]
pub struct Meter(PrometheusHandle);

impl Meter {
    /// Installs the recorder of this process. A second one in the same process only renders its own.
    pub fn install() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("metrics are recorded already");
        }
        Self(handle)
    }

    /// Everything counted so far.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Readiness of a process: not any more when it is about to stop.
pub struct Ready {
    /// What takes the work.
    pub service: Service,
    /// Set when the process is about to stop.
    pub leaving: Arc<AtomicBool>,
}

impl Health for Ready {
    fn ready(&self) -> Result<(), String> {
        if self.leaving.load(Ordering::Acquire) { Err("the process is stopping".to_owned()) } else { self.service.gate() }
    }
}

impl Node {
    /// The routes over this node.
    pub fn router(&self, meter: &Meter) -> Router {
        let log = Arc::clone(&self.store) as Arc<dyn EventLog>;
        let events = match self.part.hands(&self.service) {
            Some(hands) => Arc::new(Taking::new(log, hands)),
            None => log,
        };
        let deps = Deps {
            events,
            changes: Arc::clone(&self.store) as _,
            lists: Arc::clone(&self.store) as _,
            desk: Arc::clone(&self.desk) as Arc<dyn Desk>,
            ledger: Arc::clone(&self.store) as _,
            registry: Arc::clone(&self.store) as _,
            effects: Arc::clone(&self.store) as _,
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            sealer: Arc::clone(&self.vault) as Arc<dyn Sealer>,
            ids: self.ids.clone(),
            health: Arc::new(Ready { service: self.service.clone(), leaving: Arc::clone(&self.leaving) }),
            metrics: meter.0.clone(),
        };
        let mut options = Options {
            hooks: Some(scopes()[0]),
            changes: Some(self.changes.clone()),
            positions: Some(self.signals.given()),
            ..Options::default()
        };
        if self.is_shared {
            options.keys_max_age = KEYS_MAX_AGE;
        }
        router(deps, options)
    }
}
