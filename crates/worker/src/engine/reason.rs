//! The reasoning step: an operator proposes, the plan is stored once.

use tollgate_core::gate::{effect_key, fingerprint, lane_key};
use tollgate_core::id::{ActionId, PlanId};
use tollgate_core::plan::{ProposalError, ProposedAction};
use tollgate_core::ports::{Bundle, Claimed, KeyClaim, NewAction, PlanOutcome, ReasonRecord, StoreError, StorePlan};
use tollgate_core::scope::Scope;
use tollgate_core::spec::{DispatchSpec, Effect, Ordering};
use tollgate_core::terms::{Governed, Part, Terms};

use super::{Engine, poison};

impl Engine {
    pub(super) async fn reason(&self, claimed: Claimed) -> Result<Vec<Claimed>, StoreError> {
        let record = self.deps.exec.reason_step(claimed.scope, claimed.run).await?.ok_or(StoreError::NotFound)?;
        let bundle = self.deps.bundles.pinned(record.bundle).await?;
        let operator = bundle.as_ref().and_then(|b| b.spec.operators.get(&record.operator));
        let (ordering, draft) = operator.map_or((Ordering::Relaxed, false), |o| (o.ordering, o.draft));
        let outcome = match (&bundle, poison::kills(&claimed)) {
            (_, Some(why)) => PlanOutcome::Failed(died(&record.operator, &why)),
            (None, None) => PlanOutcome::Failed(gone(&record.operator)),
            (Some(b), None) => match b.reasoner.propose(&record.operator, &record.event).await {
                Err(e) => PlanOutcome::Failed(e),
                Ok(None) => PlanOutcome::Nothing,
                Ok(Some(plan)) => {
                    let actions = plan.actions.into_iter().map(|a| Self::prepare(&self.deps, claimed.scope, b, Some(&record), a)).collect();
                    if draft { PlanOutcome::Draft(actions) } else { PlanOutcome::Proposed(actions) }
                }
            },
        };
        let command = StorePlan {
            scope: claimed.scope,
            run: claimed.run,
            lease: claimed.lease,
            plan: PlanId::from_bytes(*claimed.run.as_bytes()),
            at: self.deps.ids.now(),
            outcome,
            ordering,
            claim: Some(self.session),
        };
        match self.deps.effects.store_plan(command).await {
            Ok(stored) => Ok(stored.claimed),
            // It was stored, then: the lease is gone with it, and whoever claims next goes on from there.
            Err(StoreError::Conflict(_)) => Ok(Vec::new()),
            Err(StoreError::AnswerLost) => {
                self.answer_lost();
                Ok(Vec::new())
            }
            Err(e) => Err(e),
        }
    }

    /// An action as the store takes it: named by its keys, salted for its commitments.
    pub(crate) fn prepare(
        deps: &super::Deps,
        scope: Scope,
        bundle: &Bundle,
        asked: Option<&ReasonRecord>,
        proposal: ProposedAction,
    ) -> NewAction {
        let tool = bundle.spec.tools.get(&proposal.tool);
        let effect = tool.map_or(Effect::Write, |t| t.effect);
        let writes = effect == Effect::Write;
        let lane = proposal.entity_key.as_deref().filter(|_| writes).map(|e| lane_key(&scope, e));
        let key = match (&proposal.idempotency_key, tool) {
            (Some(k), Some(t)) if writes => Some(KeyClaim { key: effect_key(&scope, k), fingerprint: fingerprint(t, &proposal) }),
            _ => None,
        };
        NewAction {
            id: ActionId::from_bytes(deps.ids.uuid()),
            tool_digest: tool.map(tollgate_core::spec::ToolSpec::digest),
            effect,
            salt: deps.ids.random(),
            lane,
            key,
            terms: terms(deps, scope, bundle, asked, &proposal),
            proposal,
        }
    }
}

/// On what terms an action waits: as the active bundle says, for that is never pinned; as the run's own where it says nothing any more.
fn terms(deps: &super::Deps, scope: Scope, pinned: &Bundle, asked: Option<&ReasonRecord>, proposal: &ProposedAction) -> Terms {
    let active = deps.bundles.active(scope);
    let bundle = active.as_ref().map_or(pinned, |a| &a.bundle);
    let has_key = |d: &DispatchSpec| d.concurrency.as_ref().is_some_and(|c| c.key.is_some());
    let tool = bundle.spec.tools.get(&proposal.tool);
    let tool_key = tool.filter(|t| has_key(&t.dispatch)).and_then(|_| bundle.tools.concurrency_key(&proposal.tool, &proposal.args));
    let operator = asked.and_then(|r| Some((bundle.spec.operators.get(&r.operator)?, r)));
    let operator_key = operator.filter(|(o, _)| has_key(&o.dispatch)).and_then(|(o, r)| bundle.reasoner.concurrency_key(&o.name, &r.event));
    Governed { scope, spec: &bundle.spec }.acting(
        tool.map(|t| Part { name: &t.name, dispatch: &t.dispatch, key: tool_key.as_deref() }),
        operator.map(|(o, _)| Part { name: &o.name, dispatch: &o.dispatch, key: operator_key.as_deref() }),
        proposal.priority,
    )
}

fn died(operator: &str, why: &str) -> ProposalError {
    tracing::error!(operator, why, "a run is given up");
    ProposalError { place: operator.to_owned(), message: format!("{}: {why}", poison::REASON) }
}

fn gone(operator: &str) -> ProposalError {
    ProposalError { place: operator.to_owned(), message: "the bundle that this run is pinned to is not available".to_owned() }
}
