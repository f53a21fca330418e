//! A result as the journal keeps it: the value itself, or where a large one lies. Both have one hash, so that it never changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::{CanonError, DEPTH_MAX, canonical, too_deep};
use crate::hash::Digest;

/// Longest value that is kept in the journal itself, as canonical JSON in bytes.
pub const INLINE_MAX: usize = 16 * 1024;

/// A kept result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// The value.
    Inline(Value),
    /// A value that lies elsewhere.
    Blob(BlobRef),
}

/// A large value by reference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// Where it lies.
    #[serde(rename = "ref")]
    pub reference: String,
    /// SHA-256 of its canonical JSON, which is what lies there.
    pub hash: Digest,
    /// How many bytes that is.
    pub size: u64,
}

/// Why a value cannot be kept, or is not what was kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoredError {
    /// It has no canonical form: fail the step with this message.
    #[error(transparent)]
    Number(#[from] CanonError),
    /// It is nested too deeply to be read again: fail the step with this message.
    #[error("the result is nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// The bytes are not those that were kept: stop the run, and say that its blob is damaged.
    #[error("the blob `{reference}` is not the one that was kept: it has another size, hash or form")]
    Damaged {
        /// Where it lies.
        reference: String,
    },
}

impl Stored {
    /// Keeps a value. A large one gets the reference that `place` gives for its hash; its bytes come back and must lie there before
    /// the journal names it.
    ///
    /// What is kept is the value of the canonical form, inline too, so that a step reads the same wherever it lies: `2.0` becomes `2`.
    ///
    /// # Errors
    /// When the value has no canonical form.
    pub fn of(value: &Value, place: impl FnOnce(Digest) -> String) -> Result<(Self, Option<Vec<u8>>), StoredError> {
        if too_deep(value) {
            return Err(StoredError::TooDeep);
        }
        let bytes = canonical(value)?;
        if bytes.len() <= INLINE_MAX {
            // Canonical JSON of this depth is always read back.
            return Ok((Self::Inline(serde_json::from_slice(&bytes).unwrap_or_default()), None));
        }
        let hash = Digest::of(&bytes);
        let blob = BlobRef { reference: place(hash), hash, size: bytes.len() as u64 };
        Ok((Self::Blob(blob), Some(bytes)))
    }

    /// The hash of the value.
    ///
    /// # Errors
    /// When an inline value has no canonical form: [`Self::of`] makes none such.
    pub fn digest(&self) -> Result<Digest, StoredError> {
        match self {
            Self::Inline(value) => Ok(Digest::of(&canonical(value)?)),
            Self::Blob(blob) => Ok(blob.hash),
        }
    }
}

impl BlobRef {
    /// The value, from the bytes that lie there.
    ///
    /// # Errors
    /// When they are not those that were kept.
    pub fn open(&self, bytes: &[u8]) -> Result<Value, StoredError> {
        let damaged = || StoredError::Damaged { reference: self.reference.clone() };
        if bytes.len() as u64 != self.size || Digest::of(bytes) != self.hash {
            return Err(damaged());
        }
        serde_json::from_slice(bytes).map_err(|_| damaged())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(hash: Digest) -> String {
        format!("blob/{hash}")
    }

    #[test]
    fn a_value_reads_the_same_wherever_it_lies() {
        let long = json!({"n": 2.0, "f": 2.5, "t": "x".repeat(INLINE_MAX)});
        let (Stored::Blob(blob), Some(bytes)) = Stored::of(&long, place).unwrap() else { panic!("it is too long to be kept inline") };
        let value = blob.open(&bytes).unwrap();
        assert_eq!((value["n"].as_i64(), value["f"].as_f64()), (Some(2), Some(2.5)));
        assert_eq!(Stored::Inline(value).digest(), Ok(blob.hash), "the hash is that of the value, not of its place");
        let (short, none) = Stored::of(&json!({"n": 2.0}), place).unwrap();
        assert_eq!((short, none), (Stored::Inline(json!({"n": 2})), None));
    }

    #[test]
    fn the_limit_is_that_of_the_canonical_bytes() {
        let text = |n: usize| json!("x".repeat(n));
        assert!(matches!(Stored::of(&text(INLINE_MAX - 2), place), Ok((Stored::Inline(_), None))));
        assert!(matches!(Stored::of(&text(INLINE_MAX - 1), place), Ok((Stored::Blob(_), Some(_)))));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let said = Stored::of(&json!([1_u64 << 60]), place).unwrap_err().to_string();
        assert!(said.contains("`/0`") && said.contains("2^53"), "{said}");
        let deep = (0..=DEPTH_MAX).fold(json!(1), |v, _| json!([v]));
        assert_eq!(Stored::of(&deep, place), Err(StoredError::TooDeep));
    }

    #[test]
    fn other_bytes_are_not_what_was_kept() {
        let blob = |size, hashed: &[u8]| BlobRef { reference: "b".to_owned(), hash: Digest::of(hashed), size };
        assert_eq!(blob(3, b"[1]").open(b"[1]"), Ok(json!([1])));
        for (blob, bytes) in [(blob(3, b"[1]"), &b"[2]"[..]), (blob(4, b"[1]"), b"[1]"), (blob(2, b"[1"), b"[1")] {
            assert_eq!(blob.open(bytes), Err(StoredError::Damaged { reference: "b".to_owned() }));
        }
    }

    /// Fixed for ever: journals hold it.
    #[test]
    fn the_form_in_the_journal() {
        let blob = Stored::Blob(BlobRef { reference: "b".to_owned(), hash: Digest([0; 32]), size: 7 });
        let zeros = "0".repeat(64);
        assert_eq!(serde_json::to_value(blob).unwrap(), json!({"blob": {"ref": "b", "hash": zeros, "size": 7}}));
        assert_eq!(serde_json::to_value(Stored::Inline(json!(1))).unwrap(), json!({"inline": 1}));
    }
}
