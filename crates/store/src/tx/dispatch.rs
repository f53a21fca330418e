//! Dispatch rows: a step is ready, parked under a limit, held by a session, or waits for a timer; never two of them.

use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::Step;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::error::{Result, damaged};
use crate::row::Row;

/// A step with the last fence that was given out for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StepRow {
    pub(crate) scope: Scope,
    pub(crate) run: RunId,
    pub(crate) step: Step,
    pub(crate) fence: u64,
    pub(crate) terms: Terms,
}

impl StepRow {
    /// The row name of its step.
    pub(crate) fn name(&self) -> StepName {
        step_name(self.run, self.step)
    }
}

/// The row name of a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StepName {
    /// What it is of: its run, or the action.
    pub(crate) step: [u8; 16],
    /// A node's place in the run's graph, from 1; 0 for every other step.
    pub(crate) node: i64,
}

/// The row name of a step.
pub(crate) fn step_name(run: RunId, step: Step) -> StepName {
    match step {
        Step::Reason => StepName { step: *run.as_bytes(), node: 0 },
        Step::Action(a) => StepName { step: *a.as_bytes(), node: 0 },
        Step::Node(n) => StepName { step: *run.as_bytes(), node: i64::from(n) + 1 },
    }
}

/// The stored form of a step's kind.
pub(crate) const fn step_kind(step: Step) -> i64 {
    match step {
        Step::Reason => 0,
        Step::Action(_) => 1,
        Step::Node(_) => 2,
    }
}

/// Reads a step back.
pub(crate) fn step_of(kind: i64, name: StepName) -> Result<Step> {
    match (kind, u32::try_from(name.node)) {
        (0, Ok(0)) => Ok(Step::Reason),
        (1, Ok(0)) => Ok(Step::Action(ActionId::from_bytes(name.step))),
        (2, Ok(n @ 1..)) => Ok(Step::Node(n - 1)),
        _ => Err(damaged("a step")),
    }
}

/// The terms that a dispatch row carries. One that was claimed or is ready has its priority in its place.
pub(crate) fn step_terms(r: Row<'_>) -> Result<Terms> {
    let (label, limits) = (r.get("label")?, r.get::<Option<Vec<u8>>>("limits")?);
    let priority = u8::try_from(r.get::<i64>("priority").unwrap_or_default()).map_err(|_| damaged("a priority"))?;
    Terms::of_row(label, priority, limits.as_deref()).ok_or_else(|| damaged("the terms of a step"))
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
    /// Makes a step claimable, or parks it under a limit.
    fn put_ready(&mut self, row: &StepRow) -> Result<()>;
    /// Sets a step aside until a time.
    fn put_timer(&mut self, row: &StepRow, at: Timestamp) -> Result<()>;
    /// Takes a step out of ready, parked and timers, wherever it is.
    fn forget(&mut self, run: RunId, step: Step) -> Result<()>;
}
