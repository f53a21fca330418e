//! The vault: leases secrets, seals values, under one key hierarchy.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::RwLock;
use sha2::Sha256;
use tollgate_core::hash::Digest;
use tollgate_core::id::TenantId;
use tollgate_core::ports::{
    BoxFuture, IdSource, Sealed, Sealer, SecretCiphertext, SecretLease, SecretSource, SubjectKeyRow, VaultError, WrappedTenantKey,
    sealed_key_id,
};
use tollgate_core::scope::Scope;

use crate::aead::{Secret32, bound, decrypt, encrypt};
use crate::master::MasterKey;
use crate::subjects::{SubjectKey, Subjects};

/// Longest secret, in bytes.
pub const SECRET_MAX: usize = 64 * 1024;
const KEY_ID: usize = 16;

/// Ciphertexts that were read, and how often any of them was said to have changed.
#[derive(Default)]
struct Ciphertexts {
    kept: BTreeMap<(Scope, String), SecretCiphertext>,
    changes: u64,
}

/// The vault of one process.
pub struct Vault {
    master: MasterKey,
    ids: IdSource,
    source: Arc<dyn SecretSource>,
    tenants: RwLock<BTreeMap<TenantId, Secret32>>,
    ciphertexts: RwLock<Ciphertexts>,
    subjects: Subjects,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

impl Vault {
    /// Over a master key; ciphertexts come from `source`.
    pub fn new(master: MasterKey, ids: IdSource, source: Arc<dyn SecretSource>) -> Self {
        Self { master, ids, source, tenants: RwLock::default(), ciphertexts: RwLock::default(), subjects: Subjects::default() }
    }

    /// Opens a tenant's data key, or makes one when there is none yet: the caller stores that durably before it seals anything.
    ///
    /// # Errors
    /// [`VaultError::CannotDecrypt`] when the key was wrapped under another master key.
    pub fn load_tenant(&self, scope: Scope, row: Option<&WrappedTenantKey>) -> Result<Option<WrappedTenantKey>, VaultError> {
        let aad = |key_id: &[u8; 16]| bound("tenant-key", None, &[scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), key_id]);
        let (key, made) = match row {
            Some(row) => {
                let plain = zeroize::Zeroizing::new(decrypt(&self.master.0, &aad(&row.key_id), &row.wrapped, "the tenant's key")?);
                let key = Secret32::from_slice(&plain).ok_or_else(|| VaultError::CannotDecrypt("the tenant's key".to_owned()))?;
                (key, None)
            }
            None => {
                let (key, key_id) = (Secret32::random(&self.ids), self.ids.random());
                let wrapped = encrypt(&self.master.0, &self.ids, &aad(&key_id), key.expose())?;
                (key, Some(WrappedTenantKey { key_id, wrapped }))
            }
        };
        self.tenants.write().insert(scope.tenant_id, key);
        Ok(made)
    }

    fn tenant(&self, scope: Scope) -> Result<Secret32, VaultError> {
        let found = self.tenants.read().get(&scope.tenant_id).cloned();
        found.ok_or_else(|| VaultError::Unavailable("the tenant's key is not loaded".to_owned()))
    }

    /// Encrypts a secret's new version.
    ///
    /// # Errors
    /// [`VaultError::Setup`] when the name or the size is not allowed; the value is never repeated.
    pub fn encrypt_secret(&self, scope: Scope, name: &str, version: u32, plaintext: &[u8]) -> Result<SecretCiphertext, VaultError> {
        check_name(name)?;
        if plaintext.is_empty() || plaintext.len() > SECRET_MAX {
            return Err(VaultError::Setup(format!("a secret has 1 to {SECRET_MAX} bytes, not {}", plaintext.len())));
        }
        let aad = bound("secret", Some(&scope), &[name.as_bytes(), &version.to_be_bytes()]);
        let bytes = encrypt(&self.tenant(scope)?, &self.ids, &aad, plaintext)?;
        Ok(SecretCiphertext { name: name.to_owned(), version, bytes })
    }

    /// A secret was set or removed: the next lease reads it again.
    pub fn secret_changed(&self, scope: Scope, name: &str) {
        let mut all = self.ciphertexts.write();
        all.changes += 1;
        all.kept.remove(&(scope, name.to_owned()));
    }

    /// Another process may have changed any secret: the next lease of each reads it again.
    pub fn secrets_changed(&self) {
        let mut all = self.ciphertexts.write();
        all.changes += 1;
        all.kept.clear();
    }

    /// Forgets a subject's key, as erasing it needs.
    pub fn forget_subject(&self, scope: Scope, subject: &str) {
        self.subjects.forget(scope, subject);
    }

    /// Wraps something of the installation's own, such as the seed of the ledger's signing key, under the master key.
    ///
    /// # Errors
    /// When it is too long to encrypt.
    pub fn wrap_blob(&self, purpose: &str, scope: Option<Scope>, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        encrypt(&self.master.0, &self.ids, &bound(&format!("blob:{purpose}"), scope.as_ref(), &[]), bytes)
    }

    /// Opens what [`Self::wrap_blob`] made.
    ///
    /// # Errors
    /// [`VaultError::CannotDecrypt`] when it was wrapped for another purpose or under another master key.
    pub fn unwrap_blob(&self, purpose: &str, scope: Option<Scope>, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        decrypt(&self.master.0, &bound(&format!("blob:{purpose}"), scope.as_ref(), &[]), bytes, purpose)
    }

    async fn ciphertext(&self, scope: Scope, name: &str) -> Result<SecretCiphertext, VaultError> {
        let key = (scope, name.to_owned());
        let changes = {
            let all = self.ciphertexts.read();
            if let Some(found) = all.kept.get(&key) {
                return Ok(found.clone());
            }
            all.changes
        };
        let found = self.source.secret(scope, name).await?.ok_or_else(|| VaultError::NotSet(name.to_owned()))?;
        let mut all = self.ciphertexts.write();
        // What was read while a secret was set or removed may be the old one: kept, it would serve until the process ends.
        if all.changes == changes {
            all.kept.insert(key, found.clone());
        }
        Ok(found)
    }

    fn make_subject(&self, scope: Scope, subject: &str) -> Result<SubjectKey, VaultError> {
        let tenant = self.tenant(scope)?;
        let (key, key_id) = (Secret32::random(&self.ids), self.ids.random());
        let wrapped = encrypt(&tenant, &self.ids, &bound("subject-key", Some(&scope), &[&key_id]), key.expose())?;
        let row = SubjectKeyRow { key_id, subject: subject_digest(&tenant, scope, subject)?, wrapped };
        Ok(SubjectKey { key, row })
    }
}

/// Keyed by the tenant's key, so that nobody finds a subject in the table by guessing its name.
fn subject_digest(tenant: &Secret32, scope: Scope, subject: &str) -> Result<Digest, VaultError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(tenant.expose()).map_err(|_| VaultError::Unavailable("no subject digest".to_owned()))?;
    mac.update(&bound("subject", Some(&scope), &[subject.as_bytes()]));
    Ok(Digest(mac.finalize().into_bytes().into()))
}

fn check_name(name: &str) -> Result<(), VaultError> {
    let ok = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if ok {
        return Ok(());
    }
    Err(VaultError::Setup("a secret's name starts with a letter and has up to 64 lower-case letters, digits and `_`".to_owned()))
}

impl Sealer for Vault {
    fn lease<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<SecretLease, VaultError>> {
        Box::pin(async move {
            let c = self.ciphertext(scope, name).await?;
            let aad = bound("secret", Some(&scope), &[name.as_bytes(), &c.version.to_be_bytes()]);
            let plain = decrypt(&self.tenant(scope)?, &aad, &c.bytes, &format!("the secret `{name}`"))?;
            Ok(SecretLease::new(plain, c.version))
        })
    }

    fn encrypt_secret(&self, scope: Scope, name: &str, version: u32, plaintext: &[u8]) -> Result<SecretCiphertext, VaultError> {
        Self::encrypt_secret(self, scope, name, version, plaintext)
    }

    fn secret_changed(&self, scope: Scope, name: &str) {
        Self::secret_changed(self, scope, name);
    }

    fn seal(&self, scope: Scope, subject: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        let (key, stored) = self.subjects.get_or(scope, subject, || self.make_subject(scope, subject))?;
        let body = encrypt(&key.key, &self.ids, &bound("sealed", Some(&scope), &[&key.row.key_id]), plaintext)?;
        let bytes = [&key.row.key_id[..], &body].concat();
        Ok(Sealed { bytes, new_key: (!stored).then_some(key.row) })
    }

    fn key_stored(&self, _: Scope, key: &SubjectKeyRow) {
        self.subjects.stored(key);
    }

    fn open(&self, scope: Scope, sealed: &[u8], key: Option<&SubjectKeyRow>) -> Result<Vec<u8>, VaultError> {
        let fail = || VaultError::CannotDecrypt("a sealed value".to_owned());
        let row = key.ok_or(VaultError::Erased)?;
        if sealed_key_id(sealed) != Some(row.key_id) {
            return Err(fail());
        }
        let aad = bound("subject-key", Some(&scope), &[&row.key_id]);
        let plain = zeroize::Zeroizing::new(decrypt(&self.tenant(scope)?, &aad, &row.wrapped, "a subject's key")?);
        let key = Secret32::from_slice(&plain).ok_or_else(fail)?;
        let body = sealed.get(KEY_ID..).ok_or_else(fail)?;
        decrypt(&key, &bound("sealed", Some(&scope), &[&row.key_id]), body, "a sealed value")
    }
}
