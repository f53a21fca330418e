//! Answers to approval requests: yes, no, and time's own.

use tollgate_core::id::{ApprovalId, EntryId};
use tollgate_core::ledger::{Approval, ApprovalStep, Body, Disposition, Field};
use tollgate_core::ports::{
    ActionRecord, Actor, Answer, Answered, ApprovalEnd, ApprovalRecord, Approve, Authority, DeskError, NewEntry, StoreError,
};
use tollgate_core::scope::Scope;
use tollgate_core::spec::OnUnknown;

use super::port::Counter;
use crate::engine::{Deps, Ending, disposal};
use crate::entries::Scribe;

const COMMENT_MAX: usize = 2000;

/// One step of a request, as an entry.
struct StepEntry<'a> {
    approval: &'a ApprovalRecord,
    queue: &'a str,
    step: ApprovalStep,
    by: Option<String>,
    comment: Option<&'a str>,
}

fn entry(deps: &Deps, record: &ActionRecord, s: &StepEntry<'_>) -> Result<NewEntry, StoreError> {
    let scribe = Scribe::new(record, &deps.ids, &*deps.sealer);
    scribe.entry(None, |committer, mut committed, _| {
        committer.text(&mut committed, Field::Shown, &String::from_utf8_lossy(&s.approval.shown));
        if let Some(comment) = s.comment {
            committer.text_named(&mut committed, Field::Comment, &format!("comment:{}:{}", s.approval.id, s.queue), comment);
        }
        Body::Approval(Box::new(Approval {
            of: scribe.of(),
            approval: s.approval.id,
            queue: s.queue.to_owned(),
            step: s.step,
            by: s.by.clone(),
            proof: None,
            expires_at: s.approval.expires_at,
            committed,
        }))
    })
}

/// The request, its action, and the queue that is meant.
async fn find(desk: &Counter, actor: &Actor, answer: &Answer) -> Result<(ApprovalRecord, ActionRecord, String), DeskError> {
    if answer.comment.as_ref().is_some_and(|c| c.len() > COMMENT_MAX) {
        return Err(DeskError::Invalid(format!("a comment has at most {COMMENT_MAX} bytes")));
    }
    let effects = &desk.deps.engine.effects;
    let found = effects.approval(actor.scope, answer.approval).await?;
    let approval = found.ok_or_else(|| DeskError::NotFound(format!("there is no approval request `{}`", answer.approval)))?;
    if approval.status != "open" {
        return Err(DeskError::Conflict(format!("the approval request is {} already", approval.status)));
    }
    if answer.binding.is_some_and(|b| b != approval.binding) {
        return Err(DeskError::Conflict("what was seen is not what is asked: look at the request again".to_owned()));
    }
    let open: Vec<&String> = approval.queues.iter().filter(|(_, by)| by.is_none()).map(|(q, _)| q).collect();
    let queue = match (&answer.queue, open.as_slice()) {
        (Some(q), _) if open.contains(&q) => q.clone(),
        (Some(q), _) => return Err(DeskError::Invalid(format!("`{q}` is not an open queue of this request; open: {}", join(&open)))),
        (None, [only]) => (*only).clone(),
        (None, _) => return Err(DeskError::Invalid(format!("say for which queue you answer; open: {}", join(&open)))),
    };
    let record = desk.record(actor, approval.action).await?;
    Ok((approval, record, queue))
}

fn join(words: &[&String]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

pub(super) async fn approve(desk: &Counter, actor: &Actor, answer: Answer) -> Result<Answered, DeskError> {
    let (approval, record, queue) = find(desk, actor, &answer).await?;
    let deps = &desk.deps.engine;
    let by = actor.principal.label();
    let step = StepEntry {
        approval: &approval,
        queue: &queue,
        step: ApprovalStep::Approved,
        by: Some(by.clone()),
        comment: answer.comment.as_deref(),
    };
    let entry = entry(deps, &record, &step)?;
    let command = Approve {
        scope: actor.scope,
        approval: approval.id,
        queue,
        by,
        binding: approval.binding,
        entry: entry.clone(),
        at: deps.ids.now(),
    };
    let answered = deps.effects.approve(command).await?;
    stored(deps, actor.scope, [&entry]);
    Ok(answered)
}

pub(super) async fn deny(desk: &Counter, actor: &Actor, answer: Answer) -> Result<ActionRecord, DeskError> {
    let (approval, record, queue) = find(desk, actor, &answer).await?;
    let deps = &desk.deps.engine;
    let by = actor.principal.label();
    let step = StepEntry {
        approval: &approval,
        queue: &queue,
        step: ApprovalStep::Denied,
        by: Some(by.clone()),
        comment: answer.comment.as_deref(),
    };
    let entry = entry(deps, &record, &step)?;
    let mut ending = Ending::new(Disposition::Denied, "denied").detail(format!("denied by {by} for `{queue}`"));
    let denial = ApprovalEnd::Denied(entry.id);
    ending = ending.approval(entry.id).entry(entry);
    end(deps, &record, ending, approval.id, denial).await?;
    desk.record(actor, record.id).await
}

/// Ends a request that nobody answered in time. The store's clock judges.
///
/// # Errors
/// [`StoreError::Conflict`] when it was answered first, or has not lapsed yet; whatever else the store says.
pub async fn expire(deps: &Deps, scope: Scope, id: ApprovalId) -> Result<(), StoreError> {
    let Some(approval) = deps.effects.approval(scope, id).await? else { return Ok(()) };
    let Some(record) = deps.effects.action(scope, approval.action).await? else { return Ok(()) };
    let mut ending = Ending::new(Disposition::Expired, "approval_expired").detail("nobody answered in time");
    let mut last: Option<EntryId> = None;
    for (queue, _) in approval.queues.iter().filter(|(_, by)| by.is_none()) {
        let step = StepEntry { approval: &approval, queue, step: ApprovalStep::Expired, by: None, comment: None };
        let entry = entry(deps, &record, &step)?;
        last = Some(entry.id);
        ending = ending.entry(entry);
    }
    if let Some(entry) = last {
        ending = ending.approval(entry);
    }
    end(deps, &record, ending, id, ApprovalEnd::Expired).await
}

async fn end(deps: &Deps, record: &ActionRecord, ending: Ending, id: ApprovalId, how: ApprovalEnd) -> Result<(), StoreError> {
    let command = disposal(deps, record, OnUnknown::Hold, ending, Authority::Approval(id, how), None)?;
    let kept: Vec<_> = command.disposal.entries.iter().cloned().chain([command.disposal.receipt.clone()]).collect();
    deps.effects.dispose(command).await?;
    stored(deps, record.scope, &kept);
    Ok(())
}

/// Tells the vault that the keys which sealed these entries are stored.
pub(super) fn stored<'a>(deps: &Deps, scope: Scope, entries: impl IntoIterator<Item = &'a NewEntry>) {
    for key in entries.into_iter().filter_map(|e| e.sealed.as_ref()?.new_key.as_ref()) {
        deps.sealer.key_stored(scope, key);
    }
}
