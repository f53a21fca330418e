//! Salted commitments: a leaf binds a sensitive value without showing it, and each value can be opened, or erased, alone.
//!
//! Knows nothing of what is committed to; makes no randomness (the salt comes in).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::{CanonError, canonical};
use crate::hash::Digest;

/// Length of an action's salt, in bytes.
pub const SALT_LEN: usize = 32;

const FIELD_DOMAIN: &str = "tollgate/field-salt/v1";
const COMMIT_DOMAIN: &str = "tollgate/commit/v1";

/// Makes the commitments of one action. The salt is kept, encrypted, beside the ledger; who loses it cannot open anything any more.
#[derive(Clone)]
pub struct Commitments {
    salt: [u8; SALT_LEN],
}

impl Commitments {
    /// From 32 random bytes, drawn once per action.
    pub const fn new(salt: [u8; SALT_LEN]) -> Self {
        Self { salt }
    }

    /// The salt of one value. `name` must never stand for two values of one action: what belongs to one attempt is named
    /// `output#2`, since opening one value shows its salt.
    pub fn field_salt(&self, name: &str) -> Digest {
        Digest::of_parts(FIELD_DOMAIN, &[&self.salt, name.as_bytes()])
    }

    /// Commits to some bytes.
    pub fn commit(&self, name: &str, bytes: &[u8]) -> Digest {
        self.commit_digest(name, Digest::of(bytes), bytes.len() as u64)
    }

    /// Commits to bytes known by digest and size, so that a blob reference gives the same commitment as the bytes.
    pub fn commit_digest(&self, name: &str, digest: Digest, size: u64) -> Digest {
        commitment(self.field_salt(name), digest, size)
    }

    /// Commits to the canonical form of a JSON value.
    ///
    /// # Errors
    /// When it has none.
    pub fn commit_json(&self, name: &str, value: &Value) -> Result<Digest, CanonError> {
        Ok(self.commit(name, &canonical(value)?))
    }

    /// What opens a commitment: this one field, and nothing about the others.
    pub fn opening(&self, name: &str, value: Opened) -> Opening {
        Opening { field_salt: self.field_salt(name), value }
    }
}

impl std::fmt::Debug for Commitments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Commitments(redacted)")
    }
}

fn commitment(field_salt: Digest, digest: Digest, size: u64) -> Digest {
    Digest::of_parts(COMMIT_DOMAIN, &[&field_salt.0, &digest.0, &size.to_be_bytes()])
}

/// A committed value as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// Committed as the canonical bytes of this value.
    Json(Value),
    /// Committed as the UTF-8 bytes of this text.
    Text(String),
    /// Committed bytes that are not shown here, by digest and size: they lie elsewhere.
    Blob {
        /// SHA-256 of the bytes.
        hash: Digest,
        /// How many they are.
        size: u64,
    },
}

/// Lets anyone recompute one commitment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The salt of this field alone.
    pub field_salt: Digest,
    /// The value.
    pub value: Opened,
}

impl Opening {
    /// The commitment that this opens.
    ///
    /// # Errors
    /// When the value has no canonical form.
    pub fn commitment(&self) -> Result<Digest, CanonError> {
        let (digest, size) = match &self.value {
            Opened::Json(value) => {
                let bytes = canonical(value)?;
                (Digest::of(&bytes), bytes.len() as u64)
            }
            Opened::Text(text) => (Digest::of(text.as_bytes()), text.len() as u64),
            Opened::Blob { hash, size } => (*hash, *size),
        };
        Ok(commitment(self.field_salt, digest, size))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_opening_gives_its_commitment_and_no_other() {
        let c = Commitments::new([7; 32]);
        let value = json!({"issue": 7, "label": "bug"});
        let opening = c.opening("args", Opened::Json(value.clone()));
        let commitment = c.commit_json("args", &value).unwrap();
        assert_eq!(opening.commitment(), Ok(commitment));
        assert_ne!(c.commit_json("output", &value).unwrap(), commitment, "the field's name counts");
        assert_ne!(Commitments::new([8; 32]).commit_json("args", &value).unwrap(), commitment, "the salt counts");
        assert_ne!(c.opening("args", Opened::Json(json!({"issue": 8}))).commitment(), Ok(commitment), "the value counts");
    }

    #[test]
    fn a_blob_reference_never_changes_a_commitment() {
        let c = Commitments::new([7; 32]);
        let bytes = b"a long output";
        let by_reference = c.opening("output", Opened::Blob { hash: Digest::of(bytes), size: bytes.len() as u64 });
        assert_eq!(by_reference.commitment(), Ok(c.commit("output", bytes)));
        assert_ne!(c.commit_digest("output", Digest::of(bytes), 12), c.commit("output", bytes), "the size counts");
    }

    #[test]
    fn the_salt_is_not_shown() {
        assert_eq!(format!("{:?}", Commitments::new([7; 32])), "Commitments(redacted)");
    }

    /// Fixed for ever: an independent verifier computes the same.
    #[test]
    fn known_commitment() {
        let c = Commitments::new([0; 32]);
        insta::assert_snapshot!(c.commit("args", b"{}"), @"91d5f017d377e22668ee6cd30df9e21a02563b30995e0054934f72a45dc47295");
    }
}
