//! XChaCha20-Poly1305 with a random nonce in front, bound to what the ciphertext is for.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use tollgate_core::ports::{IdSource, VaultError};
use tollgate_core::scope::Scope;
use zeroize::{Zeroize, ZeroizeOnDrop};

const NONCE: usize = 24;

/// A key of 32 bytes. Shows nothing, is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret32([u8; 32]);

impl std::fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret32(redacted)")
    }
}

impl Secret32 {
    pub(crate) fn random(ids: &IdSource) -> Self {
        Self(ids.random())
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.0))
    }
}

/// What a ciphertext is bound to. Parts are preceded by their length, so that none can be shifted into the next.
pub(crate) fn bound(purpose: &str, scope: Option<&Scope>, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let mut add = |part: &[u8]| {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    };
    add(purpose.as_bytes());
    if let Some(s) = scope {
        add(s.reseller_id.as_bytes());
        add(s.tenant_id.as_bytes());
        add(s.mode.as_str().as_bytes());
    }
    parts.iter().for_each(|p| add(p));
    out
}

/// Nonce and ciphertext.
pub(crate) fn encrypt(key: &Secret32, ids: &IdSource, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce: [u8; NONCE] = ids.random();
    let sealed = key
        .cipher()
        .encrypt(&XNonce::from(nonce), Payload { msg, aad })
        .map_err(|_| VaultError::Unavailable("the value is too long to encrypt".to_owned()))?;
    Ok([&nonce[..], &sealed].concat())
}

/// The plaintext; `what` names it in the error, which says nothing else.
pub(crate) fn decrypt(key: &Secret32, aad: &[u8], bytes: &[u8], what: &str) -> Result<Vec<u8>, VaultError> {
    let fail = || VaultError::CannotDecrypt(what.to_owned());
    let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(fail)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| fail())?;
    key.cipher().decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad }).map_err(|_| fail())
}
