//! Checkpoints: a log's size and root at one moment, signed (Ed25519).
//!
//! Knows nothing of where keys lie or when a checkpoint is due.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::canon::canonical;
use crate::hash::Digest;
use crate::time::Timestamp;

/// What precedes the canonical form of a checkpoint in the signed bytes.
pub const CHECKPOINT_DOMAIN: &str = "tollgate-checkpoint/1\n";

/// Names a public key: the first 8 bytes of its SHA-256, in hex.
pub fn key_id(key: &VerifyingKey) -> String {
    data_encoding::HEXLOWER.encode(Digest::of(key.as_bytes()).0.first_chunk::<8>().unwrap_or(&[0; 8]))
}

/// A public key in lower-case hex, as it is published and put into exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey(pub VerifyingKey);

impl PublicKey {
    /// Reads 64 characters of lower-case hex.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok().map(Self)
    }

    /// Lower-case hex.
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(self.0.as_bytes())
    }

    /// Its name.
    pub fn id(&self) -> String {
        key_id(&self.0)
    }
}

/// An Ed25519 signature in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureHex(pub [u8; 64]);

impl fmt::Debug for SignatureHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl Serialize for SignatureHex {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SignatureHex {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("a signature is 128 characters of lower-case hex"))
    }
}

/// Why a checkpoint is not to be believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Ask for the right public key, or distrust the checkpoint.
    #[error("the checkpoint is signed by key {signed_by}, not by the given key {given}")]
    OtherKey {
        /// The key id it names.
        signed_by: String,
        /// The key id of the key it was checked with.
        given: String,
    },
    /// It was altered, or made by somebody else.
    #[error("the signature of the checkpoint at {size} entries is not valid")]
    Signature {
        /// Its size.
        size: u64,
    },
    /// A number has no canonical form.
    #[error("the checkpoint has no canonical form")]
    Form,
}

/// A log's size and root at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Which log, as `log_id` names it.
    pub log: String,
    /// Entries in it.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// When it was signed.
    pub at: Timestamp,
    /// Which key signs.
    pub key_id: String,
}

impl Checkpoint {
    /// The bytes that are signed.
    ///
    /// # Errors
    /// When the size is beyond 2^53.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        signed_bytes(CHECKPOINT_DOMAIN, self).ok_or(CheckpointError::Form)
    }

    /// Signs it. The `key_id` is set to the key's.
    ///
    /// # Errors
    /// When the size is beyond 2^53.
    pub fn sign(mut self, key: &SigningKey) -> Result<SignedCheckpoint, CheckpointError> {
        self.key_id = key_id(&key.verifying_key());
        let signature = SignatureHex(key.sign(&self.signed_bytes()?).to_bytes());
        Ok(SignedCheckpoint { checkpoint: self, signature })
    }
}

/// The domain, then the canonical form: what every signature of this module is over.
pub(super) fn signed_bytes<T: Serialize>(domain: &str, what: &T) -> Option<Vec<u8>> {
    let form = canonical(&serde_json::to_value(what).ok()?).ok()?;
    Some([domain.as_bytes(), &form].concat())
}

/// Whether the signature is this key's, by the strict rules: no second signature for one message, no weak keys.
pub(super) fn is_signed(key: &PublicKey, bytes: &[u8], signature: &SignatureHex) -> bool {
    key.0.verify_strict(bytes, &Signature::from_bytes(&signature.0)).is_ok()
}

/// A checkpoint with its signature: `{"checkpoint": {…}, "signature": "…"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// By the key that the checkpoint names.
    pub signature: SignatureHex,
}

impl SignedCheckpoint {
    /// Checks the signature.
    ///
    /// # Errors
    /// When it is another key's, or not valid.
    pub fn verify(&self, key: &PublicKey) -> Result<(), CheckpointError> {
        let given = key.id();
        if self.checkpoint.key_id != given {
            return Err(CheckpointError::OtherKey { signed_by: self.checkpoint.key_id.clone(), given });
        }
        if is_signed(key, &self.checkpoint.signed_bytes()?, &self.signature) {
            Ok(())
        } else {
            Err(CheckpointError::Signature { size: self.checkpoint.size })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            log: "rs_x/t_y/live".into(),
            size: 3,
            root: Digest::of(b"root"),
            at: Timestamp::from_micros(1_790_000_000_000_000),
            key_id: String::new(),
        }
    }

    #[test]
    fn a_signed_checkpoint_verifies_and_nothing_else_does() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = PublicKey(key.verifying_key());
        let good = checkpoint().sign(&key).unwrap();
        assert_eq!(good.verify(&public), Ok(()));
        let alter: [fn(&mut Checkpoint); 4] =
            [|c| c.size = 2, |c| c.root = Digest::of(b"other"), |c| c.log.push('x'), |c| c.at = Timestamp::from_micros(1)];
        for change in alter {
            let mut bad = good.clone();
            change(&mut bad.checkpoint);
            assert!(matches!(bad.verify(&public), Err(CheckpointError::Signature { .. })));
        }
        let other = PublicKey(SigningKey::from_bytes(&[8; 32]).verifying_key());
        assert!(matches!(good.verify(&other), Err(CheckpointError::OtherKey { .. })));
    }

    #[test]
    fn the_signed_bytes_are_fixed() {
        let signed = checkpoint().sign(&SigningKey::from_bytes(&[7; 32])).unwrap();
        insta::assert_snapshot!(String::from_utf8(signed.checkpoint.signed_bytes().unwrap()).unwrap(), @r#"tollgate-checkpoint/1
{"at":"2026-09-21T14:13:20.000000Z","key_id":"fe812c12f3ab4ce6","log":"rs_x/t_y/live","root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2","size":3}"#);
        insta::assert_snapshot!(serde_json::to_string(&signed).unwrap(), @r#"{"checkpoint":{"log":"rs_x/t_y/live","size":3,"root":"4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2","at":"2026-09-21T14:13:20.000000Z","key_id":"fe812c12f3ab4ce6"},"signature":"0776dc1fbc0eb3f7379558450514723d85fb86d9f9b20c44352577629fa246787cc9b0e639fff9faf89c611fa1e011eb9642f0b458c9cd0337c54610d1f8a405"}"#);
    }

    #[test]
    fn public_keys_survive_their_text() {
        let key = PublicKey(SigningKey::from_bytes(&[7; 32]).verifying_key());
        assert_eq!(PublicKey::from_hex(&key.to_hex()), Some(key));
        assert_eq!(PublicKey::from_hex(&key.to_hex().to_uppercase()), None);
        assert_eq!(key.id().len(), 16);
    }
}
