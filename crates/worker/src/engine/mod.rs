//! One claimed step at a time.

mod act;
mod call;
mod doubt;
mod end;
mod node;
mod poison;
mod programs;
mod reason;
mod undo;

pub(crate) use end::{Ending, disposal};
pub use programs::Graphs;
pub(crate) use undo::compensation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use tollgate_core::id::SessionId;
use tollgate_core::ports::{Bundles, Claimed, DurableExec, Effects, IdSource, NewEntry, Sealer, Step, StoreError};
use tollgate_core::scope::Scope;

/// What the engine works with.
#[derive(Clone)]
pub struct Deps {
    /// The effect protocol.
    pub effects: Arc<dyn Effects>,
    /// Durable execution.
    pub exec: Arc<dyn DurableExec>,
    /// Compiled bundles.
    pub bundles: Arc<dyn Bundles>,
    /// Compiled graphs.
    pub graphs: Graphs,
    /// The vault.
    pub sealer: Arc<dyn Sealer>,
    /// Ids, time and randomness.
    pub ids: IdSource,
}

/// Performs steps for one worker session.
#[derive(Clone)]
pub struct Engine {
    pub(crate) deps: Deps,
    pub(crate) session: SessionId,
    lost: Arc<AtomicBool>,
    /// What is known of the graph whose next node it holds.
    memory: Arc<Mutex<Option<node::Known>>>,
}

impl Engine {
    /// An engine for a session that is open.
    pub fn new(deps: Deps, session: SessionId) -> Self {
        Self { deps, session, lost: Arc::default(), memory: Arc::default() }
    }

    /// Whether the answer to a commit was lost that may have handed steps to its session.
    pub fn lost_an_answer(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn answer_lost(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// The session that holds its steps.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Takes a claimed step as far as it goes, and every step that its commits hand to this session, one after the other.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another took the step over: drop it. [`StoreError::Unavailable`] when the store cannot write:
    /// the step stays held and is tried again after the lease lapses or the session is closed.
    ///
    /// # Cancel safety
    /// May be dropped at any await: what is durable decides how the next owner goes on.
    pub async fn drive(&self, first: Claimed) -> Result<(), StoreError> {
        let mut queue = std::collections::VecDeque::from([first]);
        while let Some(step) = queue.pop_front() {
            queue.extend(self.step(step).await?);
        }
        Ok(())
    }

    /// Performs one step; answers what its commit handed to this session.
    ///
    /// # Errors
    /// As [`Self::drive`].
    pub async fn step(&self, claimed: Claimed) -> Result<Vec<Claimed>, StoreError> {
        match claimed.step {
            Step::Reason => self.reason(claimed).await,
            Step::Action(action) => self.act(claimed, action).await,
            Step::Node(node) => self.node(claimed, node).await,
        }
    }

    /// Tells the vault that the keys which sealed these entries are stored.
    pub(crate) fn stored<'a>(&self, scope: Scope, entries: impl IntoIterator<Item = &'a NewEntry>) {
        for key in entries.into_iter().filter_map(|e| e.sealed.as_ref()?.new_key.as_ref()) {
            self.deps.sealer.key_stored(scope, key);
        }
    }
}
