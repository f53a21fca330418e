//! Upkeep of a node's store: retention, statistics, epochs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tollgate_core::ledger::SignedCheckpoint;
use tollgate_core::ports::{Sealer, StoreStats};
use tollgate_core::scope::Mode;
use tollgate_spec::RetentionSettings;
use tollgate_store::Role;
use tollgate_worker::{Ages, Archive, EpochDesk, RetainDeps, Retention};

use super::place::{self, Place};
use super::{ArchiveFolder, Home, Node, NodeError, Setup, actor, scopes};

/// How often retention looks when nobody says otherwise.
const EVERY: Duration = Duration::from_secs(3600);

impl Node {
    /// Retention by these ages; entries go to this folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn retention(&self, ages: Ages, archive: Option<&Path>) -> Result<Retention, NodeError> {
        let open = |dir: &Path| ArchiveFolder::open(dir).map_err(|source| NodeError::File { path: dir.to_owned(), source });
        let archive = archive.map(open).transpose()?.map(|a| Arc::new(a) as Arc<dyn Archive>);
        let deps = RetainDeps {
            keep: Arc::clone(&self.store) as _,
            events: Arc::clone(&self.store) as _,
            ledger: Arc::clone(&self.store) as _,
            registry: Arc::clone(&self.store) as _,
            sealer: Arc::clone(&self.vault) as Arc<dyn Sealer>,
            signer: Arc::clone(&self.signer),
            archive,
        };
        Ok(Retention::new(deps, ages))
    }

    /// Lets retention run beside the rest, if the project says how long things are kept.
    ///
    /// # Errors
    /// When the archive's folder cannot be made.
    pub fn retain(&self, settings: &RetentionSettings, setup: &Setup) -> Result<(), NodeError> {
        let ages = Ages { events: settings.events, runs: settings.runs, ledger: settings.ledger };
        if ages.is_empty() {
            return Ok(());
        }
        if matches!(&setup.place, Place::Postgres(access) if access.admin.is_none()) {
            tracing::warn!("nothing is retired by this process, although `[retention]` says so: it needs DATABASE_ADMIN_URL");
            return Ok(());
        }
        let archive = settings.archive.as_ref().map(|a| setup.project.join(a));
        self.service.retain(self.retention(ages, archive.as_deref())?, settings.every.unwrap_or(EVERY));
        Ok(())
    }

    /// Begins an epoch, unless one is open.
    pub(super) async fn begin_epoch(&self) -> Result<(), NodeError> {
        let by = actor(Mode::Live).principal.label();
        self.epochs().begin(&scopes(), &by).await.map(drop).map_err(NodeError::Epoch)
    }

    /// Compares the ledger with what is kept outside. An epoch that was interrupted before it signed its own has said so.
    pub(super) async fn check(&self) -> Result<(), NodeError> {
        let mut cited = Vec::new();
        if let Some(epoch) = self.store.epoch().await? {
            let kept = self.store.epoch_logs(epoch.number).await?.into_iter().filter_map(|l| l.kept);
            cited.extend(kept.filter_map(|k| serde_json::from_str::<SignedCheckpoint>(&k).ok()));
        }
        self.signer.check_but(&cited).await.map_err(NodeError::Ledger)
    }

    /// Epochs of the store.
    pub fn epochs(&self) -> EpochDesk<'_> {
        EpochDesk::new(&self.desk, &*self.store)
    }
}

/// What there is in a store; an embedded one may be running.
///
/// # Errors
/// When it cannot be read.
pub async fn stats(setup: &Setup) -> Result<StoreStats, NodeError> {
    if matches!(setup.place, Place::Embedded) {
        return Ok(tollgate_store::stats_of(&setup.data.join("store.db"))?);
    }
    let home = Home::open(&setup.data)?;
    Ok(place::open(&setup.place, Role::Serve, &home, &Arc::default()).await?.stats().await?)
}
