//! What must hold between the entries of one log: each intent closed once, each action ended once, references that fit.
//!
//! Knows entries, not files. Entries come in the order of their positions; an entry stands after those it refers to.

use std::collections::BTreeMap;

use crate::attempt::AttemptResult;
use crate::hash::Digest;
use crate::id::{ActionId, ApprovalId, EntryId};
use crate::ledger::body::Body;
use crate::ledger::kinds::{
    ActionRef, Approval, ApprovalStep, AttemptEnd, Change, Disposition, Evidence, Field, Intent, Receipt, Resolution, Subject,
};
use crate::ledger::leaf::Entry;
use crate::scope::Mode;
use crate::spec::Effect;
use crate::verdict::Verdict;

/// What is remembered of an entry for those that refer to it.
#[derive(Clone, Debug)]
enum Seen {
    Intent {
        action: ActionId,
        attempt: u32,
        generation: u32,
        verdict: Verdict,
    },
    Attempt {
        action: ActionId,
        result: AttemptResult,
    },
    Receipt {
        action: ActionId,
        disposition: Disposition,
        resolved: bool,
    },
    Approval {
        action: ActionId,
        queue: String,
        step: ApprovalStep,
    },
    Resolution {
        resolved: Disposition,
    },
    Evidence {
        action: ActionId,
    },
    Erasure,
    Change,
    /// A person said that the action was carried out in the time that a restored store forgot.
    Carried,
}

#[derive(Default, Debug)]
struct Action {
    who: Option<Digest>,
    args: Option<Digest>,
    attempts: u32,
    generation: u32,
    open: Option<EntryId>,
    receipt: Option<EntryId>,
}

/// The rules over one range.
#[derive(Debug)]
pub(super) struct Rules {
    /// Entries may stand before the range, or be hidden: a reference to one that was not seen proves nothing wrong.
    partial: bool,
    /// Entries may be hidden: that one does not come proves nothing wrong either.
    filtered: bool,
    seen: BTreeMap<EntryId, Seen>,
    actions: BTreeMap<ActionId, Action>,
    approvals: BTreeMap<(ApprovalId, String), ApprovalStep>,
}

type Checked = Result<(), (&'static str, String)>;

fn bad<T>(field: &'static str, message: impl Into<String>) -> Result<T, (&'static str, String)> {
    Err((field, message.into()))
}

impl Rules {
    pub(super) fn new(begins_late: bool, filtered: bool) -> Self {
        Self { partial: begins_late || filtered, filtered, seen: BTreeMap::new(), actions: BTreeMap::new(), approvals: BTreeMap::new() }
    }

    /// Takes the next entry. The error names the field and what is wrong with it.
    pub(super) fn take(&mut self, entry: &Entry) -> Checked {
        if self.seen.contains_key(&entry.id) {
            return bad("id", "an entry with this id stands before: ids are used once");
        }
        if let Some(of) = entry.body.of() {
            self.same_action(of)?;
        }
        let seen = match &entry.body {
            Body::Intent(b) => self.intent(entry.id, b)?,
            Body::Attempt(b) => self.attempt(b)?,
            Body::Receipt(b) => self.receipt(entry, b)?,
            Body::Approval(b) => self.approval(b)?,
            Body::Resolution(b) => self.resolution(b)?,
            Body::Evidence(b) => self.evidence(b)?,
            Body::Change(b) => {
                if carried(b) {
                    Seen::Carried
                } else {
                    Seen::Change
                }
            }
            Body::Erasure(_) => Seen::Erasure,
        };
        self.seen.insert(entry.id, seen);
        Ok(())
    }

    /// Intents that nothing has closed, in order of their ids.
    pub(super) fn open_intents(&self) -> Vec<EntryId> {
        let mut open: Vec<EntryId> = self.actions.values().filter_map(|a| a.open).collect();
        open.sort_unstable();
        open
    }

    /// Whether an entry is an erasure; none when it was not seen.
    pub(super) fn is_erasure(&self, id: EntryId) -> Option<bool> {
        self.seen.get(&id).map(|s| matches!(s, Seen::Erasure))
    }

    fn action(&mut self, id: ActionId) -> &mut Action {
        self.actions.entry(id).or_default()
    }

    /// An entry that is referred to. None when it may lie outside of what is shown.
    /// The verdict of a receipt: its own, or that of the intent that it cites, where a look at the remote settled what was called before.
    pub(super) fn verdict(&self, b: &Receipt) -> Option<Verdict> {
        let cited = || match self.seen.get(&b.refs.intent?) {
            Some(Seen::Intent { verdict, .. }) => Some(*verdict),
            _ => None,
        };
        b.verdict.or_else(cited)
    }

    fn find(&self, field: &'static str, id: EntryId) -> Result<Option<&Seen>, (&'static str, String)> {
        match self.seen.get(&id) {
            None if !self.partial => bad(field, format!("refers to {id}, which does not stand before it in the log")),
            found => Ok(found),
        }
    }

    fn same_action(&mut self, of: &ActionRef) -> Checked {
        let event = of.event.map(|e| *e.as_bytes()).unwrap_or_default();
        let parts: [&[u8]; 6] =
            [of.run.as_bytes(), of.plan.as_bytes(), &event, of.principal.as_bytes(), of.tool.as_bytes(), of.effect.as_str().as_bytes()];
        let who = Digest::of_parts("action", &parts);
        if *self.action(of.action).who.get_or_insert(who) == who {
            Ok(())
        } else {
            bad("of", format!("names another run, plan, event, principal, tool or effect for {} than the entries before", of.action))
        }
    }

    /// The arguments of an action never change: all its entries commit to the same ones, under one salt.
    fn same_args(&mut self, action: ActionId, args: Option<&Digest>) -> Checked {
        let Some(args) = args else { return Ok(()) };
        if *self.action(action).args.get_or_insert(*args) == *args {
            Ok(())
        } else {
            bad("committed", format!("commits to other arguments for {action} than the entries before"))
        }
    }

    fn intent(&mut self, id: EntryId, b: &Intent) -> Result<Seen, (&'static str, String)> {
        let action = b.of.action;
        if !matches!(b.decision.verdict, Verdict::Allow | Verdict::RequireApproval) {
            return bad("decision", format!("an intent was written under the verdict {}", b.decision.verdict.as_str()));
        }
        self.same_args(action, b.committed.get(&Field::Args))?;
        self.approved(b)?;
        let (partial, filtered) = (self.partial, self.filtered);
        let state = self.action(action);
        if let Some(receipt) = state.receipt {
            return bad("of", format!("{action} had ended with {receipt}: nothing may be called for it any more"));
        }
        if let Some(open) = state.open.filter(|_| !filtered) {
            return bad("attempt", format!("the intent {open} of the same action is not closed yet"));
        }
        let next = state.attempts + 1;
        if b.attempt < next || (!partial && b.attempt != next) {
            return bad("attempt", format!("is {} where {next} must follow: one intent per attempt", b.attempt));
        }
        if b.generation < state.generation.max(1) {
            return bad("generation", format!("goes back from {} to {}", state.generation, b.generation));
        }
        (state.attempts, state.generation, state.open) = (b.attempt, b.generation, Some(id));
        Ok(Seen::Intent { action, attempt: b.attempt, generation: b.generation, verdict: b.decision.verdict })
    }

    /// Every queue that must approve has approved, by the entries that the intent cites.
    fn approved(&self, b: &Intent) -> Checked {
        let (mut approved, mut unseen) = (Vec::new(), false);
        for id in &b.approvals {
            match self.find("approvals", *id)? {
                None => unseen = true,
                Some(Seen::Approval { action, queue, step: ApprovalStep::Approved }) if *action == b.of.action => approved.push(queue),
                Some(_) => return bad("approvals", format!("{id} is not an approval given to {}", b.of.action)),
            }
        }
        if b.decision.verdict == Verdict::RequireApproval && b.approvals.is_empty() {
            return bad("approvals", "policy asked for approval, and the intent cites none");
        }
        match b.decision.queues.iter().find(|q| !approved.contains(q)) {
            Some(queue) if !unseen => bad("approvals", format!("the queue `{queue}` must approve, and none of its approvals is cited")),
            _ => Ok(()),
        }
    }

    fn attempt(&mut self, b: &AttemptEnd) -> Result<Seen, (&'static str, String)> {
        let action = b.of.action;
        self.fits_intent(b.intent, action, b.attempt, b.generation)?;
        let (known, filtered) = (self.seen.contains_key(&b.intent), self.filtered);
        let state = self.action(action);
        match state.open {
            Some(open) if open == b.intent => state.open = None,
            Some(open) if known || !filtered => {
                return bad("intent", format!("closes {}, while {open} is the open intent of the action", b.intent));
            }
            None if known => return bad("intent", format!("closes {}, which was closed before", b.intent)),
            _ if state.attempts >= b.attempt => return bad("attempt", format!("attempt {} was closed before", b.attempt)),
            // Its intent stands before the range, or is hidden.
            _ => (state.attempts, state.generation, state.open) = (b.attempt, b.generation.max(state.generation), None),
        }
        Ok(Seen::Attempt { action, result: b.result })
    }

    fn fits_intent(&self, id: EntryId, of: ActionId, number: u32, gen_of_key: u32) -> Checked {
        match self.find("intent", id)? {
            None => Ok(()),
            Some(Seen::Intent { action, attempt, generation, .. }) if (*action, *attempt, *generation) == (of, number, gen_of_key) => {
                Ok(())
            }
            Some(_) => bad("intent", format!("{id} is not the intent of attempt {number}, generation {gen_of_key}, of {of}")),
        }
    }

    fn evidence(&self, b: &Evidence) -> Result<Seen, (&'static str, String)> {
        self.fits_intent(b.intent, b.of.action, b.attempt, b.generation)?;
        Ok(Seen::Evidence { action: b.of.action })
    }

    fn approval(&mut self, b: &Approval) -> Result<Seen, (&'static str, String)> {
        let key = (b.approval, b.queue.clone());
        match (self.approvals.get(&key), b.step) {
            (None, ApprovalStep::Requested) | (Some(ApprovalStep::Requested), _) if self.approvals.get(&key) != Some(&b.step) => {}
            (None, _) if self.partial => {}
            (None, _) => return bad("step", format!("{} in queue `{}` was never requested", b.approval, b.queue)),
            (Some(before), _) => return bad("step", format!("{} in queue `{}` is already {before}", b.approval, b.queue)),
        }
        self.approvals.insert(key, b.step);
        Ok(Seen::Approval { action: b.of.action, queue: b.queue.clone(), step: b.step })
    }

    fn resolution(&mut self, b: &Resolution) -> Result<Seen, (&'static str, String)> {
        if !matches!(b.resolved, Disposition::Applied | Disposition::Failed) {
            return bad("resolved", format!("an unknown is resolved as applied or failed, not as {}", b.resolved));
        }
        if let Some(id) = b.evidence {
            match self.find("evidence", id)? {
                None => {}
                Some(Seen::Evidence { action }) if *action == b.of.action => {}
                Some(_) => return bad("evidence", format!("{id} is not evidence about {}", b.of.action)),
            }
        }
        self.find("receipt", b.receipt)?;
        match self.seen.get_mut(&b.receipt) {
            None => {}
            Some(Seen::Receipt { resolved: true, .. }) => return bad("receipt", format!("{} was resolved before", b.receipt)),
            Some(Seen::Receipt { action, disposition: Disposition::Unknown, resolved }) if *action == b.of.action => *resolved = true,
            Some(_) => return bad("receipt", format!("{} is not a receipt of {} that says unknown", b.receipt, b.of.action)),
        }
        Ok(Seen::Resolution { resolved: b.resolved })
    }

    fn receipt(&mut self, entry: &Entry, b: &Receipt) -> Result<Seen, (&'static str, String)> {
        let action = b.of.action;
        if b.stub && entry.scope.mode != Mode::Test {
            return bad("stub", "only test mode has stubs");
        }
        verdict_fits(b)?;
        self.same_args(action, b.committed.get(&Field::Args))?;
        self.refs_fit(b)?;
        let (partial, filtered) = (self.partial, self.filtered);
        let state = self.action(action);
        if let Some(first) = state.receipt {
            return bad("of", format!("{action} had ended with {first}: an action has one receipt"));
        }
        if let Some(open) = state.open.filter(|_| !filtered) {
            return bad("of", format!("{action} ends while its intent {open} is not closed"));
        }
        if b.of.effect == Effect::Write && (b.attempts < state.attempts || (!partial && b.attempts != state.attempts)) {
            return bad("attempts", format!("says {}, the log shows {}", b.attempts, state.attempts));
        }
        // Where entries are hidden, so may be the one that closed it.
        state.open = None;
        state.receipt = Some(entry.id);
        Ok(Seen::Receipt { action, disposition: b.disposition, resolved: false })
    }

    fn refs_fit(&self, b: &Receipt) -> Checked {
        let (of, refs) = (b.of.action, &b.refs);
        if b.of.effect == Effect::Write && matches!(b.disposition, Disposition::Applied | Disposition::Unknown) && refs.intent.is_none() {
            return bad("refs", format!("a write that is {} cites its intent", b.disposition));
        }
        match refs.intent.map(|id| self.find("refs", id)).transpose()?.flatten() {
            None => {}
            Some(Seen::Intent { action, .. }) if *action == of => {}
            Some(_) => return bad("refs", format!("the intent that is cited is none of {of}")),
        }
        match refs.attempt.map(|id| self.find("refs", id)).transpose()?.flatten() {
            None => {}
            Some(Seen::Attempt { action, result }) if *action == of && result_allows(*result, b.disposition) => {}
            Some(Seen::Attempt { action, result }) if *action == of => {
                return bad("refs", format!("the attempt that is cited ended {}, the action {}", result.as_str(), b.disposition));
            }
            Some(_) => return bad("refs", format!("the attempt that is cited is none of {of}")),
        }
        match refs.approval.map(|id| self.find("refs", id)).transpose()?.flatten() {
            None => {}
            // A denial stands for the key, so the entry may be another action's.
            Some(Seen::Approval { step, .. }) if step_allows(*step, b.disposition) => {}
            Some(_) => return bad("refs", format!("the approval that is cited does not make the action {}", b.disposition)),
        }
        match refs.duplicate_of.map(|id| self.find("refs", id)).transpose()?.flatten() {
            None if b.disposition == Disposition::Deduplicated && refs.duplicate_of.is_none() => {
                bad("refs", "a duplicate cites the receipt of the action that took the effect")
            }
            None | Some(Seen::Receipt { disposition: Disposition::Applied | Disposition::Unknown, .. }) => Ok(()),
            Some(Seen::Resolution { resolved: Disposition::Applied }) => Ok(()),
            Some(Seen::Carried) => Ok(()),
            Some(_) => bad("refs", "what is cited as the first did not take effect"),
        }
    }
}

/// Whether a change says of an action that it was carried out in the time that a restored store forgot.
fn carried(b: &Change) -> bool {
    b.subject == Subject::Epoch && b.status == "applied" && b.name.parse::<ActionId>().is_ok()
}

/// The gate's verdict, policy's, and the disposition must not contradict each other.
fn verdict_fits(b: &Receipt) -> Checked {
    use Disposition as D;
    let policy = b.decision.as_ref().map(|d| d.verdict);
    if policy == Some(Verdict::Dedup) {
        return bad("decision", "policy never says DEDUP");
    }
    let word = b.verdict.map_or("none", Verdict::as_str);
    let fits = match (b.disposition, b.verdict) {
        (D::Deduplicated, v) => v == Some(Verdict::Dedup),
        (D::Refused, v) => v == Some(Verdict::Block),
        // What verified the effect judged nothing: the verdict stands in the intent, which is checked to be this action's.
        (D::Applied, None) => b.decision.is_none() && b.refs.intent.is_some(),
        (D::Applied, v) => matches!(v, Some(Verdict::Allow | Verdict::RequireApproval)) && policy != Some(Verdict::Block),
        (_, v) => v != Some(Verdict::Dedup),
    };
    if fits { Ok(()) } else { bad("verdict", format!("an action cannot be {} under the verdict {word}", b.disposition)) }
}

const fn result_allows(result: AttemptResult, disposition: Disposition) -> bool {
    match disposition {
        Disposition::Applied => matches!(result, AttemptResult::Applied | AttemptResult::Ambiguous),
        Disposition::Failed | Disposition::Unknown => !matches!(result, AttemptResult::Applied),
        _ => true,
    }
}

const fn step_allows(step: ApprovalStep, disposition: Disposition) -> bool {
    match disposition {
        Disposition::Denied => matches!(step, ApprovalStep::Denied),
        Disposition::Expired => matches!(step, ApprovalStep::Expired),
        Disposition::Withdrawn => matches!(step, ApprovalStep::Withdrawn),
        _ => true,
    }
}
