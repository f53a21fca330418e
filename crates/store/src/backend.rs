//! What the ports need of an engine. Whatever the engines share stands on this, once.

use tollgate_core::event::Event;
use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, BoxFuture, Claimed, EntryFilter, EventFilter, ListOut, Page, QueueLine, ReplayRange, ReplayState,
    StoredEntry,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::needs::Needs;
use crate::tx::{Query, Tx};

/// What a group of commits brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    /// Steps became ready, or timers earlier.
    pub steps: bool,
    /// The ledger grew.
    pub entries: bool,
    /// The event log grew.
    pub events: bool,
    /// Runs, actions or steps changed their states.
    pub changes: bool,
    /// A deployment, status, secret or key changed. Not told by the embedded engine: its one process knows what it changes.
    pub config: bool,
}

/// Whose rows a read may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// One tenant's and mode's.
    Scope(Scope),
    /// All: what a process does for the installation.
    Everywhere,
}

impl From<Scope> for Reach {
    fn from(s: Scope) -> Self {
        Self::Scope(s)
    }
}

/// An engine.
pub(crate) trait Backend: Send + Sync + 'static {
    /// A command: one transaction, answered after its commit. It may be run several times before that.
    fn write<T: Send + 'static>(&self, needs: Needs, run: impl Fn(&mut dyn Tx) -> Result<T> + Send + 'static) -> BoxFuture<'_, Result<T>>;

    /// A short read: a point, or a bounded range.
    fn all<T: Send + 'static>(&self, query: Query<T>, of: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>>;

    /// A read that may walk many rows.
    fn walk<T: Send + 'static>(&self, query: Query<T>, of: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>>;

    /// The store's clock.
    fn now(&self) -> BoxFuture<'_, Result<Timestamp>>;

    /// The first row of a short read.
    fn one<T: Send + 'static>(&self, query: Query<T>, of: impl Into<Reach>) -> BoxFuture<'_, Result<Option<T>>> {
        let rows = self.all(query, of);
        Box::pin(async move { Ok(rows.await?.into_iter().next()) })
    }
}

/// The ports over an engine.
pub struct Store<B> {
    pub(crate) engine: B,
}

/// What reads by the order that an engine gives, and sweeps.
pub(crate) trait Ordered: Backend {
    /// Events after a position, oldest first, each with its position.
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> BoxFuture<'_, Result<Vec<(u64, Event)>>>;
    /// Records a replay of what is stored by now.
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> BoxFuture<'_, Result<ReplayState>>;
    /// Forgets idempotency keys whose time is over.
    fn forget_keys(&self, limit: u32) -> BoxFuture<'_, Result<u32>>;
    /// Gives positions to every event that is stored by now; answers how many. Nothing to do for an engine that does it at commit.
    fn publish(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(std::future::ready(Ok(0)))
    }
    /// Steps of a run for a session that were made ready by a command which could hand nothing on by itself.
    fn claim_after(&self, _session: SessionId, _of: (Scope, RunId), _steps: u32) -> BoxFuture<'_, Result<Vec<Claimed>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    /// One action of this tenant and mode.
    fn action(&self, scope: Scope, id: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>>> {
        self.one(crate::query::actions::one(scope, id), scope)
    }
    /// How much waits, by labels.
    fn queue(&self, scope: Option<Scope>) -> BoxFuture<'_, Result<Vec<QueueLine>>>;
    /// Events, newest first.
    fn list_events(&self, scope: Scope, filter: EventFilter, page: Page) -> ListOut<'_, Event>;
    /// Actions, newest first.
    fn list_actions(&self, scope: Scope, filter: ActionFilter, page: Page) -> ListOut<'_, ActionRecord>;
    /// Ledger entries, newest first.
    fn list_entries(&self, scope: Scope, filter: EntryFilter, page: Page) -> ListOut<'_, StoredEntry>;
}
