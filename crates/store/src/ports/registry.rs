//! What governs actions and is never pinned.

use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, ConfigRev, Deploy, NewEntry, Registry, SecretCiphertext, WrappedTenantKey};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::Out;
use crate::backend::{Ordered, Reach, Store};
use crate::command::registry;
use crate::needs::Needs;
use crate::query;

impl<B: Ordered> Registry for Store<B> {
    fn config_rev(&self) -> Out<'_, ConfigRev> {
        self.engine.write(Needs::default().config(), |tx| tx.config_rev())
    }
    fn deploy(&self, scope: Scope, deploy: Deploy) -> Out<'_, ConfigRev> {
        self.engine.write(Needs::of(scope).configures(), move |tx| registry::deploy(tx, scope, &deploy))
    }
    fn active_bundle(&self, scope: Scope) -> Out<'_, Option<Digest>> {
        self.engine.one(query::registry::active_bundle(scope), scope)
    }
    fn artifact(&self, digest: Digest) -> Out<'_, Option<Vec<u8>>> {
        self.engine.one(query::registry::artifact(digest), Reach::Everywhere)
    }
    fn set_status(&self, scope: Scope, kind: String, name: String, status: String, entry: NewEntry) -> Out<'_, ConfigRev> {
        let needs = Needs::of(scope).configures();
        self.engine.write(needs, move |tx| registry::set_status(tx, scope, &kind, &name, &status, &entry))
    }
    fn statuses(&self, scope: Scope) -> Out<'_, Vec<(String, String, String)>> {
        self.engine.all(query::registry::statuses(scope), scope)
    }
    fn put_secret(&self, scope: Scope, secret: SecretCiphertext, entry: NewEntry, at: Timestamp) -> Out<'_, ()> {
        self.engine.write(Needs::of(scope).configures(), move |tx| registry::put_secret(tx, scope, &secret, &entry, at))
    }
    fn remove_secret(&self, scope: Scope, name: String, entry: NewEntry) -> Out<'_, bool> {
        self.engine.write(Needs::of(scope).configures(), move |tx| registry::remove_secret(tx, scope, &name, &entry))
    }
    fn secret_row(&self, scope: Scope, name: String) -> Out<'_, Option<SecretCiphertext>> {
        self.engine.one(query::registry::secret(scope, &name), scope)
    }
    fn secrets(&self, scope: Scope) -> Out<'_, Vec<(String, u32, Timestamp)>> {
        self.engine.all(query::registry::secrets(scope), scope)
    }
    fn tenant_key(&self, scope: Scope) -> Out<'_, Option<WrappedTenantKey>> {
        self.engine.one(query::registry::tenant_key(scope), scope)
    }
    fn put_tenant_key(&self, scope: Scope, key: WrappedTenantKey) -> Out<'_, ()> {
        self.engine.write(Needs::of(scope).configures(), move |tx| registry::put_tenant_key(tx, scope, &key))
    }
    fn put_api_key(&self, key: ApiKeyRecord, entry: NewEntry) -> Out<'_, ()> {
        self.engine.write(Needs::of(key.scope).configures(), move |tx| registry::put_api_key(tx, &key, &entry))
    }
    fn api_keys(&self) -> Out<'_, Vec<ApiKeyRecord>> {
        self.engine.all(query::registry::api_keys(), Reach::Everywhere)
    }
    fn revoke_api_key(&self, scope: Scope, id: KeyId, at: Timestamp, entry: NewEntry) -> Out<'_, bool> {
        self.engine.write(Needs::of(scope).configures(), move |tx| registry::revoke_api_key(tx, scope, id, at, &entry))
    }
}
