//! The ledger's pure heart: leaves, the Merkle log, commitments, checkpoints, exports, and their verification without a service.
//!
//! Nothing here does I/O beyond the `std::io` traits, keeps a key, or knows where entries are stored. The formats are fixed for
//! ever; `docs/receipts.md` describes them exactly enough for an independent verifier.

mod body;
mod checkpoint;
mod commit;
mod export;
mod kinds;
mod leaf;
mod merkle;
mod proof;
mod verify;

pub use body::Body;
pub use checkpoint::{CHECKPOINT_DOMAIN, Checkpoint, CheckpointError, PublicKey, SignatureHex, SignedCheckpoint, key_id};
pub use commit::{Commitments, Opened, Opening, SALT_LEN};
pub use export::{Consistency, EXPORT_FORMAT, ExportError, ExportWriter, Item, LINE_MAX, Manifest, SEAL_DOMAIN};
pub use kinds::{
    ActionRef, Approval, ApprovalStep, AttemptEnd, Change, Committed, Decided, Disposition, Erasure, Evidence, Field, Intent, Kind, Proof,
    Receipt, Refs, Resolution, Subject,
};
pub use leaf::{Entry, LEAF_MAX, LEAF_VERSION, LeafError, log_id};
pub use merkle::{Frontier, FrontierError, SIZE_MAX, TILE_HEIGHT, cover, empty_root, leaf_hash, node_hash};
pub use proof::{
    HashSource, ProofError, RangeProof, consistency_proof, inclusion_proof, range_proof, root_at, subtree, verify_consistency,
    verify_inclusion,
};
pub use verify::{FailureKind, Recompute, RecomputedVerdict, Report, VerifyFailure, verify};
