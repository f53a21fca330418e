//! What every port over the store shares: leases, entries, errors.

use crate::hash::Digest;
use crate::id::{ActionId, EntryId, RunId, SessionId};
use crate::ledger::Kind;
use crate::scope::Scope;
use crate::time::Timestamp;

use super::Sealed;

/// Why the store did not do it. Variants say what the caller must do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another session holds the step by now: drop the work, keep the evidence.
    #[error("the lease on this step was lost")]
    LeaseLost,
    /// Another deployment, policy or status is active than the caller reckoned with: decide again.
    #[error("what governs this action changed: decide again")]
    Stale,
    /// The state is another than the command needs; says which.
    #[error("{0}")]
    Conflict(String),
    /// No such thing in this tenant and mode.
    #[error("not found")]
    NotFound,
    /// Nothing was written: try later. A full or read-only disk, a store that is closing.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// The store was restored, and this epoch of it holds all writes: nothing was written, until a person has resolved what was open.
    #[error(
        "epoch {0} holds all writes, since the store was restored: see `tollgate db epoch list`, resolve each step, then `tollgate db epoch end`"
    )]
    Held(u64),
    /// The commit was sent and its answer lost: it may have happened. Read before doing it again.
    #[error("the answer to a commit was lost")]
    AnswerLost,
    /// What was read makes no sense. Nothing is guessed; says where.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// A worker's fenced claim on a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The worker session.
    pub session: SessionId,
    /// Rises with every claim of the step.
    pub fence: u64,
}

/// A step of a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// Ask the operator for a plan.
    Reason,
    /// Take an action through the gate.
    Action(ActionId),
    /// Run a node of the run's graph: its place in the spec.
    Node(u32),
}

/// A step that a session holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// Whose it is.
    pub scope: Scope,
    /// Its run.
    pub run: RunId,
    /// The step.
    pub step: Step,
    /// The claim.
    pub lease: Lease,
}

/// A ledger entry about to be appended: the leaf is final, the store only gives it a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    /// Its id.
    pub id: EntryId,
    /// Its kind.
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// The action it is about.
    pub action: Option<ActionId>,
    /// The canonical leaf.
    pub leaf: Vec<u8>,
    /// Its Merkle leaf hash.
    pub leaf_hash: Digest,
    /// Values and salts, encrypted, erasable.
    pub sealed: Option<Sealed>,
}

/// The revision of all that governs actions and is never pinned: deployment, statuses, grants. Every change raises it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ConfigRev(pub u64);
