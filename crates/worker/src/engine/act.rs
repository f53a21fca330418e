//! The gate: steps 1 to 8 of the design, in their order. Every branch ends in exactly one commit.

use tollgate_core::action::ActionState;
use tollgate_core::gate::{KeyLook, approval_binding, remote_key};
use tollgate_core::id::{ActionId, ApprovalId, EntryId};
use tollgate_core::ledger::{Disposition, Field, Intent};
use tollgate_core::ports::{ActionRecord, Active, AskApproval, BeginAttempt, Begun, Bundle, Claimed, Rendered, StoreError};
use tollgate_core::spec::{Effect, Grade, ToolSpec};
use tollgate_core::verdict::{Decision, PolicyRequest, Principal, Verdict};

use super::Engine;
use super::end::Ending;
use super::poison;
use crate::entries::Scribe;

/// Rounds of the gate before a configuration that never holds still is left to a later claim.
const ROUNDS_MAX: u32 = 8;
/// How long people have to allow a compensation: a hundred years.
const UNLAPSING: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 86_400);

/// What one round of the gate works on.
pub(super) struct Round<'a> {
    pub(super) claimed: Claimed,
    pub(super) record: &'a ActionRecord,
    pub(super) bundle: &'a Bundle,
    pub(super) active: &'a Active,
    pub(super) tool: &'a ToolSpec,
}

/// What a round came to.
pub(super) enum Outcome {
    /// Committed; these steps are this session's now.
    Done(Vec<Claimed>),
    /// Something changed under it: load and look again.
    Again,
}

impl Round<'_> {
    /// What policy says now. First calls and calls again are judged by the same request.
    pub(super) fn decide(&self) -> Decision {
        let p = &self.record.proposal;
        self.active.policy.decide(&PolicyRequest {
            principal: &self.record.principal,
            tool: self.tool,
            args: &p.args,
            entity_key: p.entity_key.as_deref(),
            value: p.value.as_ref(),
        })
    }
}

impl Engine {
    pub(super) async fn act(&self, claimed: Claimed, action: ActionId) -> Result<Vec<Claimed>, StoreError> {
        for _ in 0..ROUNDS_MAX {
            let record = self.deps.effects.action(claimed.scope, action).await?.ok_or(StoreError::NotFound)?;
            if record.state.is_disposed() || record.state.is_waiting() {
                // Its disposition or its waiting was committed and the answer lost: nothing is left to do.
                return Ok(Vec::new());
            }
            match self.round(claimed, &record).await {
                Ok(Outcome::Done(next)) => return Ok(next),
                Ok(Outcome::Again) => {}
                Err(StoreError::AnswerLost) => self.answer_lost(),
                Err(StoreError::Stale) => self.deps.bundles.refresh(claimed.scope).await?,
                Err(e) => return Err(e),
            }
        }
        Err(StoreError::Stale)
    }

    async fn round(&self, claimed: Claimed, record: &ActionRecord) -> Result<Outcome, StoreError> {
        let Some(active) = self.deps.bundles.active(claimed.scope) else {
            return Err(StoreError::Unavailable("no bundle is deployed".to_owned()));
        };
        if let Some(why) = poison::kills(&claimed) {
            return self.give_up(claimed, record, &active, why).await;
        }
        let pinned = self.deps.bundles.pinned(record.bundle).await?;
        if pinned.is_none() && (record.open.is_some() || record.attempts.in_doubt) {
            // What may have happened is not invalid: it waits until its tool can be asked.
            let message = format!("the action {} is in doubt, and the bundle {} that it needs is not available", record.id, record.bundle);
            return Err(StoreError::Unavailable(message));
        }
        let Some(bundle) = pinned else {
            let ending =
                Ending::new(Disposition::Invalid, "bundle_missing").detail("the bundle that this run is pinned to is not available");
            return self.end_unasked(claimed, record, active.rev, ending).await;
        };
        let Some(tool) = bundle.spec.tools.get(&record.proposal.tool) else {
            let ending = Ending::new(Disposition::Invalid, "unknown_tool").detail(format!("there is no tool `{}`", record.proposal.tool));
            return self.end_unasked(claimed, record, active.rev, ending).await;
        };
        let round = Round { claimed, record, bundle: &bundle, active: &active, tool };
        if record.open.is_some() {
            return self.recover(&round).await;
        }
        match record.state {
            ActionState::Doubt => self.doubt(&round).await,
            _ => self.gate(&round).await,
        }
    }

    /// Steps 1 to 8.
    pub(super) async fn gate(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        if let Some(ending) = invalid(r) {
            return self.end(r, ending).await;
        }
        if r.record.cancelling && r.record.compensates.is_none() {
            // Nobody is asked about it, and it waits for no key.
            return self.end(r, Ending::new(Disposition::Cancelled, "run_cancelled")).await;
        }
        if let Some(ending) = stopped(r) {
            return self.end(r, ending).await;
        }
        let decision = r.decide();
        match decision.verdict {
            Verdict::Allow => self.begin(r, decision, None).await,
            Verdict::RequireApproval => self.approval_gate(r, decision).await,
            Verdict::Block | Verdict::Dedup => {
                if let Some(done) = self.key_first(r, &decision).await? {
                    return Ok(done);
                }
                let given = self.approved_by(r).await?;
                let ending = Ending::new(Disposition::Refused, decision.reason.as_str())
                    .detail_opt(decision.detail.clone())
                    .approval_opt(given)
                    .decided(decision);
                self.end(r, ending).await
            }
        }
    }

    /// The yes that policy overrules, so that the receipt cites both.
    async fn approved_by(&self, r: &Round<'_>) -> Result<Option<EntryId>, StoreError> {
        let Some(id) = r.record.approval else { return Ok(None) };
        let found = self.deps.effects.approval(r.claimed.scope, id).await?;
        Ok(found.filter(|a| a.status == "approved").and_then(|a| a.entries.last().copied()))
    }

    /// Step 2 comes before policy: what took effect is a duplicate, whatever policy says today.
    async fn key_first(&self, r: &Round<'_>, decision: &Decision) -> Result<Option<Outcome>, StoreError> {
        if r.record.key.is_none() {
            return Ok(None);
        }
        match self.deps.effects.look_at_key(r.claimed.scope, r.record.id, r.claimed.lease).await? {
            KeyLook::Free | KeyLook::Mine => Ok(None),
            // No person overrides a BLOCK, and none has to.
            KeyLook::Denied(_) if decision.verdict == Verdict::Block => Ok(None),
            look => self.on_key(r, look, decision.clone()).await.map(Some),
        }
    }

    async fn on_key(&self, r: &Round<'_>, look: KeyLook, decision: Decision) -> Result<Outcome, StoreError> {
        match look {
            KeyLook::Consumed { by, receipt } => self.duplicate(r, by, receipt, decision).await,
            KeyLook::Conflict => {
                let ending = Ending::new(Disposition::Refused, "key_conflict")
                    .detail("the idempotency key was used for another operation, entity or identity")
                    .decided(decision);
                self.end(r, ending).await
            }
            KeyLook::Denied(by) => self.end(r, Ending::new(Disposition::Denied, "denied_before").approval(by).decided(decision)).await,
            // Parked: whoever settles the key wakes it.
            KeyLook::Held { .. } => Ok(Outcome::Done(Vec::new())),
            KeyLook::Free | KeyLook::Mine => Ok(Outcome::Again),
        }
    }

    async fn approval_gate(&self, r: &Round<'_>, decision: Decision) -> Result<Outcome, StoreError> {
        let binding = approval_binding(r.tool, &r.record.proposal, &decision.determining_text);
        if let Some(id) = r.record.approval
            && let Some(a) = self.deps.effects.approval(r.claimed.scope, id).await?
            && a.status == "approved"
            && a.binding == binding
        {
            return self.begin(r, decision, Some((id, binding))).await;
        }
        if let Some(done) = self.key_first(r, &decision).await? {
            return Ok(done);
        }
        self.ask(r, &decision, binding).await
    }

    async fn ask(&self, r: &Round<'_>, decision: &Decision, binding: tollgate_core::hash::Digest) -> Result<Outcome, StoreError> {
        use tollgate_core::ledger::{Approval, ApprovalStep, Body};
        let (deps, approval) = (&self.deps, ApprovalId::from_bytes(self.deps.ids.uuid()));
        let shown = shown(r, decision, &binding);
        // An effect that is to be taken back does not stay because nobody answered: the run waits.
        let expires_in = if r.record.compensates.is_some() { UNLAPSING } else { r.active.expires_in(&decision.queues) };
        let at = deps.ids.now();
        let scribe = Scribe::new(r.record, &deps.ids, &*deps.sealer);
        let mut entries = Vec::new();
        for queue in &decision.queues {
            entries.push(scribe.entry(None, |committer, mut committed, _| {
                committer.text(&mut committed, Field::Shown, &String::from_utf8_lossy(&shown));
                Body::Approval(Box::new(Approval {
                    of: scribe.of(),
                    approval,
                    queue: queue.clone(),
                    step: ApprovalStep::Requested,
                    by: None,
                    proof: None,
                    expires_at: at.plus(expires_in),
                    committed,
                }))
            })?);
        }
        let command = AskApproval {
            scope: r.claimed.scope,
            run: r.claimed.run,
            action: r.record.id,
            lease: r.claimed.lease,
            approval,
            queues: decision.queues.clone(),
            binding,
            shown,
            expires_in,
            entries: entries.clone(),
            at,
        };
        deps.effects.ask_approval(command).await?;
        self.stored(r.claimed.scope, &entries);
        Ok(Outcome::Done(Vec::new()))
    }

    /// Step 8, then the call.
    pub(super) async fn begin(
        &self,
        r: &Round<'_>,
        decision: Decision,
        approval: Option<(ApprovalId, tollgate_core::hash::Digest)>,
    ) -> Result<Outcome, StoreError> {
        let rendered = match self.rendered(r) {
            Ok(rendered) => rendered,
            Err(detail) => return self.end(r, Ending::new(Disposition::Invalid, "render_failed").detail(detail).decided(decision)).await,
        };
        let command = self.intent(r, &decision, approval, &rendered).await?;
        let (entry, deadline_at) = (command.entry.clone(), command.deadline_at);
        match self.deps.effects.begin(command).await {
            Ok(Begun::Intent) => {}
            Ok(Begun::Key(look)) => return self.on_key(r, look, decision).await,
            Ok(Begun::LaneBusy) => return Ok(Outcome::Done(Vec::new())),
            Ok(Begun::NotApproved) => return Ok(Outcome::Again),
            // What may have happened was not denied: nobody may call again, and a person must say.
            Ok(Begun::Denied(by)) if r.record.attempts.in_doubt => {
                let ending = Ending::new(Disposition::Unknown, "denied_in_doubt")
                    .detail("a denial given meanwhile forbids the call that would settle it")
                    .approval(by)
                    .decided(decision);
                return self.end(r, ending).await;
            }
            Ok(Begun::Denied(by)) => {
                return self.end(r, Ending::new(Disposition::Denied, "denied_before").approval(by).decided(decision)).await;
            }
            Ok(Begun::Cancelled) => return self.end(r, Ending::new(Disposition::Cancelled, "run_cancelled").decided(decision)).await,
            Err(StoreError::AnswerLost) => {
                // Read by action and fence: the call is made only if the intent is there.
                let now = self.deps.effects.action(r.claimed.scope, r.record.id).await?.ok_or(StoreError::NotFound)?;
                let there = now.open.as_ref().is_some_and(|o| o.intent == entry.id && o.session == self.session);
                if !there {
                    return Ok(Outcome::Again);
                }
            }
            Err(e) => return Err(e),
        }
        self.stored(r.claimed.scope, [&entry]);
        self.call(r, decision, &rendered, entry.id, deadline_at).await
    }

    /// The bytes of the call: those of the last attempt while it is in doubt, fresh ones otherwise.
    fn rendered(&self, r: &Round<'_>) -> Result<Rendered, String> {
        if let (true, Some(bytes)) = (r.record.attempts.in_doubt, &r.record.rendered) {
            return serde_json::from_slice(bytes).map_err(|e| format!("the stored request does not read back: {e}"));
        }
        r.bundle.tools.render(&r.tool.name, r.claimed.scope.mode, &r.record.proposal.args).map_err(|e| e.to_string())
    }

    async fn intent(
        &self,
        r: &Round<'_>,
        decision: &Decision,
        approval: Option<(ApprovalId, tollgate_core::hash::Digest)>,
        rendered: &Rendered,
    ) -> Result<BeginAttempt, StoreError> {
        use tollgate_core::ledger::Body;
        let attempt = r.record.attempts.count + 1;
        let deadline_at = self.deps.ids.now().plus(r.tool.timeout());
        let approvals = match approval {
            Some((id, _)) => self.deps.effects.approval(r.claimed.scope, id).await?.map(|a| a.entries).unwrap_or_default(),
            None => Vec::new(),
        };
        let value = serde_json::to_value(rendered).unwrap_or_default();
        let scribe = Scribe::new(r.record, &self.deps.ids, &*self.deps.sealer);
        let key = self.remote_key(r);
        let entry = scribe.entry(Some(decision), |committer, mut committed, decided| {
            committer.json(&mut committed, Field::Rendered, &format!("rendered#{attempt}"), &value);
            if let Some(key) = &key {
                committer.text_named(&mut committed, Field::RemoteKey, &format!("remote_key#{}", r.record.generation), key);
            }
            let decision = decided.unwrap_or_else(|| committer.decision(decision, attempt));
            Body::Intent(Box::new(Intent {
                of: scribe.of(),
                attempt,
                generation: r.record.generation,
                decision,
                approvals,
                deadline_at,
                committed,
            }))
        })?;
        Ok(BeginAttempt {
            scope: r.claimed.scope,
            run: r.claimed.run,
            action: r.record.id,
            lease: r.claimed.lease,
            rev: r.active.rev,
            attempt,
            generation: r.record.generation,
            deadline_at,
            rendered: value.to_string().into_bytes(),
            approval,
            entry,
        })
    }

    /// What a `keyed` remote recognises a repetition by.
    pub(super) fn remote_key(&self, r: &Round<'_>) -> Option<String> {
        let key = r.record.proposal.idempotency_key.as_deref()?;
        (r.tool.grade == Grade::Keyed && r.tool.effect == Effect::Write).then(|| remote_key(&r.claimed.scope, key, r.record.generation))
    }
}

/// Step 1, and what a write cannot do without.
fn invalid(r: &Round<'_>) -> Option<Ending> {
    let p = &r.record.proposal;
    if let Err(faults) = r.bundle.tools.validate(&r.tool.name, &p.args) {
        return Some(Ending::new(Disposition::Invalid, "invalid_arguments").detail(faults.join("; ")));
    }
    if r.tool.effect == Effect::Write && (r.record.key.is_none() || r.record.lane.is_none()) {
        return Some(Ending::new(Disposition::Invalid, "missing_key").detail("a write needs an entity_key and an idempotency_key"));
    }
    None
}

/// Statuses that are never pinned.
pub(super) fn stopped(r: &Round<'_>) -> Option<Ending> {
    if r.active.suspended {
        return Some(Ending::new(Disposition::Refused, "tenant_suspended").detail("the tenant is suspended"));
    }
    let connector = &r.tool.connector;
    if r.active.paused_connectors.contains(connector) {
        return Some(Ending::new(Disposition::Refused, "connector_paused").detail(format!("the connector `{connector}` is paused")));
    }
    match &r.record.principal {
        Principal::Operator(name) if r.active.paused_operators.contains(name) => {
            Some(Ending::new(Disposition::Refused, "operator_paused").detail(format!("the operator `{name}` is paused")))
        }
        _ => None,
    }
}

/// The exact canonical bytes that a person is shown.
fn shown(r: &Round<'_>, decision: &Decision, binding: &tollgate_core::hash::Digest) -> Vec<u8> {
    let p = &r.record.proposal;
    let value = serde_json::json!({
        "action": r.record.id, "tool": r.tool.name, "tool_digest": r.tool.digest(), "description": r.tool.description,
        "classes": r.tool.classes, "args": p.args, "entity_key": p.entity_key, "idempotency_key": p.idempotency_key, "value": p.value,
        "principal": r.record.principal.label(), "policies": decision.determining, "binding": binding,
    });
    tollgate_core::canon::canonical(&value).unwrap_or_else(|_| value.to_string().into_bytes())
}
