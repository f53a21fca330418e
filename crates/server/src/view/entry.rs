//! Ledger entries as clients see them: whole, or as the hops of an action.

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_core::hash::Digest;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::{Body, Entry};
use tollgate_core::ports::StoredEntry;
use tollgate_core::time::Timestamp;
use utoipa::ToSchema;

use super::raw_json;

/// A ledger entry.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct EntryView {
    /// Its id.
    #[schema(value_type = String, example = "rc_01hzy0000000000000000000000")]
    pub id: EntryId,
    /// Always `receipt`.
    pub object: &'static str,
    /// `receipt`, `intent`, `attempt`, `approval`, `resolution`, `evidence`, `change` or `erasure`.
    pub kind: Option<&'static str>,
    /// Its place in the log, from 0. Null while it waits for one, for about a second: it is not tamper-evident yet.
    pub position: Option<u64>,
    /// When it happened.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Its Merkle leaf hash.
    #[schema(value_type = String)]
    pub leaf_hash: Digest,
    /// The entry itself, exactly as it is hashed.
    #[schema(value_type = serde_json::Value)]
    pub leaf: Option<Box<RawValue>>,
    /// What the leaf commits to, by commitment: salt and value. Null when it was erased; left out of lists.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Box<RawValue>>,
}

impl From<StoredEntry> for EntryView {
    fn from(e: StoredEntry) -> Self {
        let entry = Entry::from_leaf(&e.leaf).ok();
        Self {
            id: e.id,
            object: "receipt",
            kind: entry.as_ref().map(|e| e.body.kind().as_str()),
            position: e.position,
            at: entry.as_ref().map(|e| e.at),
            leaf_hash: e.leaf_hash,
            leaf: raw_json(&e.leaf),
            opened: None,
        }
    }
}

/// A step on an action's way, from the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = Hop)]
pub(crate) struct HopView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The kind of its ledger entry.
    pub kind: &'static str,
    /// Its ledger entry.
    #[schema(value_type = String)]
    pub receipt_id: EntryId,
    /// Which attempt, where it is about one.
    pub attempt: Option<u32>,
    /// What it says: how an attempt ended, the step of an approval, the disposition.
    pub word: Option<&'static str>,
    /// Why, or in which queue.
    pub reason: Option<String>,
    /// Who, where a person did it.
    pub by: Option<String>,
}

impl HopView {
    /// The hop of an entry; none when it cannot be read.
    pub fn of(stored: &StoredEntry) -> Option<Self> {
        let entry = Entry::from_leaf(&stored.leaf).ok()?;
        let (attempt, word, reason, by) = match &entry.body {
            Body::Intent(i) => (Some(i.attempt), None, None, None),
            Body::Attempt(a) => (Some(a.attempt), Some(a.result.as_str()), None, a.concluded_by.clone()),
            Body::Evidence(e) => (Some(e.attempt), Some(e.result.as_str()), None, None),
            Body::Receipt(r) => (None, Some(r.disposition.as_str()), Some(r.reason.clone()), None),
            Body::Approval(a) => (None, Some(a.step.as_str()), Some(a.queue.clone()), a.by.clone()),
            Body::Resolution(r) => (None, Some(r.resolved.as_str()), None, Some(r.by.clone())),
            Body::Change(c) => (None, None, Some(c.status.clone()), Some(c.by.clone())),
            Body::Erasure(e) => (None, None, Some(e.reason.clone()), Some(e.by.clone())),
        };
        Some(Self { at: entry.at, kind: entry.body.kind().as_str(), receipt_id: stored.id, attempt, word, reason, by })
    }
}

/// The newest signed checkpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub(crate) struct CheckpointView {
    /// Always `checkpoint`.
    pub object: &'static str,
    /// The signed checkpoint as it is; null while the log is empty.
    #[schema(value_type = Option<serde_json::Value>)]
    pub checkpoint: Option<Box<RawValue>>,
    /// The public key that it is signed with.
    pub public_key: String,
}
