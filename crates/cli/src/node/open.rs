//! Opens a node: everything that a process needs to serve one project, in the order in which it may fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;
use tollgate_core::entries::new_entry;
use tollgate_core::id::{DeploymentId, EntryId, ResellerId, TenantId};
use tollgate_core::ledger::{Body, Change, Subject};
use tollgate_core::ports::{Actor, Bundles, Deploy, Effects, Hands, IdSource, Ports, StoreError, VaultError};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::terms::Rules;
use tollgate_core::verdict::Principal;
use tollgate_store::{OpenError, Role, SetupError};
use tollgate_vault::Vault;
use tollgate_worker::{Counter, CounterDeps, Deps, Keeper, Options, Service, ServiceDeps, Signals, Signer};

use super::base::{Base, Following};
use super::bundles::LiveBundles;
use super::keyring::Keyring;
use super::{Assembled, Home, HomeError, Place};

/// Why a node does not open.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No randomness.
    #[error("the operating system gives no randomness, without which no key can be made: {0}")]
    Randomness(getrandom::Error),
    /// A copy of the store.
    #[error(transparent)]
    Backup(#[from] tollgate_store::BackupError),
    /// An epoch was not begun.
    #[error("the epoch of the restored store was not begun: {0}")]
    Epoch(tollgate_core::ports::DeskError),
    /// The ledger is not the one that was signed.
    #[error("{0}")]
    Ledger(String),
    /// The ledger was signed, and its key is not here.
    #[error("the ledger's signing key is missing: put `{0}` back, or name the folder that has it with --keys")]
    NoSigningKey(PathBuf),
    /// A file of the data folder.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: std::io::Error,
    },
}

/// The one tenant of an embedded store, live and test.
pub fn scopes() -> [Scope; 2] {
    let one = |mode| Scope { reseller_id: ResellerId::from_bytes([0; 16]), tenant_id: TenantId::from_bytes([0; 16]), mode };
    [one(Mode::Live), one(Mode::Test)]
}

/// The person at the command line.
pub fn actor(mode: Mode) -> Actor {
    let [live, test] = scopes();
    let scope = if mode == Mode::Live { live } else { test };
    Actor { scope, principal: Principal::System("cli".to_owned()) }
}

/// What a node is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The data folder.
    pub data: PathBuf,
    /// The project folder, where relative paths of connectors start.
    pub project: PathBuf,
    /// The folder of the installation's keys; the data folder when there is none.
    pub keys: Option<PathBuf>,
    /// Where the store is.
    pub place: Place,
    /// The worker's knobs.
    pub worker: Options,
    /// What the process does.
    pub part: Part,
}

/// What a process that serves does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Part {
    /// Everything, steps too.
    #[default]
    All,
    /// The control plane: workers of other processes take the steps.
    Control,
}

impl Part {
    /// The worker that may be handed new steps; none where steps are other processes' work.
    pub fn hands(self, service: &Service) -> Option<Arc<dyn Hands>> {
        (self == Self::All).then(|| Arc::new(service.clone()) as Arc<dyn Hands>)
    }
}

impl Setup {
    /// Everything in the data folder.
    pub fn embedded(data: &Path, project: &Path, worker: Options) -> Self {
        Self { data: data.to_owned(), project: project.to_owned(), keys: None, place: Place::Embedded, worker, part: Part::All }
    }
}

/// Everything of one process.
pub struct Node {
    /// The data folder.
    pub home: Home,
    /// The store, behind every port.
    pub store: Arc<dyn Ports>,
    /// The vault.
    pub vault: Arc<Vault>,
    /// Compiled bundles.
    pub bundles: Arc<LiveBundles>,
    /// Signs checkpoints.
    pub signer: Arc<Signer>,
    /// The worker, not started.
    pub service: Service,
    /// The desk.
    pub desk: Arc<Counter>,
    /// What a worker works with.
    pub engine: Deps,
    /// Ids and time.
    pub ids: IdSource,
    /// What this process does.
    pub part: Part,
    /// Other processes may work over the same store.
    pub is_shared: bool,
    /// Counts changes of what governs actions, whichever process made them.
    pub changes: watch::Receiver<u64>,
    /// What wakes its loops and streams.
    pub signals: Arc<Signals>,
    /// Set when the process is about to stop: it is not ready any more.
    pub leaving: Arc<AtomicBool>,
    #[expect(dead_code, reason = "held for its lock, released when dropped")]
    held: Option<std::fs::File>,
    #[expect(dead_code, reason = "held for its life")]
    following: Following,
}

impl Node {
    /// Opens a node. Nothing runs yet.
    ///
    /// # Errors
    /// What keeps it from opening; nothing was changed then.
    pub async fn open(setup: &Setup) -> Result<Self, NodeError> {
        Self::open_with(setup, |effects| effects).await
    }

    /// The same with a decorator round the effects.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(setup: &Setup, wrap: impl FnOnce(Arc<dyn Effects>) -> Arc<dyn Effects>) -> Result<Self, NodeError> {
        let node = Self::unchecked(setup, wrap).await?;
        if matches!(setup.place, Place::Embedded) && tollgate_store::is_restored(&node.home.path("store.db"))? {
            node.begin_epoch().await?;
        }
        node.check().await?;
        Ok(node)
    }

    /// Opens a node on a database that was restored, and begins its epoch, unless one is open.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_in_epoch(setup: &Setup) -> Result<Self, NodeError> {
        let node = Self::unchecked(setup, |effects| effects).await?;
        node.begin_epoch().await?;
        node.check().await?;
        Ok(node)
    }

    async fn unchecked(setup: &Setup, wrap: impl FnOnce(Arc<dyn Effects>) -> Arc<dyn Effects>) -> Result<Self, NodeError> {
        let home = Home::open(&setup.data)?;
        let held = if matches!(setup.place, Place::Embedded) { None } else { Some(home.hold()?) };
        let keyring = Keyring::of_signer(setup.keys.as_deref().unwrap_or(&setup.data))?;
        let base = Base::open(&setup.place, Role::Serve, &home, &keyring, &setup.project).await?;
        let store = Arc::clone(&base.store);
        let is_shared = held.is_some();
        let [live, test] = scopes();
        let signed = is_shared && (store.checkpoint(live).await?.is_some() || store.checkpoint(test).await?.is_some());
        let key = keyring.signing(&base.vault, signed, &base.ids)?;
        let keeper = Arc::new(home.clone()) as Arc<dyn Keeper>;
        let signer = Arc::new(Signer::new(key, Arc::clone(&store) as _, keeper, scopes().to_vec(), base.ids.clone()));
        if is_shared {
            signer.check_key().await.map_err(NodeError::Ledger)?;
        }
        let engine = base.engine(wrap(Arc::clone(&store) as _), &setup.worker);
        let deps = ServiceDeps {
            engine: engine.clone(),
            events: Arc::clone(&store) as _,
            ledger: Arc::clone(&store) as _,
            signer: Some(Arc::clone(&signer)),
            signals: Arc::clone(&base.signals),
        };
        let service = Service::new(deps, setup.worker.clone());
        let desk = Arc::new(Counter::new(CounterDeps {
            engine: engine.clone(),
            events: Arc::clone(&store) as _,
            lists: Arc::clone(&store) as _,
            ledger: Arc::clone(&store) as _,
            registry: Arc::clone(&store) as _,
            signer: Arc::clone(&signer),
            signals: Arc::clone(&base.signals),
            hands: setup.part.hands(&service),
        }));
        let Base { store, vault, bundles, ids, changes, following, signals } = base;
        let part = setup.part;
        Ok(Self {
            home,
            store,
            vault,
            bundles,
            signer,
            service,
            desk,
            engine,
            ids,
            part,
            is_shared,
            changes,
            signals,
            leaving: Arc::default(),
            held,
            following,
        })
    }

    /// Starts the loops of its part.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn start(&self) -> Result<(), StoreError> {
        match self.part {
            Part::All => self.service.start().await,
            Part::Control => self.service.start_control().await,
        }
    }

    /// Makes a bundle active in both modes, unless it is.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn deploy(&self, assembled: &Assembled) -> Result<bool, StoreError> {
        self.bundles.keep(assembled.clone());
        let digest = assembled.bundle.digest;
        let mut changed = false;
        for scope in scopes() {
            let before = self.store.active_bundle(scope).await?;
            if before != Some(digest) {
                let id = DeploymentId::from_bytes(self.ids.uuid());
                let change = Change {
                    subject: Subject::Deployment,
                    name: "project".to_owned(),
                    by: actor(scope.mode).principal.label(),
                    status: "active".to_owned(),
                    digest: Some(digest),
                    previous: before,
                    version: None,
                    deployment: Some(id),
                };
                let at = self.ids.now();
                let entry = new_entry(EntryId::from_bytes(self.ids.uuid()), scope, at, Body::Change(Box::new(change)));
                let entry = entry.map_err(|e| StoreError::Conflict(e.to_string()))?;
                let deploy = Deploy {
                    id,
                    bundle: digest,
                    artifacts: assembled.artifacts(),
                    rules: Rules::of(&scope, &assembled.bundle.spec),
                    entries: vec![entry],
                    at,
                };
                self.store.deploy(scope, deploy).await?;
                changed = true;
            }
        }
        self.refresh().await?;
        Ok(changed)
    }

    /// Reads what is active.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        for scope in scopes() {
            self.bundles.refresh(scope).await?;
        }
        Ok(())
    }
}
