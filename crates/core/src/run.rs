//! A run over a plan: which action comes next, and how the run stands. Pure; the store asks inside its transaction.

use std::fmt;

use crate::action::ActionState;
use crate::ledger::Disposition;

/// How a run stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RunState {
    /// Waits for a worker to ask its operator.
    Queued,
    /// Its plan is being carried out.
    Running,
    /// Nothing moves until a person resolves an `unknown`.
    NeedsResolution,
    /// Its operator had nothing to propose.
    NoPlan,
    /// Its plan is kept and not carried out: the operator is a draft.
    Draft,
    /// Every action succeeded.
    Succeeded,
    /// Some action did not.
    Failed,
    /// Its operator could not propose; the reason is on the run.
    ProposalFailed,
    /// Someone cancelled it.
    Cancelled,
}

use RunState as R;

impl RunState {
    /// Every state.
    pub const ALL: &'static [Self] =
        &[R::Queued, R::Running, R::NeedsResolution, R::NoPlan, R::Draft, R::Succeeded, R::Failed, R::ProposalFailed, R::Cancelled];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            R::Queued => "queued",
            R::Running => "running",
            R::NeedsResolution => "needs_resolution",
            R::NoPlan => "no_plan",
            R::Draft => "draft",
            R::Succeeded => "succeeded",
            R::Failed => "failed",
            R::ProposalFailed => "proposal_failed",
            R::Cancelled => "cancelled",
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

    /// Reads the stable word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == text)
    }

    /// Whether nothing will change any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, R::Queued | R::Running | R::NeedsResolution)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the run machine needs to know of one action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActionView {
    /// Where it stands.
    pub state: ActionState,
    /// How it ended, once disposed.
    pub disposition: Option<Disposition>,
    /// Resolved `applied` by a person, after `unknown`.
    pub resolved_applied: bool,
    /// Runs beside the others.
    pub independent: bool,
    /// Its non-success does not skip the rest.
    pub continue_on_failure: bool,
}

impl ActionView {
    fn succeeded(&self) -> bool {
        matches!(self.disposition, Some(Disposition::Applied | Disposition::Deduplicated)) || self.resolved_applied
    }
}

/// What a change in one action means for its plan. Indices are places in the plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Advance {
    /// Become callable now.
    pub ready: Vec<usize>,
    /// Will never be callable: disposed `skipped`.
    pub skip: Vec<usize>,
    /// How the run stands after that.
    pub state: Option<RunState>,
}

/// Looks at a whole plan. Actions run in order, independent ones beside the others; a non-success skips the rest of the ordered
/// ones unless it says `continue`. `cancelling` makes nothing callable any more.
pub fn advance(actions: &[ActionView], cancelling: bool) -> Advance {
    let mut out = Advance::default();
    // The chain of ordered actions: `None` while an earlier one is open.
    let mut chain_open = false;
    let mut chain_broken = false;
    for (i, a) in actions.iter().enumerate() {
        let waits = a.state == ActionState::Proposed;
        if waits && !cancelling {
            if a.independent {
                out.ready.push(i);
            } else if chain_broken {
                out.skip.push(i);
            } else if !chain_open {
                out.ready.push(i);
            }
        }
        if !a.independent {
            if !a.state.is_disposed() {
                chain_open = true;
            } else if !a.succeeded() && !a.continue_on_failure {
                chain_broken = true;
            }
        }
    }
    out.state = Some(run_state(actions, &out, cancelling));
    out
}

fn run_state(actions: &[ActionView], step: &Advance, cancelling: bool) -> RunState {
    let open = |(i, a): (usize, &ActionView)| !a.state.is_disposed() && !step.skip.contains(&i);
    if actions.iter().enumerate().any(open) {
        R::Running
    } else if actions.iter().any(|a| a.state == ActionState::Unknown) {
        R::NeedsResolution
    } else if cancelling {
        R::Cancelled
    } else if step.skip.is_empty() && actions.iter().all(ActionView::succeeded) {
        R::Succeeded
    } else {
        R::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed() -> ActionView {
        ActionView {
            state: ActionState::Proposed,
            disposition: None,
            resolved_applied: false,
            independent: false,
            continue_on_failure: false,
        }
    }

    fn done(d: Disposition) -> ActionView {
        ActionView { state: ActionState::Done, disposition: Some(d), ..proposed() }
    }

    #[test]
    fn ordered_actions_come_one_after_the_other() {
        let a = advance(&[proposed(), proposed()], false);
        assert_eq!((a.ready, a.state), (vec![0], Some(R::Running)));
        let b = advance(&[done(Disposition::Applied), proposed()], false);
        assert_eq!(b.ready, vec![1]);
    }

    #[test]
    fn a_refusal_skips_the_rest_unless_it_says_continue() {
        let a = advance(&[done(Disposition::Refused), proposed(), proposed()], false);
        assert_eq!((a.ready, a.skip, a.state), (vec![], vec![1, 2], Some(R::Failed)));
        let go_on = ActionView { continue_on_failure: true, ..done(Disposition::Refused) };
        assert_eq!(advance(&[go_on, proposed()], false).ready, vec![1]);
    }

    #[test]
    fn independent_actions_run_beside_the_others_and_are_never_skipped() {
        let free = ActionView { independent: true, ..proposed() };
        assert_eq!(advance(&[proposed(), free, proposed()], false).ready, vec![0, 1]);
        assert_eq!(advance(&[done(Disposition::Failed), free], false).ready, vec![1]);
        // One that failed does not break the chain of the others.
        let lost = ActionView { independent: true, ..done(Disposition::Failed) };
        let a = advance(&[lost, done(Disposition::Applied)], false);
        assert_eq!(a.state, Some(R::Failed));
    }

    #[test]
    fn an_unknown_holds_the_run_until_it_is_resolved() {
        let unknown = ActionView { state: ActionState::Unknown, disposition: Some(Disposition::Unknown), ..proposed() };
        let a = advance(&[unknown, proposed()], false);
        assert_eq!((a.skip, a.state), (vec![1], Some(R::NeedsResolution)));
        let resolved = ActionView { state: ActionState::Done, resolved_applied: true, ..unknown };
        assert_eq!(advance(&[resolved], false).state, Some(R::Succeeded));
    }

    #[test]
    fn a_cancelled_run_makes_nothing_callable() {
        let calling = ActionView { state: ActionState::Calling, ..proposed() };
        let a = advance(&[calling, proposed()], true);
        assert_eq!((a.ready.len(), a.skip.len(), a.state), (0, 0, Some(R::Running)));
        assert_eq!(advance(&[done(Disposition::Cancelled)], true).state, Some(R::Cancelled));
    }

    #[test]
    fn the_stored_form_survives() {
        assert!(R::ALL.iter().all(|s| RunState::from_int(s.as_int()) == Some(*s) && RunState::parse(s.as_str()) == Some(*s)));
    }
}
