//! The run machine of graphs: what the end of one step means for the others. Pure; the store asks inside its transaction.

use std::time::Duration;

use super::plan::GraphPlan;
use super::progress::Progress;
use super::state::{StepState, Trigger};
use crate::attempt::backoff;
use crate::ledger::Disposition;
use crate::run::RunState;
use crate::spec::RetrySpec;

/// How an attempt at a step ended, or what a person said of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// It has its output. For an `unknown`: a person said that it took effect.
    Succeeded,
    /// It will not be tried again. For an `unknown`: a person said that it took no effect.
    Failed,
    /// It failed and will be tried again: [`retry`] said when.
    Deferred,
    /// Its action was disposed `unknown`.
    Unknown,
    /// It ended without a result because its run is being cancelled.
    Cancelled,
}

impl Outcome {
    /// What the end of its action means for a step.
    pub const fn of_action(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Applied | Disposition::Deduplicated => Self::Succeeded,
            Disposition::Unknown => Self::Unknown,
            Disposition::Cancelled => Self::Cancelled,
            Disposition::Refused
            | Disposition::Failed
            | Disposition::Denied
            | Disposition::Expired
            | Disposition::Withdrawn
            | Disposition::Skipped
            | Disposition::Invalid => Self::Failed,
        }
    }

    const fn trigger(self) -> Trigger {
        match self {
            Self::Succeeded => Trigger::Succeeded,
            Self::Failed => Trigger::Failed,
            Self::Deferred => Trigger::Deferred,
            Self::Unknown => Trigger::Doubted,
            Self::Cancelled => Trigger::Cancelled,
        }
    }
}

/// What a change means for the run. Steps are places in the spec, ascending; the progress has these changes already.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advance {
    /// Are ready now: to be handed out.
    pub ready: Vec<usize>,
    /// Will never start, since something that they depend on did not succeed.
    pub skipped: Vec<usize>,
    /// Will never start, since the run is being cancelled.
    pub cancelled: Vec<usize>,
    /// How the run stands now.
    pub state: RunState,
}

/// Why a change cannot be made. The progress is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The progress belongs to another graph: load the plan that the run is pinned to.
    #[error("the progress has {progress} steps and the graph has {plan}: they do not belong together")]
    OtherGraph {
        /// Steps of the progress.
        progress: usize,
        /// Steps of the plan.
        plan: usize,
    },
    /// There is no such step.
    #[error("there is no step {step}: the graph has {steps}")]
    NoSuchStep {
        /// The step.
        step: usize,
        /// How many there are.
        steps: usize,
    },
    /// The step stands where this cannot happen: the answer is late, drop it.
    #[error("step {step} is `{state}`: it cannot end in this way now")]
    WrongState {
        /// The step.
        step: usize,
        /// Where it stands.
        state: StepState,
    },
    /// The run is being cancelled: end the step instead of trying it again, and do not cancel twice.
    #[error("the run is being cancelled")]
    Cancelling,
    /// Nobody cancels the run: end the step in another way.
    #[error("the run is not being cancelled")]
    NotCancelling,
    /// The run stands where this cannot happen: tell whoever asked.
    #[error("the run is `{0}`")]
    WrongRunState(RunState),
    /// What failed was left behind by steps that have succeeded since: nothing can be done again.
    #[error("no step can be done again: what failed was left behind by steps that succeeded without it")]
    NothingToResume,
}

/// Begins a run: what depends on nothing is ready.
pub fn start(plan: &GraphPlan) -> (Progress, Advance) {
    let mut progress = Progress::new(plan.len());
    let ready = free(plan, &mut progress, 0..plan.len());
    let advance = advance(&progress, ready, Vec::new(), Vec::new());
    (progress, advance)
}

/// Ends an attempt at a step, or resolves its `unknown`.
///
/// A step is ready when all it depends on succeeded, or failed under `continue`. A failure skips all that depends on it, through
/// others too; other branches go on. An `unknown` holds its dependents until it is resolved.
///
/// # Errors
/// When it cannot happen; nothing is changed then.
pub fn finish(plan: &GraphPlan, progress: &mut Progress, step: usize, outcome: Outcome) -> Result<Advance, Refused> {
    fits(plan, progress)?;
    match outcome {
        Outcome::Deferred if progress.cancelling => return Err(Refused::Cancelling),
        Outcome::Cancelled if !progress.cancelling => return Err(Refused::NotCancelling),
        _ => {}
    }
    let before = progress.state(step).ok_or(Refused::NoSuchStep { step, steps: plan.len() })?;
    if !progress.fire(step, outcome.trigger()) {
        return Err(Refused::WrongState { step, state: before });
    }
    // A person's word is no attempt, and what was cancelled may not even have begun.
    if before != StepState::Unknown && outcome != Outcome::Cancelled {
        progress.count_attempt(step);
    }
    let (mut ready, mut skipped) = (Vec::new(), Vec::new());
    if is_done(plan, progress, step) {
        ready = free(plan, progress, plan.dependents(step).iter().copied());
    } else if outcome == Outcome::Failed {
        skipped = skip(plan, progress, step);
    }
    Ok(advance(progress, ready, skipped, Vec::new()))
}

/// Cancels a run: what waits is cancelled, nothing becomes ready any more. What is handed out ends by [`finish`]: with
/// [`Outcome::Cancelled`] when no worker holds it, else as its worker says; an `unknown` still needs its resolution.
///
/// # Errors
/// When the run has ended or is being cancelled already.
pub fn cancel(plan: &GraphPlan, progress: &mut Progress) -> Result<Advance, Refused> {
    fits(plan, progress)?;
    let state = progress.run_state();
    if state.is_final() {
        return Err(Refused::WrongRunState(state));
    }
    if progress.cancelling {
        return Err(Refused::Cancelling);
    }
    progress.cancelling = true;
    let cancelled = (0..plan.len()).filter(|i| progress.fire_waiting(*i, Trigger::Cancelled)).collect();
    Ok(advance(progress, Vec::new(), Vec::new(), cancelled))
}

/// Goes on with a failed run from its last durable steps: what failed, and what was skipped for it, is to be done again, with its
/// attempts counted anew. What succeeded never is, and neither is a failure that a step left behind and then succeeded.
///
/// # Errors
/// When the run has not failed, or nothing can be done again.
pub fn resume(plan: &GraphPlan, progress: &mut Progress) -> Result<Advance, Refused> {
    fits(plan, progress)?;
    let state = progress.run_state();
    if state != RunState::Failed {
        return Err(Refused::WrongRunState(state));
    }
    let mut again = vec![false; plan.len()];
    for i in plan.order().iter().rev() {
        // In this order the dependents are judged first: if one of them stays as it is, it has used this step's failure.
        let left_behind = plan.dependents(*i).iter().any(|d| !again.get(*d).copied().unwrap_or(false));
        let mine = match progress.state(*i) {
            Some(StepState::Failed) => !left_behind,
            Some(StepState::Skipped) => true,
            _ => false,
        };
        if let Some(a) = again.get_mut(*i) {
            *a = mine;
        }
    }
    let again: Vec<usize> = again.iter().enumerate().filter(|(_, a)| **a).map(|(i, _)| i).collect();
    if again.is_empty() {
        return Err(Refused::NothingToResume);
    }
    again.iter().for_each(|i| progress.put_back(*i));
    let ready = free(plan, progress, again);
    Ok(advance(progress, ready, Vec::new(), Vec::new()))
}

/// How long to wait before a step runs again; none when it has failed for good. `attempts` counts those that ended, the failed one
/// included; `jitter` in 0..=1000 comes from outside, as all randomness does.
pub fn retry(spec: &RetrySpec, attempts: u32, jitter: u16) -> Option<Duration> {
    (attempts < spec.max_attempts).then(|| backoff(spec, attempts, jitter))
}

fn fits(plan: &GraphPlan, progress: &Progress) -> Result<(), Refused> {
    if progress.len() == plan.len() {
        return Ok(());
    }
    Err(Refused::OtherGraph { progress: progress.len(), plan: plan.len() })
}

/// Whether a step no longer holds what depends on it.
fn is_done(plan: &GraphPlan, progress: &Progress, step: usize) -> bool {
    match progress.state(step) {
        Some(StepState::Succeeded) => true,
        Some(StepState::Failed) => plan.continues(step),
        _ => false,
    }
}

/// Makes those of these steps ready that wait for nothing any more.
fn free(plan: &GraphPlan, progress: &mut Progress, steps: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut ready = Vec::new();
    for i in steps {
        if plan.depends_on(i).iter().all(|on| is_done(plan, progress, *on)) && progress.fire(i, Trigger::Freed) {
            ready.push(i);
        }
    }
    ready
}

/// Skips all that depends on a step and still waits.
fn skip(plan: &GraphPlan, progress: &mut Progress, step: usize) -> Vec<usize> {
    let (mut skipped, mut todo) = (Vec::new(), vec![step]);
    while let Some(i) = todo.pop() {
        for d in plan.dependents(i) {
            if progress.fire(*d, Trigger::Skipped) {
                skipped.push(*d);
                todo.push(*d);
            }
        }
    }
    skipped.sort_unstable();
    skipped
}

fn advance(progress: &Progress, ready: Vec<usize>, skipped: Vec<usize>, cancelled: Vec<usize>) -> Advance {
    Advance { ready, skipped, cancelled, state: progress.run_state() }
}
