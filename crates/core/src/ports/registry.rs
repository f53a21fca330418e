//! What governs actions and is never pinned: deployments, statuses, secrets, keys.

use crate::hash::Digest;
use crate::id::{DeploymentId, KeyId};
use crate::scope::Scope;
use crate::terms::Rules;
use crate::time::Timestamp;

use super::{BoxFuture, ConfigRev, NewEntry, SecretCiphertext, StoreError};

/// A bundle made active.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deploy {
    /// The deployment.
    pub id: DeploymentId,
    /// The bundle's content address.
    pub bundle: Digest,
    /// Content-addressed bodies to keep: `(digest, kind, body)`.
    pub artifacts: Vec<(Digest, String, Vec<u8>)>,
    /// What it says about dispatch, in the place of what the one before said.
    pub rules: Rules,
    /// `change` entries.
    pub entries: Vec<NewEntry>,
    /// When.
    pub at: Timestamp,
}

/// An API key as the store keeps it: hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub scope: Scope,
    /// For people: the service account's name.
    pub name: String,
    /// Digest of the key.
    pub hash: Digest,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The tenant's data key, wrapped by the master key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrappedTenantKey {
    /// Names the key.
    pub key_id: [u8; 16],
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// What governs actions.
pub trait Registry: Send + Sync {
    /// The revision that every begin must match.
    fn config_rev(&self) -> BoxFuture<'_, Result<ConfigRev, StoreError>>;
    /// Makes a bundle active and raises the revision.
    fn deploy(&self, scope: Scope, deploy: Deploy) -> BoxFuture<'_, Result<ConfigRev, StoreError>>;
    /// The active bundle.
    fn active_bundle(&self, scope: Scope) -> BoxFuture<'_, Result<Option<Digest>, StoreError>>;
    /// A content-addressed body.
    fn artifact(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// Sets a status such as (`operator`, `triage`, `paused`) and raises the revision.
    fn set_status(
        &self,
        scope: Scope,
        kind: String,
        name: String,
        status: String,
        entry: NewEntry,
    ) -> BoxFuture<'_, Result<ConfigRev, StoreError>>;
    /// Every status that was ever set.
    fn statuses(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<(String, String, String)>, StoreError>>;
    /// Stores a secret's new version.
    fn put_secret(&self, scope: Scope, secret: SecretCiphertext, entry: NewEntry, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Removes a secret; `false` when there was none.
    fn remove_secret(&self, scope: Scope, name: String, entry: NewEntry) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// One secret.
    fn secret_row(&self, scope: Scope, name: String) -> BoxFuture<'_, Result<Option<SecretCiphertext>, StoreError>>;
    /// Names, versions and times of secrets.
    fn secrets(&self, scope: Scope) -> BoxFuture<'_, Result<Vec<(String, u32, Timestamp)>, StoreError>>;
    /// The tenant's wrapped data key.
    fn tenant_key(&self, scope: Scope) -> BoxFuture<'_, Result<Option<WrappedTenantKey>, StoreError>>;
    /// Stores the tenant's wrapped data key, once.
    fn put_tenant_key(&self, scope: Scope, key: WrappedTenantKey) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Stores an API key.
    fn put_api_key(&self, key: ApiKeyRecord, entry: NewEntry) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Every API key, revoked ones too.
    fn api_keys(&self) -> BoxFuture<'_, Result<Vec<ApiKeyRecord>, StoreError>>;
    /// Revokes an API key; `false` when there is none or it was revoked.
    fn revoke_api_key(&self, scope: Scope, id: KeyId, at: Timestamp, entry: NewEntry) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// Whether a tenant's statuses say that nothing of it begins any more.
pub fn is_suspended(statuses: &[(String, String, String)]) -> bool {
    statuses.iter().any(|(kind, _, status)| kind == "tenant" && status != "active")
}
