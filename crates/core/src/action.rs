//! The states of an action, and the one table of transitions between them.

use std::fmt;

/// Where an action stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ActionState {
    /// Proposed: an earlier action of its plan is not done, or its operator is a draft.
    Proposed,
    /// Callable: a worker takes it through the gate.
    Ready,
    /// Another action holds its effect key.
    WaitingKey,
    /// Another action is before it in its lane.
    WaitingLane,
    /// A person is asked.
    WaitingApproval,
    /// The intent is durable; the call may be under way.
    Calling,
    /// It did not happen and will be tried again.
    Backoff,
    /// It may have happened: the grade's rule waits for its time.
    Doubt,
    /// Disposed `unknown`: a person resolves it.
    Unknown,
    /// Disposed for good.
    Done,
    /// It undoes another action and the gate does not let it pass: it waits for the next deployment or change of status.
    Blocked,
}

/// What moves an action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trigger {
    /// What came before it in the plan is done, or its draft was activated.
    Callable,
    /// Its effect key is held by another action.
    KeyHeld,
    /// Its lane is held by another action.
    LaneBusy,
    /// Policy asks a person.
    ApprovalAsked,
    /// What it waited for may have changed: the gate looks again.
    Woken,
    /// The intent is durable.
    Began,
    /// The attempt did not happen and may be made again.
    Deferred,
    /// The attempt, or its verification, left doubt.
    Doubted,
    /// Disposed, but not `unknown`.
    Disposed,
    /// Disposed `unknown`.
    DisposedUnknown,
    /// A person resolved the `unknown`.
    Resolved,
    /// The gate does not let it pass, and it may not end like that.
    Blocked,
}

use ActionState as S;
use Trigger as T;

/// Every transition there is. What is not here cannot happen.
pub const TRANSITIONS: &[(ActionState, Trigger, ActionState)] = &[
    (S::Proposed, T::Callable, S::Ready),
    (S::Proposed, T::Disposed, S::Done),
    (S::Ready, T::KeyHeld, S::WaitingKey),
    (S::Ready, T::LaneBusy, S::WaitingLane),
    (S::Ready, T::ApprovalAsked, S::WaitingApproval),
    (S::Ready, T::Began, S::Calling),
    (S::Ready, T::Disposed, S::Done),
    (S::WaitingKey, T::Woken, S::Ready),
    (S::WaitingKey, T::Disposed, S::Done),
    (S::WaitingLane, T::Woken, S::Ready),
    (S::WaitingLane, T::Disposed, S::Done),
    (S::WaitingApproval, T::Woken, S::Ready),
    (S::WaitingApproval, T::Disposed, S::Done),
    (S::Calling, T::Deferred, S::Backoff),
    (S::Calling, T::Doubted, S::Doubt),
    (S::Calling, T::Disposed, S::Done),
    (S::Calling, T::DisposedUnknown, S::Unknown),
    (S::Backoff, T::Began, S::Calling),
    (S::Backoff, T::ApprovalAsked, S::WaitingApproval),
    (S::Backoff, T::Disposed, S::Done),
    (S::Doubt, T::Began, S::Calling),
    (S::Doubt, T::Doubted, S::Doubt),
    (S::Doubt, T::Deferred, S::Backoff),
    (S::Doubt, T::Disposed, S::Done),
    (S::Doubt, T::DisposedUnknown, S::Unknown),
    (S::Unknown, T::Resolved, S::Done),
    (S::Ready, T::Blocked, S::Blocked),
    (S::Backoff, T::Blocked, S::Blocked),
    (S::Blocked, T::Woken, S::Ready),
    (S::Blocked, T::Disposed, S::Done),
];

impl ActionState {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        S::Proposed,
        S::Ready,
        S::WaitingKey,
        S::WaitingLane,
        S::WaitingApproval,
        S::Calling,
        S::Backoff,
        S::Doubt,
        S::Unknown,
        S::Done,
        S::Blocked,
    ];

    /// Where a trigger leads; none when it cannot happen here.
    pub fn on(self, trigger: Trigger) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, t, _)| *from == self && *t == trigger).map(|(_, _, to)| *to)
    }

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            S::Proposed => "proposed",
            S::Ready => "ready",
            S::WaitingKey => "waiting_key",
            S::WaitingLane => "waiting_lane",
            S::WaitingApproval => "waiting_approval",
            S::Calling => "calling",
            S::Backoff => "backoff",
            S::Doubt => "doubt",
            S::Unknown => "unknown",
            S::Done => "done",
            S::Blocked => "blocked",
        }
    }

    /// The stored form.
    pub const fn as_int(self) -> i64 {
        self as i64
    }

    /// From the stored form.
    pub fn from_int(n: i64) -> Option<Self> {
        usize::try_from(n).ok().and_then(|i| Self::ALL.get(i)).copied()
    }

    /// Whether a disposition receipt exists.
    pub const fn is_disposed(self) -> bool {
        matches!(self, S::Unknown | S::Done)
    }

    /// Whether an outside effect may exist although no disposition does.
    pub const fn may_have_effect(self) -> bool {
        matches!(self, S::Calling | S::Doubt)
    }

    /// Parked: nothing moves it but an event, a person or a timer; no worker holds it.
    pub const fn is_waiting(self) -> bool {
        matches!(self, S::WaitingKey | S::WaitingLane | S::WaitingApproval | S::Blocked)
    }
}

impl fmt::Display for ActionState {
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
    fn every_state_is_reached_and_all_but_done_are_left() {
        for state in ActionState::ALL {
            assert!(*state == S::Proposed || TRANSITIONS.iter().any(|(_, _, to)| to == state), "{state} is never reached");
            assert_eq!(*state == S::Done, !TRANSITIONS.iter().any(|(from, _, _)| from == state), "{state}");
        }
    }

    #[test]
    fn what_may_have_happened_is_never_disposed_without_a_look() {
        // Waiting states hold no effect: only from these may a person or a cancel dispose directly.
        for state in ActionState::ALL.iter().filter(|s| s.is_waiting()) {
            assert!(!state.may_have_effect());
        }
        assert_eq!(S::Unknown.on(T::Disposed), None, "an unknown is resolved, never disposed again");
    }

    #[test]
    fn the_stored_form_survives() {
        for state in ActionState::ALL {
            assert_eq!(ActionState::from_int(state.as_int()), Some(*state));
        }
    }
}
