//! The states of a step, and the one table of transitions between them.

use std::fmt;

/// Where a step stands.
///
/// Who works on a step is the lease's to say, not the progress's: a claim, a lost worker or a timer that fires writes nothing here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepState {
    /// Something that it depends on is open.
    Waiting,
    /// Handed out: it waits for a worker, or a worker has it.
    Ready,
    /// As `Ready`, after an attempt that failed: its timer runs, or a worker has it again.
    Backoff,
    /// Its action is disposed `unknown`: a person resolves it.
    Unknown,
    /// It has its output.
    Succeeded,
    /// It will not be tried again by itself.
    Failed,
    /// Something that it depends on failed or was skipped.
    Skipped,
    /// Its run was cancelled before it ended.
    Cancelled,
}

/// What moves a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trigger {
    /// All that it depends on is done.
    Freed,
    /// An attempt succeeded, or a person said that its action took effect.
    Succeeded,
    /// An attempt failed for good, or a person said that its action took no effect.
    Failed,
    /// An attempt failed and another will be made.
    Deferred,
    /// Its action was disposed `unknown`.
    Doubted,
    /// What it depends on cannot succeed any more.
    Skipped,
    /// Its run is being cancelled.
    Cancelled,
    /// Its failed run goes on.
    Resumed,
}

use StepState as S;
use Trigger as T;

/// Every transition there is. What is not here cannot happen.
pub const TRANSITIONS: &[(StepState, Trigger, StepState)] = &[
    (S::Waiting, T::Freed, S::Ready),
    (S::Waiting, T::Skipped, S::Skipped),
    (S::Waiting, T::Cancelled, S::Cancelled),
    (S::Ready, T::Succeeded, S::Succeeded),
    (S::Ready, T::Failed, S::Failed),
    (S::Ready, T::Deferred, S::Backoff),
    (S::Ready, T::Doubted, S::Unknown),
    (S::Ready, T::Cancelled, S::Cancelled),
    (S::Backoff, T::Succeeded, S::Succeeded),
    (S::Backoff, T::Failed, S::Failed),
    (S::Backoff, T::Deferred, S::Backoff),
    (S::Backoff, T::Doubted, S::Unknown),
    (S::Backoff, T::Cancelled, S::Cancelled),
    (S::Unknown, T::Succeeded, S::Succeeded),
    (S::Unknown, T::Failed, S::Failed),
    (S::Failed, T::Resumed, S::Waiting),
    (S::Skipped, T::Resumed, S::Waiting),
];

impl StepState {
    /// Every state, in the order of their stored form.
    pub const ALL: &'static [Self] = &[S::Waiting, S::Ready, S::Backoff, S::Unknown, S::Succeeded, S::Failed, S::Skipped, S::Cancelled];

    /// Where a trigger leads; none when it cannot happen here.
    pub fn on(self, trigger: Trigger) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, t, _)| *from == self && *t == trigger).map(|(_, _, to)| *to)
    }

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            S::Waiting => "waiting",
            S::Ready => "ready",
            S::Backoff => "backoff",
            S::Unknown => "unknown",
            S::Succeeded => "succeeded",
            S::Failed => "failed",
            S::Skipped => "skipped",
            S::Cancelled => "cancelled",
        }
    }

    /// The stored form: three bits.
    pub const fn as_bits(self) -> u8 {
        self as u8
    }

    /// From the stored form.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Self::ALL.get(usize::from(bits)).copied()
    }

    /// A worker may hold it, or may come to hold it.
    pub const fn is_handed_out(self) -> bool {
        matches!(self, S::Ready | S::Backoff)
    }

    /// Not ended.
    pub const fn is_open(self) -> bool {
        matches!(self, S::Waiting | S::Ready | S::Backoff | S::Unknown)
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_state_has_two_answers_to_one_trigger() {
        let mut seen = BTreeSet::new();
        assert!(TRANSITIONS.iter().all(|(from, t, _)| seen.insert((*from, *t))));
    }

    #[test]
    fn every_state_is_reached_and_only_what_is_open_is_left_without_a_resume() {
        for state in S::ALL {
            assert!(*state == S::Waiting || TRANSITIONS.iter().any(|(_, _, to)| to == state), "{state} is never reached");
            let left = TRANSITIONS.iter().any(|(from, t, _)| from == state && *t != T::Resumed);
            assert_eq!(left, state.is_open(), "{state}");
        }
        assert_eq!(S::Succeeded.on(T::Resumed), None, "what succeeded is never done again");
    }

    #[test]
    fn the_stored_form_survives_and_fits_three_bits() {
        assert!(S::ALL.iter().all(|s| S::from_bits(s.as_bits()) == Some(*s) && s.as_bits() < 8));
    }
}
