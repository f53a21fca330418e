//! Bundles out of the store's deployments: compiled once, kept by content address.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tollgate_core::hash::Digest;
use tollgate_core::ports::{Active, BoxFuture, Bundle, Bundles, Registry, StoreError, is_suspended};
use tollgate_core::scope::Scope;
use tollgate_core::spec::BundleSpec;

use super::{Assembled, assemble};

/// How long people have when no Policy spec says otherwise.
const APPROVAL_EXPIRES: Duration = Duration::from_secs(72 * 3600);
/// Compiled bundles kept: the active ones, and those that open runs are pinned to.
const KEPT_MAX: usize = 16;

/// Bundles of one project folder.
pub struct LiveBundles {
    registry: Arc<dyn Registry>,
    root: PathBuf,
    active: RwLock<BTreeMap<Scope, Arc<Active>>>,
    compiled: Mutex<BTreeMap<Digest, Assembled>>,
}

impl LiveBundles {
    /// Over a registry; relative paths of connectors start at `root`.
    pub fn new(registry: Arc<dyn Registry>, root: PathBuf) -> Self {
        Self { registry, root, active: RwLock::default(), compiled: Mutex::default() }
    }

    /// Keeps what was compiled already.
    pub fn keep(&self, assembled: Assembled) {
        let mut compiled = self.compiled.lock();
        while compiled.len() >= KEPT_MAX {
            compiled.pop_first();
        }
        compiled.insert(assembled.bundle.digest, assembled);
    }

    async fn load(&self, digest: Digest) -> Result<Option<Assembled>, StoreError> {
        if let Some(found) = self.compiled.lock().get(&digest) {
            return Ok(Some(found.clone()));
        }
        let Some(body) = self.registry.artifact(digest).await? else { return Ok(None) };
        let spec: BundleSpec = serde_json::from_slice(&body).map_err(|e| StoreError::Corrupt(format!("the bundle {digest}: {e}")))?;
        if spec.digest() != digest {
            return Err(StoreError::Corrupt(format!("the bundle {digest} is not the one that was deployed")));
        }
        match assemble(Arc::new(spec), &self.root) {
            Ok(assembled) => {
                self.keep(assembled.clone());
                Ok(Some(assembled))
            }
            Err(faults) => {
                tracing::error!(bundle = %digest, faults = ?faults.lines(), "a deployed bundle does not compile any more");
                Ok(None)
            }
        }
    }
}

impl Bundles for LiveBundles {
    fn active(&self, scope: Scope) -> Option<Arc<Active>> {
        self.active.read().get(&scope).cloned()
    }

    fn refresh(&self, scope: Scope) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let rev = self.registry.config_rev().await?;
            let Some(digest) = self.registry.active_bundle(scope).await? else { return Ok(()) };
            let statuses = self.registry.statuses(scope).await?;
            let Some(assembled) = self.load(digest).await? else {
                return Err(StoreError::Corrupt(format!("the active bundle {digest} is missing or does not compile")));
            };
            let paused = |kind: &str| {
                let of_kind = statuses.iter().filter(|(k, _, status)| k == kind && status == "paused");
                of_kind.map(|(_, name, _)| name.clone()).collect()
            };
            let active = Active {
                rev,
                bundle: assembled.bundle,
                policy: assembled.policy,
                suspended: is_suspended(&statuses),
                paused_operators: paused("operator"),
                paused_connectors: paused("connector"),
                approval_expires: APPROVAL_EXPIRES,
            };
            self.active.write().insert(scope, Arc::new(active));
            Ok(())
        })
    }

    fn pinned(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Bundle>, StoreError>> {
        if let Some(found) = self.compiled.lock().get(&digest) {
            return Box::pin(std::future::ready(Ok(Some(found.bundle.clone()))));
        }
        Box::pin(async move { Ok(self.load(digest).await?.map(|a| a.bundle)) })
    }
}
