//! The ledger as the store keeps it: read for exports, checkpoints and receipts.

use crate::hash::Digest;
use crate::id::{ActionId, EntryId};
use crate::ledger::Frontier;
use crate::scope::Scope;

use super::{BoxFuture, StoreError, SubjectKeyRow};

/// An entry at its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// Its place in the log, from 0. None as long as it waits for one: it is not tamper-evident yet.
    pub position: Option<u64>,
    /// Its id.
    pub id: EntryId,
    /// The canonical leaf.
    pub leaf: Vec<u8>,
    /// Its Merkle leaf hash.
    pub leaf_hash: Digest,
    /// Values and salts, encrypted.
    pub sealed: Option<Vec<u8>>,
}

/// The ledger.
pub trait LedgerLog: Send + Sync {
    /// The position of the oldest entry that is still here: those before it are archived.
    fn start(&self, scope: Scope) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// The number of the entry that waits longest for its position; none when none waits. It stays the same until the entry has it.
    fn waiting(&self) -> BoxFuture<'_, Result<Option<u64>, StoreError>>;
    /// Entries from a position on.
    fn entries(&self, scope: Scope, from: u64, limit: u32) -> BoxFuture<'_, Result<Vec<StoredEntry>, StoreError>>;
    /// One entry.
    fn entry(&self, scope: Scope, id: EntryId) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>>;
    /// Entries about one action, in order.
    fn entries_of(&self, scope: Scope, action: ActionId) -> BoxFuture<'_, Result<Vec<StoredEntry>, StoreError>>;
    /// The tree's compact form.
    fn frontier(&self, scope: Scope) -> BoxFuture<'_, Result<Frontier, StoreError>>;
    /// Leaf hashes of `from..to`.
    fn leaf_hashes(&self, scope: Scope, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, StoreError>>;
    /// Roots of complete tiles `from..to` of a level.
    fn tiles(&self, scope: Scope, level: u8, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, StoreError>>;
    /// The key that sealed a value; none when it was erased.
    fn subject_key(&self, scope: Scope, key_id: [u8; 16]) -> BoxFuture<'_, Result<Option<SubjectKeyRow>, StoreError>>;
    /// The newest signed checkpoint, as JSON.
    fn checkpoint(&self, scope: Scope) -> BoxFuture<'_, Result<Option<String>, StoreError>>;
    /// Gives places to every entry that waits for one, for stores that do not at commit; answers how many. One process at a time does it,
    /// whoever asks.
    fn sequence(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Stores a signed checkpoint of a size.
    fn put_checkpoint(&self, scope: Scope, size: u64, signed: String) -> BoxFuture<'_, Result<(), StoreError>>;
}
