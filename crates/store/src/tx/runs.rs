//! Runs.

use tollgate_core::change::What;
use tollgate_core::hash::Digest;
use tollgate_core::id::{EventId, RunId};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use super::Outbox;
use crate::error::Result;

/// A run as commands need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RunRow {
    pub(crate) state: RunState,
    pub(crate) cancelling: bool,
    /// Its operator is asked in event order.
    pub(crate) strict: bool,
    pub(crate) operator: Option<String>,
    /// How many actions its plan has.
    pub(crate) actions: u32,
    /// The graph that it runs.
    pub(crate) graph: Option<Digest>,
    /// On what terms its operator or its nodes wait.
    pub(crate) terms: Terms,
}

/// A run about to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewRunRow {
    pub(crate) id: RunId,
    pub(crate) scope: Scope,
    pub(crate) event: Option<EventId>,
    pub(crate) operator: Option<String>,
    pub(crate) offering: u64,
    pub(crate) principal: String,
    pub(crate) bundle: Digest,
    pub(crate) strict: bool,
    pub(crate) state: RunState,
    pub(crate) actions: u32,
    pub(crate) graph: Option<Digest>,
    pub(crate) terms: Terms,
    pub(crate) planned_at: Option<Timestamp>,
    pub(crate) at: Timestamp,
}

/// A change of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RunChange {
    /// It stands otherwise.
    State(RunState),
    /// It has its plan, or will never have one.
    Planned { state: RunState, reason: Option<String>, actions: u32 },
    /// Someone cancels it.
    Cancelling,
    /// It is cancelled before its operator was asked.
    Unasked,
    /// An action was appended to it.
    OneMore,
    /// Its journal and its graph do not agree: nothing moves it any more.
    Stopped(String),
}

impl RunChange {
    /// What whoever follows is told; none when the run stands as it did.
    fn told(&self) -> Option<What> {
        match self {
            Self::State(state) | Self::Planned { state, .. } => Some(What::Run(*state)),
            Self::Cancelling => Some(What::Cancelling),
            Self::Unasked => Some(What::Run(RunState::Cancelled)),
            Self::Stopped(_) => Some(What::Run(RunState::Failed)),
            Self::OneMore => None,
        }
    }
}

/// Runs.
pub(crate) trait Runs: Outbox {
    /// A run of this tenant and mode.
    fn run(&mut self, scope: Scope, id: RunId) -> Result<Option<RunRow>>;
    /// Writes a run; `false` when the same offering was made before.
    fn write_run(&mut self, run: &NewRunRow) -> Result<bool>;
    /// Writes a change of a run.
    fn write_standing(&mut self, id: RunId, change: &RunChange, at: Timestamp) -> Result<()>;

    /// Stores a run; `false` when the same offering was made before.
    fn insert_run(&mut self, run: &NewRunRow) -> Result<bool> {
        let created = self.write_run(run)?;
        if created {
            self.note(run.scope, run.id, What::Run(run.state));
        }
        Ok(created)
    }

    /// Changes a run.
    fn change_run(&mut self, scope: Scope, id: RunId, change: &RunChange, at: Timestamp) -> Result<()> {
        self.write_standing(id, change, at)?;
        if let Some(what) = change.told() {
            self.note(scope, id, what);
        }
        Ok(())
    }
}
