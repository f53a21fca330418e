//! The vault: where plaintext secrets exist, for one call at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::hash::Digest;
use crate::scope::Scope;

/// A plaintext secret for one call. Shows nothing, is wiped when dropped.
pub struct SecretLease {
    bytes: Vec<u8>,
    version: u32,
}

impl SecretLease {
    /// Only the vault makes one.
    pub fn new(bytes: Vec<u8>, version: u32) -> Self {
        Self { bytes, version }
    }

    /// The plaintext. Whoever calls this must not let it outlive the call.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Which version of the secret this is.
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl Drop for SecretLease {
    fn drop(&mut self) {
        // Volatile through `black_box`: the wipe must not be optimised away.
        self.bytes.fill(0);
        std::hint::black_box(&self.bytes);
    }
}

impl fmt::Debug for SecretLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretLease(redacted)")
    }
}

/// An encrypted secret as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecretCiphertext {
    /// Its name.
    pub name: String,
    /// Counts up with every `set`.
    pub version: u32,
    /// Nonce and ciphertext; the vault knows the layout.
    pub bytes: Vec<u8>,
}

/// Where ciphertexts lie. The vault never knows where that is.
pub trait SecretSource: Send + Sync {
    /// The newest version of a secret.
    fn secret<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<Option<SecretCiphertext>, VaultError>>;
}

/// A subject's data key, wrapped by the tenant's: erased to erase everything sealed under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubjectKeyRow {
    /// Names the key in every blob that it sealed.
    pub key_id: [u8; 16],
    /// Digest of the subject's name.
    pub subject: Digest,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// Sealed values, and the key row that must be stored with them unless it is known to be stored already.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// Key id, nonce and ciphertext.
    pub bytes: Vec<u8>,
    /// To be inserted (if absent) in the same transaction.
    pub new_key: Option<SubjectKeyRow>,
}

/// Why the vault could not serve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VaultError {
    /// No such secret: set it.
    #[error("the secret `{0}` is not set: run `tollgate secrets set {0}`")]
    NotSet(String),
    /// The ciphertext does not open under this master key.
    #[error("{0} cannot be decrypted: it was written under another master key, or is damaged")]
    CannotDecrypt(String),
    /// The store did not answer; try again.
    #[error("the vault is unavailable: {0}")]
    Unavailable(String),
    /// The key that sealed a value was erased.
    #[error("the key of this value was erased")]
    Erased,
    /// Wrong set-up; says what to do.
    #[error("{0}")]
    Setup(String),
}

/// Leases secrets and seals the erasable values of the ledger, under one key hierarchy.
pub trait Sealer: Send + Sync {
    /// Decrypts a secret for one call.
    fn lease<'a>(&'a self, scope: Scope, name: &'a str) -> BoxFuture<'a, Result<SecretLease, VaultError>>;

    /// Encrypts a secret's new version.
    fn encrypt_secret(&self, scope: Scope, name: &str, version: u32, plaintext: &[u8]) -> Result<SecretCiphertext, VaultError>;

    /// A secret was set or removed: the next lease reads it again.
    fn secret_changed(&self, scope: Scope, name: &str);

    /// Encrypts values under the key of tenant and subject.
    fn seal(&self, scope: Scope, subject: &str, plaintext: &[u8]) -> Result<Sealed, VaultError>;

    /// The store acknowledged the transaction that held this key row: it need not travel again.
    fn key_stored(&self, scope: Scope, key: &SubjectKeyRow);

    /// Decrypts what [`Self::seal`] made. `key` is the stored row of the blob's key id; none means it was erased.
    fn open(&self, scope: Scope, sealed: &[u8], key: Option<&SubjectKeyRow>) -> Result<Vec<u8>, VaultError>;
}

/// The key id a sealed blob names: its first 16 bytes.
pub fn sealed_key_id(sealed: &[u8]) -> Option<[u8; 16]> {
    sealed.get(..16).and_then(|b| b.try_into().ok())
}
