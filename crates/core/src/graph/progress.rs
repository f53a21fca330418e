//! Where one run of a graph stands: a small value that is written again with every step that ends. Moved only by `machine`.

use super::state::{StepState, Trigger};
use crate::run::RunState;

/// The durable progress of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    pub(super) steps: Vec<StepProgress>,
    pub(super) cancelling: bool,
    /// How many journal entries led here.
    pub(super) entries: u32,
    /// Their chained hash, cut short: it finds what was damaged, it proves nothing.
    pub(super) chain: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StepProgress {
    pub(super) state: StepState,
    pub(super) attempts: u32,
}

impl Progress {
    /// Every step waits.
    pub(super) fn new(steps: usize) -> Self {
        Self { steps: vec![StepProgress { state: StepState::Waiting, attempts: 0 }; steps], cancelling: false, entries: 0, chain: 0 }
    }

    /// How many steps there are.
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Where a step stands; none when there is no such step.
    pub fn state(&self, step: usize) -> Option<StepState> {
        self.steps.get(step).map(|s| s.state)
    }

    /// How many attempts of a step have ended since it was last made ready anew.
    pub fn attempts(&self, step: usize) -> u32 {
        self.steps.get(step).map_or(0, |s| s.attempts)
    }

    /// Where every step stands, in the order of the spec.
    pub fn states(&self) -> impl Iterator<Item = StepState> + '_ {
        self.steps.iter().map(|s| s.state)
    }

    /// The steps that stand here.
    pub fn in_state(&self, state: StepState) -> impl Iterator<Item = usize> + '_ {
        self.states().enumerate().filter(move |(_, s)| *s == state).map(|(i, _)| i)
    }

    /// Someone cancels the run: nothing becomes ready any more.
    pub const fn is_cancelling(&self) -> bool {
        self.cancelling
    }

    /// The place of the next journal entry.
    pub const fn next_seq(&self) -> u32 {
        self.entries
    }

    /// How the run stands.
    pub fn run_state(&self) -> RunState {
        if self.states().any(StepState::is_handed_out) {
            RunState::Running
        } else if self.states().any(|s| s == StepState::Unknown) {
            // What still waits, waits for this.
            RunState::NeedsResolution
        } else if self.cancelling {
            RunState::Cancelled
        } else if self.states().all(|s| s == StepState::Succeeded) {
            RunState::Succeeded
        } else {
            RunState::Failed
        }
    }

    /// Moves a step as the table says; whether it could.
    pub(super) fn fire(&mut self, step: usize, trigger: Trigger) -> bool {
        let Some(s) = self.steps.get_mut(step) else { return false };
        let Some(to) = s.state.on(trigger) else { return false };
        s.state = to;
        true
    }

    /// Moves a step that waits, and no other.
    pub(super) fn fire_waiting(&mut self, step: usize, trigger: Trigger) -> bool {
        self.state(step) == Some(StepState::Waiting) && self.fire(step, trigger)
    }

    pub(super) fn count_attempt(&mut self, step: usize) {
        if let Some(s) = self.steps.get_mut(step) {
            s.attempts = s.attempts.saturating_add(1);
        }
    }

    /// Lets a step wait again, as if it had never been tried.
    pub(super) fn put_back(&mut self, step: usize) {
        if self.fire(step, Trigger::Resumed)
            && let Some(s) = self.steps.get_mut(step)
        {
            s.attempts = 0;
        }
    }
}
