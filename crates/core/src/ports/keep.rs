//! Upkeep: what is retired, archived, counted. Knows ages and positions, no tables.

use std::collections::BTreeMap;

use crate::id::TenantId;
use crate::scope::Scope;
use crate::time::Timestamp;

use super::{BoxFuture, StoreError};

/// What retention may take away, in the order in which it does: nothing is taken that something later in the list still needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Retire {
    /// Runs that ended, with their actions and journals.
    Runs,
    /// Large results that no journal names any more.
    Blobs,
    /// Answered approval requests whose action is gone.
    Approvals,
    /// Replays that ended, but the newest: the next one counts on from its number.
    Replays,
    /// Events that no open run and no open replay needs.
    Events,
    /// Changes of state that were told, but the newest.
    Changes,
    /// Signed checkpoints, but the last of each day.
    Checkpoints,
}

impl Retire {
    /// All, in their order.
    pub const ALL: [Self; 7] = [Self::Runs, Self::Blobs, Self::Approvals, Self::Replays, Self::Events, Self::Changes, Self::Checkpoints];

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Blobs => "blobs",
            Self::Approvals => "approvals",
            Self::Replays => "replays",
            Self::Events => "events",
            Self::Changes => "changes",
            Self::Checkpoints => "checkpoints",
        }
    }
}

/// What one slice of retention came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retired {
    /// How many are gone.
    pub gone: u64,
    /// Where the next slice begins; none when nothing is left to look at.
    pub next: Option<u128>,
}

/// Which entries of a log may leave it for an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Archivable {
    /// The first entry that is still there.
    pub from: u64,
    /// One past the last that may go: whole tiles of 256, so that what is left needs no hash of what is gone but the tiles'.
    pub to: u64,
    /// The entry that keeps its successors: too young, or about an action that is not over.
    pub kept_by: Option<u64>,
}

/// One table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableSize {
    /// Rows; on Postgres as its statistics have it.
    pub rows: u64,
    /// Bytes with its indexes.
    pub bytes: u64,
}

/// What there is, for people who watch it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreStats {
    /// The engine.
    pub engine: &'static str,
    /// The schema's version.
    pub schema_version: i64,
    /// By name.
    pub tables: BTreeMap<String, TableSize>,
    /// Everything, in bytes.
    pub bytes: u64,
    /// Of it, bytes that are free for new rows.
    pub free_bytes: u64,
    /// The write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// Steps that a worker could take.
    pub ready: u64,
    /// Steps that workers hold.
    pub held: u64,
    /// Steps that wait for a time.
    pub timers: u64,
    /// When the longest waiting ready step last changed.
    pub oldest_ready: Option<Timestamp>,
    /// Ledger entries that wait for a position.
    pub unsequenced: u64,
    /// When the oldest run that is not over began.
    pub oldest_open_run: Option<Timestamp>,
    /// The epoch.
    pub epoch: u64,
    /// It holds all writes.
    pub held_by_epoch: bool,
}

/// Upkeep of a store.
pub trait Keep: Send + Sync {
    /// Takes away one slice of what is older than `before`, in one transaction: all of it or nothing. Doing it again is harmless.
    fn retire(&self, what: Retire, before: Timestamp, from: Option<u128>) -> BoxFuture<'_, Result<Retired, StoreError>>;
    /// Every tenant and mode that has a log.
    fn logs(&self) -> BoxFuture<'_, Result<Vec<Scope>, StoreError>>;
    /// Which of a log's oldest entries are older than `before`, about nothing open, and under a signed checkpoint; at most `most`.
    fn archivable(&self, scope: Scope, before: Timestamp, most: u64) -> BoxFuture<'_, Result<Archivable, StoreError>>;
    /// Takes the entries `from..to` away, which are archived. The tree's tiles stay. `from` must be the first that is there.
    fn retire_entries(&self, scope: Scope, from: u64, to: u64) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// How much of a tenant's work is not over, in both modes: runs, actions, replays, and changes that were not told yet.
    fn under_way(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Takes a tenant away that is suspended, in both modes: first who may ask and what is in force, then what opens its secrets and sealed
    /// values, then its rows. Its logs stay and go on proving themselves; what they sealed, nobody reads again. A conflict while something is under
    /// way, or not all of its logs is signed. Done in slices: one that was interrupted is asked for again. Answers rows by table.
    fn remove_tenant(&self, tenant: TenantId) -> BoxFuture<'_, Result<BTreeMap<String, u64>, StoreError>>;
    /// Gives space back to the file system, a slice; answers bytes. 0 when there is no more to give.
    fn give_back(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// What there is.
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>>;
}
