//! Actions.

use tollgate_core::action::ActionState;
use tollgate_core::attempt::Attempts;
use tollgate_core::change::{Moved, What};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, KeyClaim, NewAction, OpenAttempt};
use tollgate_core::run::ActionView;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use super::Outbox;
use crate::error::Result;

/// An action as commands see it: what they decide on, and no more.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ActionHead {
    pub(crate) id: ActionId,
    pub(crate) scope: Scope,
    pub(crate) run: RunId,
    pub(crate) lane: Option<Digest>,
    pub(crate) key: Option<KeyClaim>,
    /// It keeps its ticket through waiting.
    pub(crate) strict: bool,
    pub(crate) state: ActionState,
    pub(crate) attempts: Attempts,
    pub(crate) deadline_at: Option<Timestamp>,
    pub(crate) generation: u32,
    pub(crate) open: Option<OpenAttempt>,
    pub(crate) approval: Option<ApprovalId>,
    pub(crate) compensates: bool,
    /// The node of the run's graph that it is, and the request that the node made.
    pub(crate) node: Option<(u32, Digest)>,
    /// The last fence given out, kept while no dispatch row does.
    pub(crate) fence: u64,
    /// On what terms it waits.
    pub(crate) terms: Terms,
}

/// Whether an action goes on from the generation that its free key hands on. Before its first attempt it has none of its own; one that gave
/// its key back to ask a person may find that another has spent the generation since.
pub(crate) const fn inherits(disposed: bool, attempts: u32, own: u32, of_key: u32) -> bool {
    attempts == 0 || (of_key > own && !disposed)
}

/// An action of a run, as the run machine sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct View {
    pub(crate) id: ActionId,
    pub(crate) compensates: bool,
    pub(crate) terms: Terms,
    pub(crate) view: ActionView,
}

/// An action about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewActionRow<'a> {
    pub(crate) scope: Scope,
    pub(crate) run: RunId,
    pub(crate) seq: u32,
    pub(crate) action: &'a NewAction,
    pub(crate) strict: bool,
    pub(crate) compensates: Option<ActionId>,
    pub(crate) node: Option<(u32, Digest)>,
    pub(crate) at: Timestamp,
}

impl NewActionRow<'_> {
    /// What the run machine needs to know of it: 1 independent, 2 goes on after a failure.
    pub(crate) fn flags(&self) -> i64 {
        let p = &self.action.proposal;
        i64::from(p.independent) | i64::from(p.continue_on_failure) << 1
    }
}

/// A change of an action beside its state.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ActionChange<'a> {
    /// Its attempt begins.
    Began {
        attempt: u32,
        generation: u32,
        generation_began: Timestamp,
        rendered: &'a [u8],
        deadline_at: Timestamp,
        intent: EntryId,
        session: SessionId,
    },
    /// Its attempt ended with this entry.
    Closed { end: EntryId },
    /// It is set aside.
    Deferred { in_doubt: bool, generation: u32, doubt_deadline: Timestamp, verify_failures: u32, fence: u64 },
    /// It waits, and no dispatch row holds its fence.
    Fence(u64),
    /// People are asked about it.
    Approval(ApprovalId),
    /// Why it waits.
    Noted { reason: Option<&'a str>, detail: Option<&'a str> },
    /// It ended.
    Disposed { disposition: Disposition, reason: &'a str, detail: Option<&'a str>, receipt: EntryId, output: Option<&'a [u8]> },
    /// A person said whether it happened.
    Resolved(bool),
}

/// Actions.
pub(crate) trait Actions: Outbox {
    /// An action of this tenant and mode.
    fn head(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionHead>>;
    /// The same with everything that a receipt shows.
    fn record(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionRecord>>;
    /// The last fence given out for an action that waits, and its terms; none when there is no such action.
    fn waiting(&mut self, scope: Scope, id: ActionId) -> Result<Option<(u64, Terms)>>;
    /// The actions of a run, in the order of its plan.
    fn views(&mut self, scope: Scope, run: RunId) -> Result<Vec<View>>;
    /// Writes an action that nothing has happened to yet.
    fn write_action(&mut self, action: &NewActionRow<'_>) -> Result<()>;
    /// Writes an action's new state; `false` when it is in another than `from`.
    fn write_move(&mut self, id: ActionId, from: ActionState, to: ActionState) -> Result<bool>;
    /// Writes a change of an action.
    fn write_change(&mut self, id: ActionId, change: &ActionChange<'_>) -> Result<()>;

    /// Stores an action that nothing has happened to yet.
    fn insert_action(&mut self, action: &NewActionRow<'_>) -> Result<()> {
        self.write_action(action)?;
        self.note(action.scope, action.run, What::Action(Moved::new(action.action.id, None, ActionState::Proposed)));
        Ok(())
    }

    /// Moves an action of a run on from a state; `false` when it is in another.
    fn move_action(&mut self, (scope, run): (Scope, RunId), id: ActionId, from: ActionState, to: ActionState) -> Result<bool> {
        let moved = self.write_move(id, from, to)?;
        if moved {
            self.note(scope, run, What::Action(Moved::new(id, Some(from), to)));
        }
        Ok(moved)
    }

    /// Changes an action. What its last move meant is said with the move.
    fn change_action(&mut self, id: ActionId, change: &ActionChange<'_>) -> Result<()> {
        self.write_change(id, change)?;
        match *change {
            ActionChange::Disposed { disposition, reason, .. } => self.amend(id, &|m| {
                m.disposition = Some(disposition);
                m.because(Some(reason));
            }),
            ActionChange::Noted { reason: Some(reason), .. } => self.amend(id, &|m| m.because(Some(reason))),
            ActionChange::Resolved(applied) => self.amend(id, &|m| m.resolved = Some(applied)),
            _ => {}
        }
        Ok(())
    }
}
