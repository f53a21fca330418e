//! The server over a node: its ports, its readiness, its metrics.

use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tollgate_core::ports::{Bundles, Desk, EventLog, Hands, Sealer};
use tollgate_server::{Deps, Health, Options, router};
use tollgate_worker::{Service, Taking};

use super::{Node, scopes};

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
}

struct Ready(Service);

impl Health for Ready {
    fn ready(&self) -> Result<(), String> {
        self.0.gate()
    }
}

impl Node {
    /// The routes over this node.
    pub fn router(&self, meter: &Meter) -> Router {
        let hands = Arc::new(self.service.clone()) as Arc<dyn Hands>;
        let deps = Deps {
            events: Arc::new(Taking::new(Arc::clone(&self.store) as Arc<dyn EventLog>, hands)),
            lists: Arc::clone(&self.store) as _,
            desk: Arc::clone(&self.desk) as Arc<dyn Desk>,
            ledger: Arc::clone(&self.store) as _,
            registry: Arc::clone(&self.store) as _,
            effects: Arc::clone(&self.store) as _,
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            sealer: Arc::clone(&self.vault) as Arc<dyn Sealer>,
            ids: self.ids.clone(),
            health: Arc::new(Ready(self.service.clone())),
            metrics: meter.0.clone(),
        };
        let options = Options { hooks: Some(scopes()[0]), ..Options::default() };
        router(deps, options)
    }
}
