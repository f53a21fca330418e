//! Endings: the disposition and its receipt.

use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::canon::canonical;
use tollgate_core::id::{ActionId, EntryId, SessionId};
use tollgate_core::ledger::{Body, Disposition, Field, Receipt, Refs};
use tollgate_core::ports::{
    ActionRecord, Authority, Claimed, CloseAttempt, Compensation, ConfigRev, Disposal, Dispose, KeyChange, NewEntry, Rendered, StoreError,
};
use tollgate_core::spec::{OnUnknown, ToolSpec};
use tollgate_core::verdict::{Decision, Verdict};

use super::act::{Outcome, Round};
use super::undo::{compensation, parks};
use super::{Deps, Engine};
use crate::entries::Scribe;

/// How an action is about to end.
pub(crate) struct Ending {
    disposition: Disposition,
    reason: String,
    detail: Option<String>,
    decision: Option<Decision>,
    refs: Refs,
    output: Option<serde_json::Value>,
    args_differ: bool,
    stub: bool,
    close: Option<CloseAttempt>,
    attempts: Option<u32>,
    entries: Vec<NewEntry>,
}

impl Ending {
    pub(crate) fn new(disposition: Disposition, reason: &str) -> Self {
        Self {
            disposition,
            reason: reason.to_owned(),
            detail: None,
            decision: None,
            refs: Refs::default(),
            output: None,
            args_differ: false,
            stub: false,
            close: None,
            attempts: None,
            entries: Vec::new(),
        }
    }

    pub(super) const fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// Whether an attempt ends with it.
    pub(super) const fn closes(&self) -> bool {
        self.close.is_some()
    }

    /// Why, in a word and for people.
    pub(super) fn grounds(self) -> (String, Option<String>) {
        (self.reason, self.detail)
    }

    pub(crate) fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    pub(crate) fn detail_opt(mut self, text: Option<String>) -> Self {
        self.detail = text;
        self
    }

    pub(super) fn decided(mut self, decision: Decision) -> Self {
        self.decision = Some(decision);
        self
    }

    pub(super) fn decided_opt(mut self, decision: Option<Decision>) -> Self {
        self.decision = decision;
        self
    }

    pub(crate) fn approval(mut self, entry: EntryId) -> Self {
        self.refs.approval = Some(entry);
        self
    }

    pub(super) fn approval_opt(mut self, entry: Option<EntryId>) -> Self {
        self.refs.approval = entry;
        self
    }

    /// With an entry that stands before the receipt.
    pub(crate) fn entry(mut self, entry: NewEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// With the attempt that it ends with, begun as number `attempt`.
    pub(crate) fn closing(mut self, intent: EntryId, close: CloseAttempt) -> Self {
        self.refs.intent = Some(intent);
        self.refs.attempt = Some(close.entry.id);
        self.attempts = Some(close.attempt);
        self.close = Some(close);
        self
    }

    /// A success without a call: this entry says where the effect came from.
    pub(crate) fn duplicate_of(mut self, entry: EntryId) -> Self {
        self.refs.duplicate_of = Some(entry);
        self
    }

    pub(super) fn outcome(mut self, outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Applied { output, .. } => self.output = Some(output.clone()),
            other => self.detail = Some(other.message().to_owned()).filter(|m| !m.is_empty()),
        }
        self
    }

    pub(super) fn output(mut self, output: serde_json::Value) -> Self {
        self.output = Some(output);
        self
    }

    pub(super) const fn stub(mut self, rendered: &Rendered) -> Self {
        self.stub = matches!(rendered, Rendered::Stub { .. });
        self
    }
}

/// What an ending does to the effect key.
fn key_change(record: &ActionRecord, disposition: Disposition) -> KeyChange {
    match disposition {
        _ if record.key.is_none() => KeyChange::None,
        Disposition::Applied => KeyChange::Consume,
        Disposition::Unknown => KeyChange::Doubt,
        Disposition::Deduplicated => KeyChange::None,
        _ => KeyChange::Free,
    }
}

/// The gate's answer, which may be stricter than policy's.
fn verdict(ending: &Ending) -> Option<Verdict> {
    match ending.disposition {
        Disposition::Deduplicated => Some(Verdict::Dedup),
        Disposition::Refused => Some(Verdict::Block),
        // A person was asked because policy said so, and nobody judged again.
        Disposition::Denied | Disposition::Expired if ending.decision.is_none() => Some(Verdict::RequireApproval),
        _ => ending.decision.as_ref().map(|d| d.verdict).filter(|v| *v != Verdict::Block),
    }
}

impl Engine {
    /// Ends an action whose tool is known.
    pub(super) async fn end(&self, r: &Round<'_>, ending: Ending) -> Result<Outcome, StoreError> {
        if parks(r.record, &ending) {
            return self.park(r.claimed, r.record, r.active.rev, ending).await;
        }
        let undo = match ending.disposition {
            Disposition::Applied => compensation(&self.deps, r.bundle, r.record, ending.output.as_ref()),
            _ => None,
        };
        self.dispose(r.claimed, r.record, Some(r.tool), ending, undo).await
    }

    /// Ends an action that never came to the gate.
    pub(super) async fn end_unasked(
        &self,
        claimed: Claimed,
        record: &ActionRecord,
        rev: ConfigRev,
        ending: Ending,
    ) -> Result<Outcome, StoreError> {
        if parks(record, &ending) {
            return self.park(claimed, record, rev, ending).await;
        }
        self.dispose(claimed, record, None, ending, None).await
    }

    /// A success without a call: the first output, and whether other arguments asked for it.
    pub(super) async fn duplicate(&self, r: &Round<'_>, by: ActionId, receipt: EntryId, decision: Decision) -> Result<Outcome, StoreError> {
        let first = self.deps.effects.consumed_output(r.claimed.scope, by).await?;
        let mut ending = Ending::new(Disposition::Deduplicated, "already_applied").decided(decision);
        ending.refs.duplicate_of = Some(receipt);
        if let Some(first) = first {
            ending.args_differ = canonical(&first.proposal.args) != canonical(&r.record.proposal.args);
            ending.output = first.output.as_deref().and_then(|o| serde_json::from_slice(o).ok());
        }
        self.end(r, ending).await
    }

    async fn dispose(
        &self,
        claimed: Claimed,
        record: &ActionRecord,
        tool: Option<&ToolSpec>,
        ending: Ending,
        undo: Option<Box<Compensation>>,
    ) -> Result<Outcome, StoreError> {
        let on_unknown = tool.map_or(OnUnknown::Hold, |t| t.on_unknown);
        let mut command = disposal(&self.deps, record, on_unknown, ending, Authority::Lease(claimed.lease), Some(self.session))?;
        command.compensation = undo;
        let kept: Vec<_> = command.close.iter().map(|c| c.entry.clone()).chain([command.disposal.receipt.clone()]).collect();
        // An answer lost here is read again by the caller; the call is never made again.
        let disposition = command.disposal.disposition;
        let disposed = self.deps.effects.dispose(command).await?;
        metrics::counter!("tollgate_actions_total", "disposition" => disposition.as_str()).increment(1);
        self.stored(claimed.scope, &kept);
        Ok(Outcome::Done(disposed.claimed))
    }
}

/// The command that ends an action, with its receipt.
pub(crate) fn disposal(
    deps: &Deps,
    record: &ActionRecord,
    on_unknown: OnUnknown,
    ending: Ending,
    authority: Authority,
    claim: Option<SessionId>,
) -> Result<Dispose, StoreError> {
    let scribe = Scribe::new(record, &deps.ids, &*deps.sealer);
    let attempts = ending.attempts.unwrap_or(record.attempts.count);
    let mut refs = ending.refs;
    refs.intent = refs.intent.or(record.last_intent);
    let receipt = scribe.entry(ending.decision.as_ref(), |committer, mut committed, decision| {
        if let Some(output) = &ending.output {
            committer.json(&mut committed, Field::Output, &format!("output#{attempts}"), output);
        }
        if let Some(detail) = &ending.detail {
            committer.text_named(&mut committed, Field::Message, "detail", detail);
        }
        Body::Receipt(Box::new(Receipt {
            of: scribe.of(),
            disposition: ending.disposition,
            verdict: verdict(&ending),
            reason: ending.reason.clone(),
            decision,
            attempts,
            refs,
            args_differ: ending.args_differ,
            stub: ending.stub,
            committed,
        }))
    })?;
    let disposal = Disposal {
        disposition: ending.disposition,
        reason: ending.reason,
        detail: ending.detail,
        receipt,
        entries: ending.entries,
        output: ending.output.map(|o| o.to_string().into_bytes()),
        key: key_change(record, ending.disposition),
        on_unknown,
    };
    let spare = (0..record.plan_len).map(|_| EntryId::from_bytes(deps.ids.uuid())).collect();
    let (scope, run, action, at) = (record.scope, record.run, record.id, deps.ids.now());
    Ok(Dispose { scope, run, action, authority, close: ending.close, disposal, at, spare, claim, compensation: None })
}
