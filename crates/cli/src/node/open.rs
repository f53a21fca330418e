//! Opens a node: everything that a process needs to serve one project, in the order in which it may fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use tollgate_core::entries::new_entry;
use tollgate_core::id::{DeploymentId, EntryId, ResellerId, TenantId};
use tollgate_core::ledger::{Body, Change, Subject};
use tollgate_core::ports::{
    Actor, Bundles, Deploy, Effects, Hands, IdSource, LedgerLog, Registry, Sealer, SecretCiphertext, SecretSource, StoreError, VaultError,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::verdict::Principal;
use tollgate_store::{OpenError, SqliteStore};
use tollgate_vault::{MasterKey, Vault};
use tollgate_worker::{Counter, CounterDeps, Deps, Keeper, Options, Service, ServiceDeps, Signals, Signer};

use super::bundles::LiveBundles;
use super::{Assembled, Home, HomeError};
use crate::system;

const MASTER_ENV: &str = "TOLLGATE_MASTER_KEY";
const SIGNING_FILE: &str = "ledger.key";
const PURPOSE: &str = "ledger-signing-seed";

/// Why a node does not open.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No randomness.
    #[error("the operating system gives no randomness, without which no key can be made: {0}")]
    Randomness(getrandom::Error),
    /// The ledger is not the one that was signed.
    #[error("{0}")]
    Ledger(String),
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

/// Everything of one process.
pub struct Node {
    /// The data folder.
    pub home: Home,
    /// The store, behind every port.
    pub store: Arc<SqliteStore>,
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
    /// Ids and time.
    pub ids: IdSource,
}

/// Ciphertexts lie in the store.
struct StoredSecrets(Arc<SqliteStore>);

impl SecretSource for StoredSecrets {
    fn secret<'a>(
        &'a self,
        scope: Scope,
        name: &'a str,
    ) -> tollgate_core::ports::BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>> {
        Box::pin(async move { self.0.secret_row(scope, name.to_owned()).await.map_err(|e| VaultError::Unavailable(e.to_string())) })
    }
}

impl Node {
    /// Opens the data folder of a project. Nothing runs yet.
    ///
    /// # Errors
    /// What keeps it from opening; nothing was changed then.
    pub async fn open(dir: &Path, project: &Path, options: Options) -> Result<Self, NodeError> {
        Self::open_with(dir, project, options, |effects| effects).await
    }

    /// The same with a decorator round the effects.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        dir: &Path,
        project: &Path,
        options: Options,
        wrap: impl FnOnce(Arc<dyn Effects>) -> Arc<dyn Effects>,
    ) -> Result<Self, NodeError> {
        system::check_randomness().map_err(NodeError::Randomness)?;
        let home = Home::open(dir)?;
        let ids = system::ids();
        let signals = Arc::new(Signals::default());
        let store = Arc::new(open_store(&home, &signals)?);
        let vault = Arc::new(open_vault(&home, &store, &ids).await?);
        let ledger = Arc::clone(&store) as Arc<dyn LedgerLog>;
        let keeper = Arc::new(home.clone()) as Arc<dyn Keeper>;
        let signer = Arc::new(Signer::new(signing_key(&home, &vault, &ids)?, ledger, keeper, scopes().to_vec(), ids.clone()));
        signer.check().await.map_err(NodeError::Ledger)?;
        let bundles = Arc::new(LiveBundles::new(Arc::clone(&store) as Arc<dyn Registry>, project.to_owned()));
        let engine = Deps {
            effects: wrap(Arc::clone(&store) as _),
            exec: Arc::clone(&store) as _,
            bundles: Arc::clone(&bundles) as Arc<dyn Bundles>,
            sealer: Arc::clone(&vault) as Arc<dyn Sealer>,
            ids: ids.clone(),
        };
        let deps = ServiceDeps {
            engine: engine.clone(),
            events: Arc::clone(&store) as _,
            signer: Arc::clone(&signer),
            signals: Arc::clone(&signals),
        };
        let service = Service::new(deps, options);
        let desk = Arc::new(Counter::new(CounterDeps {
            engine,
            events: Arc::clone(&store) as _,
            lists: Arc::clone(&store) as _,
            ledger: Arc::clone(&store) as _,
            registry: Arc::clone(&store) as _,
            signer: Arc::clone(&signer),
            signals,
            hands: Some(Arc::new(service.clone()) as Arc<dyn Hands>),
        }));
        Ok(Self { home, store, vault, bundles, signer, service, desk, ids })
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
                let deploy = Deploy { id, bundle: digest, artifacts: assembled.artifacts(), entries: vec![entry], at };
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

fn open_store(home: &Home, signals: &Arc<Signals>) -> Result<SqliteStore, OpenError> {
    let signals = Arc::clone(signals);
    SqliteStore::open(tollgate_store::Options {
        path: Some(home.path("store.db")),
        clock: Arc::new(system::SystemClock),
        inline: false,
        on_commit: Box::new(move |news| {
            if news.steps {
                signals.steps();
            }
            if news.entries {
                signals.entries();
            }
        }),
    })
}

async fn open_vault(home: &Home, store: &Arc<SqliteStore>, ids: &IdSource) -> Result<Vault, NodeError> {
    let path = home.path("master.key");
    let tenant = scopes()[0];
    let row = store.tenant_key(tenant).await?;
    let master = match std::env::var(MASTER_ENV) {
        Ok(text) => MasterKey::from_text(&zeroize::Zeroizing::new(text))?,
        Err(_) if path.exists() => MasterKey::load(&path)?,
        Err(_) if row.is_some() => {
            let path = path.display();
            return Err(VaultError::Setup(format!("the master key is missing: put `{path}` back, or set {MASTER_ENV}")).into());
        }
        Err(_) => MasterKey::create(&path, ids)?,
    };
    let vault = Vault::new(master, ids.clone(), Arc::new(StoredSecrets(Arc::clone(store))));
    if let Some(made) = vault.load_tenant(tenant, row.as_ref())? {
        store.put_tenant_key(tenant, made).await?;
    }
    Ok(vault)
}

fn signing_key(home: &Home, vault: &Vault, ids: &IdSource) -> Result<SigningKey, NodeError> {
    let file = |source| NodeError::File { path: home.path(SIGNING_FILE), source };
    if let Some(wrapped) = home.read(SIGNING_FILE).map_err(file)? {
        let seed = zeroize::Zeroizing::new(vault.unwrap_blob(PURPOSE, None, &wrapped)?);
        let seed: [u8; 32] = seed.as_slice().try_into().map_err(|_| VaultError::CannotDecrypt("the ledger's signing key".to_owned()))?;
        return Ok(SigningKey::from_bytes(&seed));
    }
    let seed = zeroize::Zeroizing::new(ids.random::<32>());
    home.replace(SIGNING_FILE, &vault.wrap_blob(PURPOSE, None, &*seed)?).map_err(file)?;
    Ok(SigningKey::from_bytes(&seed))
}
