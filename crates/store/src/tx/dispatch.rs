//! Dispatch rows: a step is ready, held by a session, or waits for a timer; never two of them.

use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::Step;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;

/// A step with the last fence that was given out for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StepRow {
    pub(crate) scope: Scope,
    pub(crate) run: RunId,
    pub(crate) step: Step,
    pub(crate) fence: u64,
}

impl StepRow {
    /// The row name of its step.
    pub(crate) fn name(&self) -> ([u8; 16], i64) {
        step_name(self.run, self.step)
    }
}

/// The row name of a step: what it is of, and its kind.
pub(crate) fn step_name(run: RunId, step: Step) -> ([u8; 16], i64) {
    match step {
        Step::Reason => (*run.as_bytes(), 0),
        Step::Action(a) => (*a.as_bytes(), 1),
    }
}

/// Reads a step back.
pub(crate) fn step_of(kind: i64, step: [u8; 16]) -> Step {
    if kind == 0 { Step::Reason } else { Step::Action(ActionId::from_bytes(step)) }
}

/// A claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) session: SessionId,
    pub(crate) fence: u64,
}

/// Dispatch rows.
pub(crate) trait Dispatch {
    /// From here on this command only leaves word of what becomes of steps.
    fn leave_word(&mut self, only: bool);
    /// Whether it only leaves word: then no step can be handed on in the same commit.
    fn leaves_word(&self) -> bool;
    /// When a session's lease lapses; none when there is no such session.
    fn session(&mut self, session: SessionId) -> Result<Option<Timestamp>>;
    /// Who holds a step.
    fn held(&mut self, run: RunId, step: Step) -> Result<Option<Held>>;
    /// Gives a step to a session, under the fence of the row.
    fn hold(&mut self, row: &StepRow, session: SessionId) -> Result<()>;
    /// Ends a claim.
    fn release(&mut self, run: RunId, step: Step) -> Result<()>;
    /// Makes a step claimable.
    fn put_ready(&mut self, row: &StepRow) -> Result<()>;
    /// Sets a step aside until a time.
    fn put_timer(&mut self, row: &StepRow, at: Timestamp) -> Result<()>;
    /// Takes a step out of ready and timers, wherever it is.
    fn forget(&mut self, run: RunId, step: Step) -> Result<()>;
}
