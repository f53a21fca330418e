//! Actions of a group.

use tollgate_core::action::ActionState as State;
use tollgate_core::attempt::Attempts;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, KeyClaim, NewAction, OpenAttempt};
use tollgate_core::run::ActionView;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::error::{Result, damaged};
use crate::needs::Lock;
use crate::query;
use crate::tx::{ActionChange, ActionHead, Actions, KeyRowState, NewActionRow, View, fetch_one, inherits};

use super::PgTx;
use super::runs::same;

/// An action as it is stored, as far as commands look at it or change it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ActionState {
    pub(crate) scope: Scope,
    pub(crate) run: RunId,
    pub(crate) seq: u32,
    pub(crate) lane: Option<Digest>,
    pub(crate) key: Option<KeyClaim>,
    pub(crate) strict: bool,
    pub(crate) independent: bool,
    pub(crate) continue_on_failure: bool,
    pub(crate) compensates: Option<ActionId>,
    pub(crate) node: Option<(u32, Digest)>,
    pub(crate) state: State,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) resolved: Option<bool>,
    pub(crate) attempts: u32,
    pub(crate) generation: u32,
    pub(crate) in_doubt: bool,
    pub(crate) generation_began: Timestamp,
    pub(crate) doubt_deadline: Timestamp,
    pub(crate) verify_failures: u32,
    pub(crate) fence: u64,
    pub(crate) terms: Terms,
    pub(crate) deadline_at: Option<Timestamp>,
    pub(crate) last_intent: Option<EntryId>,
    pub(crate) last_end: Option<EntryId>,
    pub(crate) open_session: Option<SessionId>,
    pub(crate) approval: Option<ApprovalId>,
    pub(crate) updated_at: Timestamp,
    /// Columns that are never fetched here, when they change.
    pub(crate) noted: Option<(Option<String>, Option<String>)>,
    pub(crate) ended: Option<(EntryId, Option<Vec<u8>>)>,
    pub(crate) rendered: Option<Option<Vec<u8>>>,
    /// Everything of an action that this group stores.
    pub(crate) new: Option<Box<(NewAction, Timestamp)>>,
}

impl ActionState {
    fn new(n: &NewActionRow<'_>) -> Self {
        let a = n.action;
        Self {
            scope: n.scope,
            run: n.run,
            seq: n.seq,
            lane: a.lane,
            key: a.key,
            strict: n.strict,
            independent: a.proposal.independent,
            continue_on_failure: a.proposal.continue_on_failure,
            compensates: n.compensates,
            node: n.node,
            state: State::Proposed,
            disposition: None,
            resolved: None,
            attempts: 0,
            generation: 1,
            in_doubt: false,
            generation_began: Timestamp::default(),
            doubt_deadline: Timestamp::default(),
            verify_failures: 0,
            fence: 0,
            terms: a.terms,
            deadline_at: None,
            last_intent: None,
            last_end: None,
            open_session: None,
            approval: None,
            updated_at: n.at,
            noted: None,
            ended: None,
            rendered: None,
            new: Some(Box::new((a.clone(), n.at))),
        }
    }

    fn apply(&mut self, change: &ActionChange<'_>) {
        match *change {
            ActionChange::Began { attempt, generation, generation_began, rendered, deadline_at, intent, session } => {
                self.attempts = attempt;
                self.generation = generation;
                self.generation_began = generation_began;
                self.rendered = Some(Some(rendered.to_vec()));
                self.deadline_at = Some(deadline_at);
                self.last_intent = Some(intent);
                self.open_session = Some(session);
            }
            ActionChange::Closed { end } => {
                self.last_end = Some(end);
                self.open_session = None;
            }
            ActionChange::Deferred { in_doubt, generation, doubt_deadline, verify_failures, fence } => {
                self.in_doubt = in_doubt;
                if self.generation != generation {
                    self.generation_began = Timestamp::default();
                }
                self.generation = generation;
                self.doubt_deadline = doubt_deadline;
                self.verify_failures = verify_failures;
                self.fence = fence;
            }
            ActionChange::Fence(fence) => self.fence = fence,
            ActionChange::Approval(id) => self.approval = Some(id),
            ActionChange::Noted { reason, detail } => self.noted = Some((reason.map(str::to_owned), detail.map(str::to_owned))),
            ActionChange::Disposed { disposition, reason, detail, receipt, output } => {
                self.disposition = Some(disposition);
                self.noted = Some((Some(reason.to_owned()), detail.map(str::to_owned)));
                self.ended = Some((receipt, output.map(<[u8]>::to_vec)));
                self.open_session = None;
                self.rendered = Some(None);
            }
            ActionChange::Resolved(applied) => self.resolved = Some(applied),
        }
    }
}

impl Actions for PgTx {
    fn head(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionHead>> {
        let Some(a) = self.actions.get(&id)?.filter(|a| same(a.scope, scope)) else { return Ok(None) };
        let (mut generation, mut generation_began) = (a.generation, a.generation_began);
        if let Some(claim) = &a.key
            && let Some((_, key)) = self.keys.get(&claim.key)?
            && key.state == KeyRowState::Free
            && inherits(a.state.is_disposed(), a.attempts, a.generation, key.generation)
        {
            (generation, generation_began) = (key.generation, key.began);
        }
        let open = match (a.open_session, a.last_intent) {
            (Some(session), Some(intent)) => Some(OpenAttempt { attempt: a.attempts, intent, session }),
            (Some(_), None) => return Err(damaged("an open attempt")),
            _ => None,
        };
        let attempts = Attempts {
            count: a.attempts,
            in_doubt: a.in_doubt,
            generation_began,
            doubt_deadline: a.doubt_deadline,
            verify_failures: a.verify_failures,
        };
        Ok(Some(ActionHead {
            id,
            scope: a.scope,
            run: a.run,
            lane: a.lane,
            key: a.key,
            strict: a.strict,
            state: a.state,
            attempts,
            deadline_at: a.deadline_at,
            generation,
            open,
            approval: a.approval,
            compensates: a.compensates.is_some(),
            node: a.node,
            fence: a.fence,
            terms: a.terms,
        }))
    }

    fn waiting(&mut self, scope: Scope, id: ActionId) -> Result<Option<(u64, Terms)>> {
        Ok(self.actions.get(&id)?.filter(|a| same(a.scope, scope)).map(|a| (a.fence, a.terms)))
    }

    fn record(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionRecord>> {
        fetch_one(self, &query::actions::one(scope, id))
    }

    fn views(&mut self, scope: Scope, run: RunId) -> Result<Vec<View>> {
        self.lock(Lock::Run(run))?;
        let ids = match self.runs.get(&run)? {
            // Nothing to fetch of a run that has no plan yet.
            Some(r) if r.row.actions == 0 && r.row.state == tollgate_core::run::RunState::Queued => Vec::new(),
            _ => self.plans.get(&run)?.unwrap_or_default(),
        };
        let mut out = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(a) = self.actions.get(&id)?.filter(|a| same(a.scope, scope)) else { return Err(damaged("an action of a plan")) };
            out.push(View {
                id,
                compensates: a.compensates.is_some(),
                terms: a.terms,
                view: ActionView {
                    state: a.state,
                    disposition: a.disposition,
                    resolved_applied: a.resolved == Some(true),
                    independent: a.independent,
                    continue_on_failure: a.continue_on_failure,
                },
            });
        }
        Ok(out)
    }

    fn write_action(&mut self, n: &NewActionRow<'_>) -> Result<()> {
        let id = n.action.id;
        let mut plan = match self.runs.get(&n.run)? {
            Some(r) if r.row.actions == 0 && r.row.state == tollgate_core::run::RunState::Queued => self.plans.known_or_empty(&n.run),
            _ => self.plans.get(&n.run)?.unwrap_or_default(),
        };
        plan.push(id);
        self.plans.put(n.run, Some(plan));
        self.actions.put(id, Some(ActionState::new(n)));
        Ok(())
    }

    fn write_move(&mut self, id: ActionId, from: State, to: State) -> Result<bool> {
        let now = self.now;
        if self.actions.get(&id)?.is_none_or(|a| a.state != from) {
            return Ok(false);
        }
        self.actions.change(&id, |a| {
            a.state = to;
            a.updated_at = now;
        })
    }

    fn write_change(&mut self, id: ActionId, change: &ActionChange<'_>) -> Result<()> {
        if self.actions.change(&id, |a| a.apply(change))? { Ok(()) } else { Err(damaged("an action that changes")) }
    }
}
