//! Lists for people and programs: newest first, in pages. Reads only.

use crate::event::Event;
use crate::hash::Digest;
use crate::id::{ActionId, EventId, RunId};
use crate::ledger::Disposition;
use crate::run::RunState;
use crate::scope::Scope;
use crate::time::Timestamp;
use crate::verdict::Principal;

use super::{ActionRecord, ApprovalRecord, BoxFuture, ReplayState, StoreError, StoredEntry};

/// A page of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Where the page before ended: the `row` of its last item.
    pub before: Option<u128>,
    /// At most this many.
    pub limit: u32,
}

/// An item with its place in its list.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed<T> {
    /// Falls from item to item; what the next page is asked with.
    pub row: u128,
    /// The item.
    pub item: T,
}

/// A run as people look at it.
#[derive(Clone, PartialEq, Debug)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The event offered; none for a direct action.
    pub event: Option<EventId>,
    /// The operator asked; none for a direct action.
    pub operator: Option<String>,
    /// The offering: 0, or the number of the replay.
    pub offering: u64,
    /// Who acts.
    pub principal: Principal,
    /// The bundle it is pinned to.
    pub bundle: Digest,
    /// How it stands.
    pub state: RunState,
    /// Someone cancelled it, and calls are still under way.
    pub cancelling: bool,
    /// Why its operator could not propose.
    pub reason: Option<String>,
    /// How many actions its plan has.
    pub actions: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its plan was stored.
    pub planned_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Which events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Exactly this type.
    pub event_type: Option<String>,
    /// Exactly this source.
    pub source: Option<String>,
    /// Exactly this subject.
    pub subject: Option<String>,
}

/// Which runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RunFilter {
    /// Of this operator.
    pub operator: Option<String>,
    /// In this state.
    pub state: Option<RunState>,
    /// Of this event.
    pub event: Option<EventId>,
}

/// Which actions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActionFilter {
    /// Of this run.
    pub run: Option<RunId>,
    /// In this state, by its stable word.
    pub state: Option<String>,
    /// Disposed like this.
    pub disposition: Option<Disposition>,
    /// Of this tool.
    pub tool: Option<String>,
}

/// Which approval requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApprovalFilter {
    /// `open`, `approved`, `denied`, `expired`, `withdrawn`.
    pub status: Option<String>,
    /// That ask this queue.
    pub queue: Option<String>,
}

/// Which ledger entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntryFilter {
    /// Of this kind, such as `receipt`.
    pub kind: Option<crate::ledger::Kind>,
    /// About this action.
    pub action: Option<ActionId>,
}

/// How much waits for workers that have the same labels. A count that reached [`QUEUE_BOUND`] may be higher.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueueLine {
    /// What a worker must have; nothing for most steps.
    pub labels: Vec<String>,
    /// Steps that a worker could take now.
    pub ready: u64,
    /// Steps that wait for room under a limit.
    pub parked: u64,
    /// Steps that workers hold.
    pub held: u64,
    /// Steps that wait for a time.
    pub timers: u64,
    /// When the oldest of the ready ones became ready, as far as it is at the head of its tenant's queue.
    pub oldest: Option<Timestamp>,
}

/// Nothing of a queue is counted beyond this.
pub const QUEUE_BOUND: u32 = 100_000;

/// The answer of a list.
pub type ListOut<'a, T> = BoxFuture<'a, Result<Vec<Listed<T>>, StoreError>>;

/// Lists.
pub trait Lists: Send + Sync {
    /// Events.
    fn list_events(&self, scope: Scope, filter: EventFilter, page: Page) -> ListOut<'_, Event>;
    /// Runs.
    fn list_runs(&self, scope: Scope, filter: RunFilter, page: Page) -> ListOut<'_, RunRecord>;
    /// One run.
    fn run(&self, scope: Scope, id: RunId) -> BoxFuture<'_, Result<Option<RunRecord>, StoreError>>;
    /// The actions of a run, in the order of its plan.
    fn actions_of(&self, scope: Scope, run: RunId) -> BoxFuture<'_, Result<Vec<ActionRecord>, StoreError>>;
    /// Actions.
    fn list_actions(&self, scope: Scope, filter: ActionFilter, page: Page) -> ListOut<'_, ActionRecord>;
    /// Approval requests.
    fn list_approvals(&self, scope: Scope, filter: ApprovalFilter, page: Page) -> ListOut<'_, ApprovalRecord>;
    /// Ledger entries.
    fn list_entries(&self, scope: Scope, filter: EntryFilter, page: Page) -> ListOut<'_, StoredEntry>;
    /// Replays.
    fn list_replays(&self, scope: Scope, page: Page) -> ListOut<'_, ReplayState>;
    /// How much waits, of one tenant and mode or of all, by labels.
    fn queue(&self, scope: Option<Scope>) -> BoxFuture<'_, Result<Vec<QueueLine>, StoreError>>;
    /// One replay.
    fn replay(&self, scope: Scope, id: crate::id::ReplayId) -> BoxFuture<'_, Result<Option<ReplayState>, StoreError>>;
}
