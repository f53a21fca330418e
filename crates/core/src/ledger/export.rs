//! The export file: JSON lines that prove a range of one log to anybody who has the public key. Its lines, and their writer.
//!
//! A manifest, then one line per position and the artifacts they need, then a seal. Every line is canonical JSON ended by one
//! line feed. **What the signature covers**: the seal signs the digest of the manifest's bytes, the digest of all bytes between
//! it and the seal, and the counts; so no byte, line or order can change. The seal comes last so that an export of any length
//! is written, and checked, in one pass.
//!
//! Knows no storage and opens no encrypted value: who exports gives it the openings that may be disclosed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::canon::{canonical, is_canonical};
use crate::hash::Digest;
use crate::id::EntryId;

use super::checkpoint::{PublicKey, SignatureHex, SignedCheckpoint, signed_bytes};
use super::commit::{Opened, Opening};
use super::merkle::{Frontier, FrontierError, leaf_hash};
use super::proof::RangeProof;

/// The format's name and version, as the manifest states it.
pub const EXPORT_FORMAT: &str = "tollgate-export/1";
/// What precedes the canonical form of a seal in the signed bytes.
pub const SEAL_DOMAIN: &str = "tollgate-export/1\n";
/// Longest line, in bytes, its line feed included.
pub const LINE_MAX: usize = 64 * 1024 * 1024;

/// Shows that the log at the checkpoint begins with an earlier log of `size` entries, for a witness who kept that one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Size of the earlier log.
    pub size: u64,
    /// The proof, as RFC 9162 orders it.
    pub proof: Vec<Digest>,
}

/// The first line: what the file is an export of.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`EXPORT_FORMAT`].
    pub format: String,
    /// The log at the moment of the export.
    pub checkpoint: SignedCheckpoint,
    /// The key that signs the checkpoint and the seal, in hex.
    pub public_key: String,
    /// First position in the file.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// What was asked for, when not everything: entries outside it are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Roots of the subtrees left of the range.
    pub left: Vec<Digest>,
    /// Roots of the subtrees right of the range.
    pub right: Vec<Digest>,
    /// For a witness whose checkpoint lies outside the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
}

impl Manifest {
    /// A manifest for the whole range `from..to`, with its proof.
    pub fn new(checkpoint: SignedCheckpoint, key: &PublicKey, from: u64, to: u64, proof: RangeProof) -> Self {
        let RangeProof { left, right } = proof;
        let format = EXPORT_FORMAT.to_owned();
        Self { format, checkpoint, public_key: key.to_hex(), from, to, filter: None, left, right, consistency: None }
    }

    pub(super) fn range_proof(&self) -> RangeProof {
        RangeProof { left: self.left.clone(), right: self.right.clone() }
    }
}

/// An entry in full.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLine {
    pub pos: u64,
    pub hash: Digest,
    pub leaf: Value,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<Digest, Opening>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<EntryId>,
}

/// An entry outside the filter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HiddenLine {
    pub pos: u64,
    pub hash: Digest,
}

/// What verdicts are recomputed from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArtifactLine {
    pub digest: Digest,
    pub value: Value,
}

/// What the last line's signature is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SealBody {
    pub manifest: Digest,
    pub body: Digest,
    pub entries: u64,
    pub hidden: u64,
    pub artifacts: u64,
}

impl SealBody {
    pub(super) fn signed_bytes(&self) -> Option<Vec<u8>> {
        signed_bytes(SEAL_DOMAIN, self)
    }
}

/// The last line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealLine {
    pub manifest: Digest,
    pub body: Digest,
    pub entries: u64,
    pub hidden: u64,
    pub artifacts: u64,
    pub signature: SignatureHex,
}

/// One thing to export, in order of positions.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// What a verdict was computed from; before the first entry that cites it. A repetition is passed over.
    Artifact(Value),
    /// An entry.
    Entry {
        /// Its position.
        pos: u64,
        /// Its exact bytes.
        leaf: Vec<u8>,
        /// What may be disclosed.
        openings: Vec<Opening>,
        /// The `erasure` entry that made its values unreadable. Goes with no openings.
        erased: Option<EntryId>,
    },
    /// An entry outside the filter.
    Hidden {
        /// Its position.
        pos: u64,
        /// Its leaf hash.
        hash: Digest,
    },
}

/// Why an export was not written. Whatever was written so far has no seal and will not verify.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output failed.
    #[error("the export cannot be written: {0}")]
    Io(#[from] std::io::Error),
    /// An item is out of order.
    #[error("position {got} was given where {want} must follow")]
    Order {
        /// The position that must follow.
        want: u64,
        /// The one given.
        got: u64,
    },
    /// The items do not fill the range.
    #[error("the export covers positions {from} to {to}, but the items end at {end}")]
    Incomplete {
        /// First position of the manifest.
        from: u64,
        /// One past its last.
        to: u64,
        /// One past the last item.
        end: u64,
    },
    /// The items do not belong to the checkpoint: the stored log is damaged, or the proof is of another range.
    #[error("the entries and the proof do not add up to the root of the checkpoint")]
    Root,
    /// The proof does not fit the range.
    #[error(transparent)]
    Proof(#[from] FrontierError),
    /// The signing key is not the manifest's.
    #[error("the export must be sealed with the key that signed its checkpoint")]
    Key,
    /// A hidden entry without a filter.
    #[error("position {0} is hidden, but the manifest names no filter")]
    Unfiltered(u64),
    /// Something has no form in which it can be read back.
    #[error("{0} has no canonical form")]
    Form(String),
}

/// Writes an export, line by line, in one pass.
#[derive(Debug)]
pub struct ExportWriter<W> {
    out: W,
    manifest: Manifest,
    at: Frontier,
    body: Sha256,
    seal: SealBody,
    artifacts: BTreeSet<Digest>,
}

impl<W: Write> ExportWriter<W> {
    /// Writes the manifest.
    ///
    /// # Errors
    /// When the output fails, or the proof does not fit the range.
    pub fn begin(mut out: W, manifest: Manifest) -> Result<Self, ExportError> {
        let at = manifest.range_proof().start(manifest.from)?;
        let line = line("manifest", &manifest)?;
        out.write_all(&line)?;
        let seal = SealBody { manifest: Digest::of(&line), body: Digest::of(&[]), entries: 0, hidden: 0, artifacts: 0 };
        Ok(Self { out, manifest, at, body: Sha256::new(), seal, artifacts: BTreeSet::new() })
    }

    /// Writes one item.
    ///
    /// # Errors
    /// When it is out of order, cannot be read back, or the output fails.
    pub fn write(&mut self, item: Item) -> Result<(), ExportError> {
        match item {
            Item::Artifact(value) => self.artifact(value),
            Item::Entry { pos, leaf, openings, erased } => self.entry(pos, &leaf, openings, erased),
            Item::Hidden { pos, hash } => self.hidden(pos, hash),
        }
    }

    /// Writes all items.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_all(&mut self, items: impl IntoIterator<Item = Item>) -> Result<(), ExportError> {
        items.into_iter().try_for_each(|item| self.write(item))
    }

    fn artifact(&mut self, value: Value) -> Result<(), ExportError> {
        let digest = Digest::of(&canonical(&value).map_err(|e| ExportError::Form(e.to_string()))?);
        if !self.artifacts.insert(digest) {
            return Ok(());
        }
        self.seal.artifacts += 1;
        self.put("artifact", &ArtifactLine { digest, value })
    }

    fn entry(&mut self, pos: u64, leaf: &[u8], openings: Vec<Opening>, erased: Option<EntryId>) -> Result<(), ExportError> {
        let hash = leaf_hash(leaf);
        self.place(pos, hash)?;
        let form = |what: &str| ExportError::Form(format!("{what} of position {pos}"));
        let value = serde_json::from_slice(leaf).ok().filter(|_| is_canonical(leaf)).ok_or_else(|| form("the leaf"))?;
        let mut open = BTreeMap::new();
        for opening in openings {
            let commitment = opening.commitment().map_err(|_| form("an opening"))?;
            open.insert(commitment, readable(opening).ok_or_else(|| form("an opening"))?);
        }
        self.seal.entries += 1;
        self.put("entry", &EntryLine { pos, hash, leaf: value, open, erased })
    }

    fn hidden(&mut self, pos: u64, hash: Digest) -> Result<(), ExportError> {
        if self.manifest.filter.is_none() {
            return Err(ExportError::Unfiltered(pos));
        }
        self.place(pos, hash)?;
        self.seal.hidden += 1;
        self.put("hidden", &HiddenLine { pos, hash })
    }

    fn place(&mut self, pos: u64, hash: Digest) -> Result<(), ExportError> {
        if pos != self.at.size() || pos >= self.manifest.to {
            return Err(ExportError::Order { want: self.at.size(), got: pos });
        }
        Ok(self.at.append(hash, |_, _, _| {})?)
    }

    fn put<T: Serialize>(&mut self, kind: &str, what: &T) -> Result<(), ExportError> {
        let line = line(kind, what)?;
        self.body.update(&line);
        Ok(self.out.write_all(&line)?)
    }

    /// Checks that the file will verify, and writes the seal. Gives the output back, flushed.
    ///
    /// # Errors
    /// When positions are missing, the root is not the checkpoint's, the key is another, or the output fails.
    pub fn finish(mut self, key: &SigningKey) -> Result<W, ExportError> {
        let Manifest { from, to, .. } = self.manifest;
        if self.at.size() != to {
            return Err(ExportError::Incomplete { from, to, end: self.at.size() });
        }
        let checkpoint = &self.manifest.checkpoint;
        if self.manifest.range_proof().finish(self.at, checkpoint.checkpoint.size)? != checkpoint.checkpoint.root {
            return Err(ExportError::Root);
        }
        let public = PublicKey(key.verifying_key());
        if public.to_hex() != self.manifest.public_key || checkpoint.verify(&public).is_err() {
            return Err(ExportError::Key);
        }
        self.seal.body = Digest(self.body.finalize().into());
        let bytes = self.seal.signed_bytes().ok_or_else(|| ExportError::Form("the seal".into()))?;
        let SealBody { manifest, body, entries, hidden, artifacts } = self.seal;
        let signature = SignatureHex(key.sign(&bytes).to_bytes());
        self.out.write_all(&line("seal", &SealLine { manifest, body, entries, hidden, artifacts, signature })?)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A value whose canonical text reads back as another (whole doubles beyond 2^53) is shown as that text: the committed bytes are
/// the same.
fn readable(opening: Opening) -> Option<Opening> {
    let Opened::Json(value) = &opening.value else { return Some(opening) };
    let bytes = canonical(value).ok()?;
    if is_canonical(&bytes) {
        return Some(opening);
    }
    Some(Opening { field_salt: opening.field_salt, value: Opened::Text(String::from_utf8(bytes).ok()?) })
}

/// A line's bytes: the canonical form of the fields and `type`, and a line feed.
fn line<T: Serialize>(kind: &str, what: &T) -> Result<Vec<u8>, ExportError> {
    let form = || ExportError::Form(format!("the {kind} line"));
    let mut value = serde_json::to_value(what).map_err(|_| form())?;
    value.as_object_mut().ok_or_else(form)?.insert("type".to_owned(), Value::from(kind));
    let mut bytes = canonical(&value).ok().filter(|b| is_canonical(b) && b.len() < LINE_MAX).ok_or_else(form)?;
    bytes.push(b'\n');
    Ok(bytes)
}
