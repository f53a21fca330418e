//! A vault without encryption, for tests that are not about the vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_core::hash::Digest;
use tollgate_core::ports::{BoxFuture, Sealed, Sealer, SecretCiphertext, SecretLease, SubjectKeyRow, VaultError};
use tollgate_core::scope::Scope;

/// Keeps values readable; leases what the test sets.
#[derive(Default)]
pub struct PlainSealer {
    secrets: Mutex<BTreeMap<String, (Vec<u8>, u32)>>,
    down: Arc<Mutex<bool>>,
}

impl PlainSealer {
    /// Sets a secret's next version.
    pub fn set(&self, name: &str, value: &[u8]) {
        let mut secrets = self.secrets.lock();
        let version = secrets.get(name).map_or(1, |(_, v)| v + 1);
        secrets.insert(name.to_owned(), (value.to_vec(), version));
    }

    /// Makes the vault unavailable, or available again.
    pub fn set_down(&self, down: bool) {
        *self.down.lock() = down;
    }
}

impl Sealer for PlainSealer {
    fn lease<'a>(&'a self, _: Scope, name: &'a str) -> BoxFuture<'a, Result<SecretLease, VaultError>> {
        let out = if *self.down.lock() {
            Err(VaultError::Unavailable("it is down".to_owned()))
        } else {
            let found = self.secrets.lock().get(name).cloned();
            found.map(|(bytes, version)| SecretLease::new(bytes, version)).ok_or_else(|| VaultError::NotSet(name.to_owned()))
        };
        Box::pin(std::future::ready(out))
    }

    fn encrypt_secret(&self, _: Scope, name: &str, version: u32, plaintext: &[u8]) -> Result<SecretCiphertext, VaultError> {
        Ok(SecretCiphertext { name: name.to_owned(), version, bytes: plaintext.to_vec() })
    }

    fn secret_changed(&self, _: Scope, _: &str) {}

    fn seal(&self, _: Scope, subject: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        let digest = Digest::of(subject.as_bytes());
        let mut key_id = [0; 16];
        key_id.copy_from_slice(digest.0.get(..16).unwrap_or(&[0; 16]));
        let new_key = Some(SubjectKeyRow { key_id, subject: digest, wrapped: Vec::new() });
        Ok(Sealed { bytes: [&key_id[..], plaintext].concat(), new_key })
    }

    fn key_stored(&self, _: Scope, _: &SubjectKeyRow) {}

    fn open(&self, _: Scope, sealed: &[u8], key: Option<&SubjectKeyRow>) -> Result<Vec<u8>, VaultError> {
        key.ok_or(VaultError::Erased)?;
        Ok(sealed.get(16..).unwrap_or_default().to_vec())
    }
}
