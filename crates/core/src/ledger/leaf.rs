//! The leaf of a ledger entry: canonical JSON, fixed for ever. Writing it, and reading it back so strictly that one entry has one text.
//!
//! Knows the frame; what each kind says is in `kinds`. Values that could be sensitive appear only as commitments.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canon::{CanonError, canonical};
use crate::id::{EntryId, ResellerId, TenantId};
use crate::scope::{Mode, Scope};
use crate::time::Timestamp;

use super::body::Body;
use super::kinds::Kind;

/// The only version of the leaf format.
pub const LEAF_VERSION: u64 = 1;
/// Longest leaf, in bytes.
pub const LEAF_MAX: usize = 64 * 1024;

/// The name of a tenant's log in one mode: what checkpoints and exports are of.
pub fn log_id(scope: &Scope) -> String {
    format!("{}/{}/{}", scope.reseller_id, scope.tenant_id, scope.mode)
}

/// One entry of the ledger.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Whose it is.
    pub scope: Scope,
    /// When it happened, by the clock of who wrote it.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// Why bytes are not a leaf, or an entry has none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeafError {
    /// Not JSON, or not UTF-8.
    #[error("the leaf is not JSON: {0}")]
    NotJson(String),
    /// Another text for the same value.
    #[error("the leaf is not in canonical form")]
    NotCanonical,
    /// Written by a later version of the service: use a later verifier.
    #[error("the leaf's format `v` is not {LEAF_VERSION}: a later version wrote it")]
    Version,
    /// The kind is not known in this version.
    #[error("`{0}` is not a kind of ledger entry")]
    Kind(String),
    /// A field is missing, unknown, or of the wrong form.
    #[error("{0}")]
    Field(String),
    /// Same meaning, other spelling: an explicit null or default, or a time in another form.
    #[error("the leaf spells a value in another way than this format does, near byte {0}")]
    Spelling(usize),
    /// A number has no canonical form.
    #[error(transparent)]
    Number(#[from] CanonError),
    /// Put less into it.
    #[error("a leaf has at most {LEAF_MAX} bytes, not {0}")]
    TooLong(usize),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    id: EntryId,
    kind: Kind,
    reseller: ResellerId,
    tenant: TenantId,
    mode: Mode,
    at: Timestamp,
    body: &'a Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "v")]
    _v: u64,
    id: EntryId,
    kind: String,
    reseller: ResellerId,
    tenant: TenantId,
    mode: Mode,
    at: Timestamp,
    body: Value,
}

impl Entry {
    /// The leaf's bytes: the text whose hash goes into the log.
    ///
    /// # Errors
    /// When it would be too long or a number has no canonical form.
    pub fn to_leaf(&self) -> Result<Vec<u8>, LeafError> {
        let written = Written {
            v: LEAF_VERSION,
            id: self.id,
            kind: self.body.kind(),
            reseller: self.scope.reseller_id,
            tenant: self.scope.tenant_id,
            mode: self.scope.mode,
            at: self.at,
            body: &self.body,
        };
        let value = serde_json::to_value(&written).map_err(|e| LeafError::Field(e.to_string()))?;
        let bytes = canonical(&value)?;
        if bytes.len() > LEAF_MAX { Err(LeafError::TooLong(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// When the bytes are anything but exactly what [`Self::to_leaf`] writes for the entry they hold.
    pub fn from_leaf(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_MAX {
            return Err(LeafError::TooLong(bytes.len()));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| LeafError::NotJson(e.to_string()))?;
        if canonical(&value)? != bytes {
            return Err(LeafError::NotCanonical);
        }
        Self::from_canonical(value, bytes)
    }

    /// Reads a leaf from a value and its canonical form.
    pub(super) fn from_canonical(value: Value, bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_MAX {
            return Err(LeafError::TooLong(bytes.len()));
        }
        if value.get("v").and_then(Value::as_u64) != Some(LEAF_VERSION) {
            return Err(LeafError::Version);
        }
        let field = |e: serde_json::Error| LeafError::Field(e.to_string());
        let read: Read = serde_json::from_value(value).map_err(field)?;
        let kind = Kind::parse(&read.kind).ok_or(LeafError::Kind(read.kind))?;
        let scope = Scope { reseller_id: read.reseller, tenant_id: read.tenant, mode: read.mode };
        let body = Body::read(kind, read.body).map_err(|e| LeafError::Field(format!("in the body of the {kind}: {e}")))?;
        let entry = Self { id: read.id, scope, at: read.at, body };
        // What was read must write the same bytes again: this is what leaves no second text for an entry.
        let again = entry.to_leaf()?;
        if again != bytes {
            return Err(LeafError::Spelling(again.iter().zip(bytes).take_while(|(a, b)| a == b).count()));
        }
        Ok(entry)
    }
}
