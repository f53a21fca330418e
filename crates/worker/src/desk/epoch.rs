//! What people do about a restored store: begin the epoch, say what became of each step, end it.
//!
//! A new epoch is no fork that goes unsaid: its first entry in each log cites the checkpoint that was kept outside, with the size and root
//! of what is lost. The generation of an effect key never rises at an epoch: whoever repeats a call under the key that the remote may know
//! is recognised by it, and a call under a new one would be carried out twice.

use std::collections::BTreeMap;

use tollgate_core::action::ActionState;
use tollgate_core::attempt::AttemptResult;
use tollgate_core::entries::new_entry;
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ledger::{AttemptEnd, Body, Change, Disposition, SignedCheckpoint, Subject};
use tollgate_core::ports::{
    ActionRecord, Actor, Authority, CloseAttempt, Desk, DeskError, Epoch, EpochLog, EpochStep, Epochs, NewEntry, Step, StoreError,
};
use tollgate_core::scope::Scope;
use tollgate_core::spec::OnUnknown;
use tollgate_core::verdict::Principal;

use super::answers::stored;
use super::port::Counter;
use crate::engine::{Ending, disposal};
use crate::entries::Scribe;

/// A step that was open in the restored store, for people.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenStep {
    /// The step.
    pub step: EpochStep,
    /// The action; none for a run that had more to propose: its operator was not asked yet, or its graph was not through.
    pub action: Option<ActionRecord>,
}

/// An epoch, for people.
#[derive(Clone, PartialEq, Debug)]
pub struct EpochReport {
    /// The epoch.
    pub epoch: Epoch,
    /// The logs, each with how many entries are missing: known by a kept checkpoint, or not at all.
    pub logs: Vec<(EpochLog, u64)>,
    /// Every step that was open.
    pub steps: Vec<OpenStep>,
}

/// Epochs at the desk.
pub struct EpochDesk<'a> {
    desk: &'a Counter,
    epochs: &'a dyn Epochs,
}

impl<'a> EpochDesk<'a> {
    /// A desk for these epochs.
    pub const fn new(desk: &'a Counter, epochs: &'a dyn Epochs) -> Self {
        Self { desk, epochs }
    }

    /// Begins an epoch, or completes one whose beginning was interrupted: holds all writes, then lists what was open in each log.
    ///
    /// # Errors
    /// When the store or the kept checkpoint cannot be read or written.
    pub async fn begin(&self, scopes: &[Scope], by: &str) -> Result<Epoch, DeskError> {
        let deps = &self.desk.deps;
        let epoch = self.epochs.begin_epoch(deps.engine.ids.now()).await?;
        deps.ledger.sequence().await?;
        for scope in scopes {
            let size = deps.ledger.frontier(*scope).await?.size();
            let kept = deps.signer.kept(*scope).map_err(DeskError::Unavailable)?;
            let change = Change {
                subject: Subject::Epoch,
                name: epoch.number.to_string(),
                by: by.to_owned(),
                status: kept.as_ref().map_or_else(|| format!("begun at {size}"), |k| format!("begun at {size} of {}", k.checkpoint.size)),
                digest: kept.as_ref().map(|k| k.checkpoint.root),
                previous: None,
                version: None,
                deployment: None,
            };
            let kept = kept.map(|k| serde_json::to_string(&k)).transpose().map_err(|e| DeskError::Unavailable(e.to_string()))?;
            let log = EpochLog { scope: *scope, size, kept };
            self.epochs.record_log(epoch.number, log, self.entry(*scope, change)?).await?;
            // From here on the kept checkpoint is of this log, whose first entry of the epoch cites the one that it replaces.
            deps.signer.sign(*scope).await?;
        }
        Ok(epoch)
    }

    fn entry(&self, scope: Scope, change: Change) -> Result<NewEntry, DeskError> {
        let at = self.desk.deps.engine.ids.now();
        new_entry(self.desk.entry_id(), scope, at, Body::Change(Box::new(change))).map_err(|e| DeskError::Invalid(e.to_string()))
    }

    /// The newest epoch; none when the store was never restored.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn report(&self) -> Result<Option<EpochReport>, DeskError> {
        let Some(epoch) = self.epochs.epoch().await? else { return Ok(None) };
        let mut logs = Vec::new();
        for log in self.epochs.epoch_logs(epoch.number).await? {
            let kept: Option<SignedCheckpoint> = log.kept.as_deref().and_then(|k| serde_json::from_str(k).ok());
            let missing = kept.map_or(0, |k| k.checkpoint.size.saturating_sub(log.size));
            logs.push((log, missing));
        }
        let mut steps = Vec::new();
        for step in self.epochs.epoch_steps(epoch.number).await? {
            let action = match step.step {
                Step::Action(id) => self.desk.deps.engine.effects.action(step.scope, id).await?,
                Step::Reason | Step::Node(_) => None,
            };
            steps.push(OpenStep { step, action });
        }
        Ok(Some(EpochReport { epoch, logs, steps }))
    }

    /// A person's word on one step, by the id of its action, or of its run when that had not proposed all it would. Applied: it was carried
    /// out, and is not again. Not applied: it goes on when the epoch ends.
    ///
    /// # Errors
    /// When there is no such open step, it was resolved the other way, or the store says no.
    pub async fn resolve(&self, actor: &Actor, name: &str, applied: bool) -> Result<(), DeskError> {
        let epoch = self.epochs.epoch().await?.filter(|e| e.ended_at.is_none());
        let epoch = epoch.ok_or_else(|| DeskError::Conflict("no epoch holds writes: there is nothing to resolve".to_owned()))?;
        let steps = self.epochs.epoch_steps(epoch.number).await?;
        let Some(found) = steps.iter().find(|s| step_id(s) == name).copied() else {
            return Err(DeskError::NotFound(format!("`{name}` was not open when epoch {} began", epoch.number)));
        };
        match found.resolved {
            Some(said) if said == applied => return Ok(()),
            Some(_) => return Err(DeskError::Conflict(format!("`{name}` is resolved the other way already"))),
            None => {}
        }
        let actor = Actor { scope: found.scope, principal: actor.principal.clone() };
        let said = self.entry(found.scope, said(name, &actor.principal, applied))?;
        let entry = match found.step {
            Step::Action(action) => self.action(&actor, action, applied, said).await?,
            Step::Reason | Step::Node(_) => {
                if applied {
                    // What is cancelled below its open actions would end them unsaid.
                    if steps.iter().any(|s| s.run == found.run && s.step != found.step && s.resolved.is_none()) {
                        return Err(DeskError::Conflict(format!("actions of `{name}` are open: resolve them first")));
                    }
                    match self.desk.cancel(&actor, found.run).await {
                        // It was cancelled before the word was recorded.
                        Ok(()) | Err(DeskError::Conflict(_)) => {}
                        Err(e) => return Err(e),
                    }
                }
                Some(said)
            }
        };
        Ok(self.epochs.resolve_step(epoch.number, found, applied, entry).await?)
    }

    /// What the word does to the action; answers the entry that is still to be written.
    async fn action(&self, actor: &Actor, id: ActionId, applied: bool, said: NewEntry) -> Result<Option<NewEntry>, DeskError> {
        let record = self.desk.record(actor, id).await?;
        match record.state {
            // An answer was lost after it.
            ActionState::Done => Ok(None),
            ActionState::Unknown => {
                self.desk.resolve(actor, id, applied, None).await?;
                Ok(None)
            }
            _ if !applied => Ok(Some(said)),
            _ => {
                self.carried_out(&record, said).await?;
                Ok(None)
            }
        }
    }

    /// Ends an action that was carried out in the time that the store forgot: a duplicate of what happened then, by a person's word.
    async fn carried_out(&self, record: &ActionRecord, said: NewEntry) -> Result<(), DeskError> {
        let deps = &self.desk.deps.engine;
        let word = said.id;
        let mut ending = Ending::new(Disposition::Deduplicated, "epoch").duplicate_of(word).entry(said);
        if let Some(open) = &record.open {
            ending = ending.closing(open.intent, self.close(record, open.attempt, open.intent)?);
        }
        let command = disposal(deps, record, OnUnknown::Hold, ending, Authority::Epoch, None)?;
        let kept: Vec<_> = command.close.iter().map(|c| c.entry.clone()).chain([command.disposal.receipt.clone()]).collect();
        deps.effects.dispose(command).await?;
        stored(deps, record.scope, &kept);
        Ok(())
    }

    fn close(&self, record: &ActionRecord, attempt: u32, intent: EntryId) -> Result<CloseAttempt, StoreError> {
        let deps = &self.desk.deps.engine;
        let scribe = Scribe::new(record, &deps.ids, &*deps.sealer);
        let entry = scribe.entry(None, |_, committed, _| {
            Body::Attempt(Box::new(AttemptEnd {
                of: scribe.of(),
                attempt,
                generation: record.generation,
                intent,
                result: AttemptResult::Ambiguous,
                status: None,
                concluded_by: Some("epoch".to_owned()),
                committed,
            }))
        })?;
        Ok(CloseAttempt { attempt, result: AttemptResult::Ambiguous, entry })
    }

    /// Lifts the hold, when every step is resolved.
    ///
    /// # Errors
    /// When a step is not, no epoch is open, or the store says no.
    pub async fn end(&self, by: &str) -> Result<Epoch, DeskError> {
        let epoch = self.epochs.epoch().await?.filter(|e| e.ended_at.is_none());
        let epoch = epoch.ok_or_else(|| DeskError::Conflict("no epoch holds writes".to_owned()))?;
        let deps = &self.desk.deps;
        let at = deps.engine.ids.now();
        self.epochs.end_epoch(epoch.number, at).await?;
        let logs: BTreeMap<Scope, EpochLog> = self.epochs.epoch_logs(epoch.number).await?.into_iter().map(|l| (l.scope, l)).collect();
        for scope in logs.into_keys() {
            let change = Change { status: "ended".to_owned(), ..plain_epoch(&epoch.number.to_string(), by) };
            deps.engine.effects.append(scope, self.entry(scope, change)?).await?;
            deps.signer.sign(scope).await?;
        }
        deps.signals.steps();
        Ok(Epoch { ended_at: Some(at), ..epoch })
    }
}

/// What people call a step: its action, or its run.
pub fn step_id(step: &EpochStep) -> String {
    match step.step {
        Step::Action(id) => id.to_string(),
        Step::Reason | Step::Node(_) => step.run.to_string(),
    }
}

fn plain_epoch(name: &str, by: &str) -> Change {
    Change {
        subject: Subject::Epoch,
        name: name.to_owned(),
        by: by.to_owned(),
        status: String::new(),
        digest: None,
        previous: None,
        version: None,
        deployment: None,
    }
}

fn said(name: &str, by: &Principal, applied: bool) -> Change {
    Change { status: if applied { "applied" } else { "not_applied" }.to_owned(), ..plain_epoch(name, &by.label()) }
}
