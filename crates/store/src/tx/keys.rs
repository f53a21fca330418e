//! Effect keys, who waits for them, and the denials that stand for them.

use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId, RunId};
use tollgate_core::ports::KeyClaim;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::{Result, damaged};

/// How a key stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyRowState {
    Reserved,
    InDoubt,
    Consumed,
    /// Free again: what stays is the generation that the next action starts from and when the remote first saw it, or a rejection stored by
    /// a remote would be repeated to it.
    Free,
}

impl KeyRowState {
    pub(crate) const fn as_int(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_int(n: i64) -> Result<Self> {
        match n {
            0 => Ok(Self::Reserved),
            1 => Ok(Self::InDoubt),
            2 => Ok(Self::Consumed),
            3 => Ok(Self::Free),
            _ => Err(damaged("the state of an effect key")),
        }
    }
}

/// The row of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeyRecord {
    pub(crate) state: KeyRowState,
    pub(crate) action: ActionId,
    pub(crate) receipt: Option<EntryId>,
    pub(crate) fingerprint: Digest,
    pub(crate) generation: u32,
    pub(crate) began: Timestamp,
}

/// What becomes of a key that an action reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyEnd {
    /// Consumed by this receipt, for ever.
    Consumed(EntryId),
    /// Free for another, from this generation on.
    Free { generation: u32, began: Timestamp },
    /// In doubt until resolved.
    InDoubt,
}

/// Effect keys.
pub(crate) trait Keys {
    /// The row of a key.
    fn key(&mut self, key: &Digest) -> Result<Option<KeyRecord>>;
    /// Reserves a key that is new or free, under the unique constraint; `false` when it is neither.
    fn reserve_key(&mut self, scope: Scope, action: ActionId, claim: &KeyClaim) -> Result<bool>;
    /// Ends this action's reservation or doubt; `false` when it has none.
    fn end_key(&mut self, key: &Digest, action: ActionId, end: KeyEnd) -> Result<bool>;
    /// Lists an action as waiting for a key.
    fn wait_for_key(&mut self, scope: Scope, key: &Digest, action: ActionId, run: RunId) -> Result<()>;
    /// Takes one off that list.
    fn drop_waiter(&mut self, key: &Digest, action: ActionId) -> Result<()>;
    /// Takes all off that list, in order.
    fn take_waiters(&mut self, key: &Digest) -> Result<Vec<(ActionId, RunId)>>;
    /// The denial that stands for a key and fingerprint.
    fn denial(&mut self, claim: &KeyClaim) -> Result<Option<EntryId>>;
    /// Makes a denial stand.
    fn deny(&mut self, scope: Scope, claim: &KeyClaim, entry: EntryId) -> Result<()>;
    /// Lifts a denial.
    fn lift_denial(&mut self, claim: &KeyClaim) -> Result<()>;
}
