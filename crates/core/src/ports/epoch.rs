//! Epochs: a store that was restored forgot what happened since its backup. It holds all writes until a person has said of each open step
//! whether it was carried out meanwhile.

use crate::id::RunId;
use crate::scope::Scope;
use crate::time::Timestamp;

use super::{BoxFuture, NewEntry, Step, StoreError};

/// An epoch of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// Counts from 1; a store that was never restored has none.
    pub number: u64,
    /// When.
    pub began_at: Timestamp,
    /// When its hold was lifted; none as long as all writes are held.
    pub ended_at: Option<Timestamp>,
}

/// What was known of a log when an epoch began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochLog {
    /// Whose log.
    pub scope: Scope,
    /// Its entries in the restored store.
    pub size: u64,
    /// The signed checkpoint that was kept outside, as JSON. What it has more is unknown to this store.
    pub kept: Option<String>,
}

/// A step that was open in the restored store, and may have been carried out since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStep {
    /// Whose.
    pub scope: Scope,
    /// Its run.
    pub run: RunId,
    /// An action; or `Reason` for a run that may have led to actions that this store never saw: its operator was not asked yet, or its
    /// graph was not through.
    pub step: Step,
    /// What a person said: it was carried out, or it was not.
    pub resolved: Option<bool>,
}

/// Epochs of a store.
pub trait Epochs: Send + Sync {
    /// The newest epoch.
    fn epoch(&self) -> BoxFuture<'_, Result<Option<Epoch>, StoreError>>;
    /// Begins an epoch: from its commit on all writes are held. One that is open already is answered as it is.
    fn begin_epoch(&self, at: Timestamp) -> BoxFuture<'_, Result<Epoch, StoreError>>;
    /// Records one log of the open epoch, with every step of its tenant and mode that is open and an entry that says so. Once per log:
    /// `false` when it was recorded before.
    fn record_log(&self, number: u64, log: EpochLog, entry: NewEntry) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// What was known of the logs.
    fn epoch_logs(&self, number: u64) -> BoxFuture<'_, Result<Vec<EpochLog>, StoreError>>;
    /// The steps of an epoch.
    fn epoch_steps(&self, number: u64) -> BoxFuture<'_, Result<Vec<EpochStep>, StoreError>>;
    /// Records what a person said of a step, once. `entry` says so in the ledger, unless another entry does.
    fn resolve_step(&self, number: u64, step: EpochStep, applied: bool, entry: Option<NewEntry>) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Lifts the hold, if nothing is left to resolve.
    fn end_epoch(&self, number: u64, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
