//! A process that only takes steps: no data folder, no signing key, no server.

use std::path::PathBuf;
use std::sync::Arc;

use tollgate_core::ports::{Bundles, DurableExec};
use tollgate_store::Role;
use tollgate_worker::{Options, Service, ServiceDeps};

use super::base::{Base, Following};
use super::keyring::Keyring;
use super::{Access, Home, NodeError, Place, scopes};

/// What a worker is opened with.
pub struct HandSetup {
    /// How the database is reached.
    pub access: Access,
    /// The project folder, where relative paths of connectors start.
    pub project: PathBuf,
    /// The folder of the installation's keys.
    pub keys: PathBuf,
    /// The worker's knobs.
    pub worker: Options,
}

/// A worker, not started.
pub struct Hand {
    /// Takes steps.
    pub service: Service,
    /// The store, as far as steps go.
    pub exec: Arc<dyn DurableExec>,
    #[expect(dead_code, reason = "held for its life")]
    following: Following,
}

impl Hand {
    /// Opens it.
    ///
    /// # Errors
    /// What keeps it from opening.
    pub async fn open(setup: HandSetup) -> Result<Self, NodeError> {
        let keyring = Keyring::of_reader(&setup.keys);
        let place = Place::Postgres(setup.access);
        let base = Base::open(&place, Role::Worker, &Home::there(&setup.keys), &keyring, &setup.project).await?;
        for scope in scopes() {
            base.bundles.refresh(scope).await?;
        }
        let deps = ServiceDeps {
            engine: base.engine(Arc::clone(&base.store) as _, &setup.worker),
            events: Arc::clone(&base.store) as _,
            ledger: Arc::clone(&base.store) as _,
            signer: None,
            signals: Arc::clone(&base.signals),
        };
        let exec = Arc::clone(&base.store) as _;
        Ok(Self { service: Service::new(deps, setup.worker), exec, following: base.following })
    }
}
