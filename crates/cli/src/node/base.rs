//! What every process opens, whatever its part: the store, the vault, the bundles, and what news wake.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollgate_core::ports::{Bundles, Effects, IdSource, Ports, Registry, Sealer};
use tollgate_store::Role;
use tollgate_vault::Vault;
use tollgate_worker::{Deps, Graphs, Options, Signals};

use super::bundles::LiveBundles;
use super::keyring::Keyring;
use super::place::Wakes;
use super::{Home, NodeError, Place, place, scopes};
use crate::system;

/// Before what could not be read is read again.
const AGAIN: Duration = Duration::from_secs(1);

/// The part that all processes have.
pub(super) struct Base {
    pub(super) store: Arc<dyn Ports>,
    pub(super) vault: Arc<Vault>,
    pub(super) bundles: Arc<LiveBundles>,
    pub(super) signals: Arc<Signals>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) ids: IdSource,
    pub(super) following: Following,
}

/// The task that reads again what governs actions; stops when this is dropped.
pub(super) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Base {
    /// Opens it, in the order in which it may fail.
    pub(super) async fn open(place: &Place, role: Role, home: &Home, keyring: &Keyring, project: &Path) -> Result<Self, NodeError> {
        system::check_randomness().map_err(NodeError::Randomness)?;
        let ids = system::ids();
        let signals = Arc::new(Signals::default());
        let (changed, changes) = watch::channel(0);
        let wakes = Arc::new(Wakes { signals: Arc::clone(&signals), changes: changed });
        let store = place::open(place, role, home, &wakes).await?;
        let vault = Arc::new(keyring.vault(&store, &ids).await?);
        let bundles = Arc::new(LiveBundles::new(Arc::clone(&store) as Arc<dyn Registry>, project.to_owned()));
        let following = Following(tokio::spawn(follow(changes.clone(), Arc::clone(&bundles), Arc::clone(&vault))));
        Ok(Self { store, vault, bundles, signals, changes, ids, following })
    }

    /// What the engine works with.
    pub(super) fn engine(&self, effects: Arc<dyn Effects>, options: &Options) -> Deps {
        Deps {
            effects,
            exec: Arc::clone(&self.store) as _,
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            graphs: Graphs::new(Arc::new(tollgate_operators::GraphCompiler)).with_retries_max(options.retries_max),
            sealer: Arc::clone(&self.vault) as Arc<dyn Sealer>,
            ids: self.ids.clone(),
        }
    }
}

/// Reads again what governs actions, whenever any process changed it.
async fn follow(mut changes: watch::Receiver<u64>, bundles: Arc<LiveBundles>, vault: Arc<Vault>) {
    while changes.changed().await.is_ok() {
        vault.secrets_changed();
        for scope in scopes() {
            while let Err(e) = bundles.refresh(scope).await {
                tracing::warn!(error = %e, "what governs actions changed, and cannot be read; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
