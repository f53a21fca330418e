//! Changes out: every change of state of runs, actions and steps, in one order, as it was committed.

use crate::change::Change;
use crate::id::RunId;
use crate::scope::Scope;

use super::{BoxFuture, StoreError};

/// Some changes, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Each with its position.
    pub found: Vec<(u64, Change)>,
    /// The position up to which was looked.
    pub to: u64,
    /// There may be more behind it.
    pub more: bool,
}

/// The log of changes. A change is in it exactly when the transaction that made it is committed; positions are given after that, so that
/// whoever goes on from a position misses nothing.
pub trait ChangeLog: Send + Sync {
    /// Changes after a position, of one run or of all.
    fn changes_after(&self, scope: Scope, run: Option<RunId>, position: u64) -> BoxFuture<'_, Result<Changes, StoreError>>;

    /// The position before the oldest change that is still kept; none when there is none. What came before it is gone.
    fn changes_from(&self, scope: Scope) -> BoxFuture<'_, Result<Option<u64>, StoreError>>;
}
