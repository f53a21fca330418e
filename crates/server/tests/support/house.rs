//! A whole house in one process: the real store in a folder of its own, the real vault, worker and desk, and the routes over them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use tollgate_core::hash::Digest;
use tollgate_core::id::{DeploymentId, ResellerId, TenantId};
use tollgate_core::ports::{
    Active, Actor, BoxFuture, Bundle, Bundles, Clock, Deploy, Desk, IdSource, PolicyEngine, Registry, SecretCiphertext, SecretSource,
    StoreError, VaultError,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::verdict::Principal;
use tollgate_server::{Deps, Health, Options, router};
use tollgate_store::SqliteStore;
use tollgate_testkit::SeededEntropy;
use tollgate_vault::{MasterKey, Vault};
use tollgate_worker::{
    Counter, CounterDeps, Deps as EngineDeps, Keeper, Options as WorkerOptions, Service, ServiceDeps, Signals, Signer, Taking,
};

use super::{Broken, bundle};

/// The tenant of the tests.
pub fn scope(mode: Mode) -> Scope {
    Scope { reseller_id: ResellerId::from_bytes([1; 16]), tenant_id: TenantId::from_bytes([2; 16]), mode }
}

/// Bundles of one spec, whose statuses are the store's.
struct OneBundle {
    bundle: Bundle,
    policy: Arc<dyn PolicyEngine>,
    store: Arc<SqliteStore>,
    active: Mutex<std::collections::BTreeMap<Scope, Arc<Active>>>,
}

impl Bundles for OneBundle {
    fn active(&self, scope: Scope) -> Option<Arc<Active>> {
        self.active.lock().get(&scope).cloned()
    }

    fn refresh(&self, scope: Scope) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (rev, statuses) = (self.store.config_rev().await?, self.store.statuses(scope).await?);
            let paused = |kind: &str| -> BTreeSet<String> {
                statuses.iter().filter(|(k, _, s)| k == kind && s == "paused").map(|(_, name, _)| name.clone()).collect()
            };
            let active = Active {
                rev,
                bundle: self.bundle.clone(),
                policy: Arc::clone(&self.policy),
                suspended: false,
                paused_operators: paused("operator"),
                paused_connectors: paused("connector"),
                approval_expires: Duration::from_secs(3600),
            };
            self.active.lock().insert(scope, Arc::new(active));
            Ok(())
        })
    }

    fn pinned(&self, _: Digest) -> BoxFuture<'_, Result<Option<Bundle>, StoreError>> {
        Box::pin(std::future::ready(Ok(Some(self.bundle.clone()))))
    }
}

struct Secrets(Arc<SqliteStore>);

impl SecretSource for Secrets {
    fn secret<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>> {
        Box::pin(async move { self.0.secret_row(scope, name.to_owned()).await.map_err(|e| VaultError::Unavailable(e.to_string())) })
    }
}

struct NoKeeper;

impl Keeper for NoKeeper {
    fn keep(&self, _: &str, _: &str) -> std::io::Result<()> {
        Ok(())
    }
    fn kept(&self, _: &str) -> std::io::Result<Option<String>> {
        Ok(None)
    }
}

struct Ready(Service);

impl Health for Ready {
    fn ready(&self) -> Result<(), String> {
        self.0.gate()
    }
}

/// A house with a key that may do everything.
pub struct House {
    pub router: Router,
    pub desk: Arc<Counter>,
    pub store: Arc<SqliteStore>,
    pub broken: Arc<Broken>,
    /// Live, `*`.
    pub key: String,
    /// Test, `*`.
    pub test_key: String,
    /// Keeps the folder.
    pub dir: tempfile::TempDir,
}

impl House {
    /// With the defaults of the service.
    pub async fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, Options { hooks: Some(scope(Mode::Live)), ..Options::default() }).await
    }

    /// With other options.
    pub async fn with(clock: Arc<dyn Clock>, mut options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let signals = Arc::new(Signals::default());
        let store = Arc::new(open(dir.path(), &clock, &signals));
        let ids = IdSource::new(Arc::clone(&clock), Arc::new(SeededEntropy::new(7)));
        let master = MasterKey::create(&dir.path().join("master.key"), &ids).unwrap();
        let vault = Arc::new(Vault::new(master, ids.clone(), Arc::new(Secrets(Arc::clone(&store)))));
        let made = vault.load_tenant(scope(Mode::Live), None).unwrap().unwrap();
        store.put_tenant_key(scope(Mode::Live), made).await.unwrap();
        let (bundle, policy) = bundle::assemble(dir.path());
        let bundles = Arc::new(OneBundle {
            bundle: bundle.clone(),
            policy: Arc::clone(&policy),
            store: Arc::clone(&store),
            active: Mutex::default(),
        });
        for mode in [Mode::Live, Mode::Test] {
            let id = DeploymentId::from_bytes(ids.uuid());
            let spec = serde_json::to_vec(&*bundle.spec).unwrap();
            let texts = tollgate_core::canon::canonical(policy.artifact()).unwrap();
            let artifacts = vec![(bundle.digest, "bundle".to_owned(), spec), (policy.version(), "policies".to_owned(), texts)];
            store
                .deploy(
                    scope(mode),
                    Deploy { id, bundle: bundle.digest, artifacts, rules: Default::default(), entries: vec![], at: ids.now() },
                )
                .await
                .unwrap();
        }
        for mode in [Mode::Live, Mode::Test] {
            bundles.refresh(scope(mode)).await.unwrap();
        }
        let engine = EngineDeps {
            effects: Arc::clone(&store) as _,
            exec: Arc::clone(&store) as _,
            bundles: Arc::clone(&bundles) as _,
            graphs: tollgate_worker::Graphs::new(Arc::new(tollgate_testkit::FakeCompute::default())),
            sealer: Arc::clone(&vault) as _,
            ids: ids.clone(),
        };
        let seed = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
        let scopes = vec![scope(Mode::Live), scope(Mode::Test)];
        let signer = Arc::new(Signer::new(seed, Arc::clone(&store) as _, Arc::new(NoKeeper), scopes, ids.clone()));
        let deps = ServiceDeps {
            engine: engine.clone(),
            events: Arc::clone(&store) as _,
            ledger: Arc::clone(&store) as _,
            signer: Some(Arc::clone(&signer)),
            signals: Arc::clone(&signals),
        };
        let positions = signals.given();
        let service = Service::new(deps, WorkerOptions::default());
        service.start().await.unwrap();
        let hands = Arc::new(service.clone());
        let desk = Arc::new(Counter::new(CounterDeps {
            engine,
            events: Arc::clone(&store) as _,
            lists: Arc::clone(&store) as _,
            ledger: Arc::clone(&store) as _,
            registry: Arc::clone(&store) as _,
            signer,
            signals,
            hands: Some(Arc::clone(&hands) as _),
        }));
        let broken = Arc::new(Broken::new(Arc::new(Taking::new(Arc::clone(&store) as _, hands)), Arc::clone(&store) as _));
        options.positions = options.positions.or_else(|| Some(positions));
        let deps = Deps {
            events: Arc::clone(&broken) as _,
            changes: Arc::clone(&broken) as _,
            lists: Arc::clone(&store) as _,
            desk: Arc::clone(&desk) as _,
            ledger: Arc::clone(&store) as _,
            registry: Arc::clone(&store) as _,
            effects: Arc::clone(&store) as _,
            bundles,
            sealer: vault,
            ids,
            health: Arc::new(Ready(service)),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let mut it = Self { router: router(deps, options), desk, store, broken, key: String::new(), test_key: String::new(), dir };
        it.key = it.issue(Mode::Live).await;
        it.test_key = it.issue(Mode::Test).await;
        it
    }

    async fn issue(&self, mode: Mode) -> String {
        let actor = Actor { scope: scope(mode), principal: Principal::System("test".to_owned()) };
        self.desk.issue_key(&actor, "ci".to_owned(), vec!["*".to_owned()]).await.unwrap().text
    }

    /// Sets a live secret.
    pub async fn secret(&self, name: &str, value: &str) {
        let actor = Actor { scope: scope(Mode::Live), principal: Principal::System("test".to_owned()) };
        self.desk.set_secret(&actor, name.to_owned(), value.as_bytes().to_vec()).await.unwrap();
    }
}

fn open(dir: &Path, clock: &Arc<dyn Clock>, signals: &Arc<Signals>) -> SqliteStore {
    let signals = Arc::clone(signals);
    let wake = move |news: tollgate_store::Committed| {
        if news.steps {
            signals.steps();
        }
        if news.entries {
            signals.entries();
        }
        if news.events || news.changes {
            signals.positions();
        }
    };
    let path = Some(dir.join("store.db"));
    SqliteStore::open(tollgate_store::Options { path, clock: Arc::clone(clock), inline: false, on_commit: Box::new(wake) }).unwrap()
}
