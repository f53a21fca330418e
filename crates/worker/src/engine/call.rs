//! The attempt: secret, call, result, and what follows it.

use tollgate_core::action::ActionState;
use tollgate_core::attempt::{AttemptOutcome, Attempts, Next, after_attempt};
use tollgate_core::id::EntryId;
use tollgate_core::ledger::{AttemptEnd, Body, Disposition, Evidence, Field};
use tollgate_core::ports::{ActionRecord, CallRequest, CloseAttempt, Defer, Rendered, StoreError};
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::Decision;

use super::Engine;
use super::act::{Outcome, Round};
use super::end::Ending;
use crate::entries::Scribe;

impl Engine {
    /// Makes the call whose intent is durable, and commits what followed.
    pub(super) async fn call(
        &self,
        r: &Round<'_>,
        decision: Decision,
        rendered: &Rendered,
        intent: EntryId,
        deadline_at: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let outcome = self.attempt(r, rendered, deadline_at).await;
        let attempt = r.record.attempts.count + 1;
        let ended = Ended { attempt, intent, deadline_at, outcome: outcome.clone(), by: None };
        match self.conclude(r, Some(decision), rendered, ended).await {
            Err(StoreError::LeaseLost) => {
                self.evidence(r, attempt, intent, &outcome).await?;
                Err(StoreError::LeaseLost)
            }
            other => other,
        }
    }

    /// What a late worker learned cannot change the run any more; it is kept, and may resolve an `unknown`.
    async fn evidence(&self, r: &Round<'_>, attempt: u32, intent: EntryId, outcome: &AttemptOutcome) -> Result<(), StoreError> {
        let scribe = Scribe::new(r.record, &self.deps.ids, &*self.deps.sealer);
        let entry = scribe.entry(None, |committer, mut committed, _| {
            match outcome {
                AttemptOutcome::Applied { output, .. } => {
                    committer.json(&mut committed, Field::Output, &format!("late_output#{attempt}"), output);
                }
                other => committer.text_named(&mut committed, Field::Message, &format!("late_message#{attempt}"), other.message()),
            }
            Body::Evidence(Box::new(Evidence {
                of: scribe.of(),
                attempt,
                generation: r.record.generation,
                intent,
                result: outcome.kind(),
                status: outcome.status(),
                committed,
            }))
        })?;
        self.deps.effects.append(r.claimed.scope, entry.clone()).await?;
        self.stored(r.claimed.scope, [&entry]);
        Ok(())
    }

    /// One outside call with one leased secret. Whatever happens is an outcome.
    async fn attempt(&self, r: &Round<'_>, rendered: &Rendered, deadline_at: Timestamp) -> AttemptOutcome {
        let tools = &r.bundle.tools;
        let name = &r.tool.name;
        let secret = match tools.secret_of(name).filter(|_| !matches!(rendered, Rendered::Stub { .. })) {
            None => None,
            Some(secret) => match self.deps.sealer.lease(r.claimed.scope, secret).await {
                Ok(lease) => Some(lease),
                Err(e) => return AttemptOutcome::NotSent { message: e.to_string(), retryable: true },
            },
        };
        let now = self.deps.ids.now();
        if now >= deadline_at {
            // A worker that slept since its intent: by now another may have asked the remote, heard no, and called.
            return AttemptOutcome::NotSent { message: "the deadline passed before the call was made".to_owned(), retryable: true };
        }
        let version = secret.as_ref().map(tollgate_core::ports::SecretLease::version);
        let remote_key = self.remote_key(r);
        let request =
            CallRequest { tool: name, mode: r.claimed.scope.mode, rendered, remote_key: remote_key.as_deref(), secret, deadline_at, now };
        let outcome = tools.call(request).await;
        self.after_401(r, outcome, version).await
    }

    /// A 401 is tried again only when the secret was rotated meanwhile.
    async fn after_401(&self, r: &Round<'_>, outcome: AttemptOutcome, used: Option<u32>) -> AttemptOutcome {
        let AttemptOutcome::Rejected { status: Some(401), message, retry_after, settles_doubt, .. } = outcome else { return outcome };
        let newest = match r.bundle.tools.secret_of(&r.tool.name) {
            Some(name) => self.deps.sealer.lease(r.claimed.scope, name).await.ok().map(|l| l.version()),
            None => None,
        };
        AttemptOutcome::Rejected { status: Some(401), message, retryable: newest.is_some() && newest != used, retry_after, settles_doubt }
    }

    /// An intent that its worker did not close: it crashed, or lost its lease.
    pub(super) async fn recover(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        let Some(open) = &r.record.open else { return Ok(Outcome::Again) };
        let rendered = match &r.record.rendered {
            Some(bytes) => {
                serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt("a stored request does not read back".to_owned()))?
            }
            None => return Err(StoreError::Corrupt("an open attempt without its request".to_owned())),
        };
        let outcome = AttemptOutcome::Ambiguous { message: "the worker was lost during the call".to_owned(), status: None };
        let deadline_at = r.record.deadline_at.unwrap_or_else(|| self.deps.ids.now());
        let ended = Ended { attempt: open.attempt, intent: open.intent, deadline_at, outcome, by: Some("recovery") };
        self.conclude(r, None, &rendered, ended).await
    }

    /// Commits an attempt's end: a disposition, or a wait.
    async fn conclude(&self, r: &Round<'_>, decision: Option<Decision>, rendered: &Rendered, ended: Ended) -> Result<Outcome, StoreError> {
        let close = self.close_attempt(r.record, ended.attempt, ended.intent, &ended.outcome, ended.by)?;
        let before = after(&r.record.attempts, &ended, ended.deadline_at.minus(r.tool.timeout()));
        let next = after_attempt(r.tool, &ended.outcome, &before, self.deps.ids.now(), self.deps.ids.jitter());
        let ending = |disposition, reason: &str| {
            Ending::new(disposition, reason)
                .decided_opt(decision)
                .outcome(&ended.outcome)
                .stub(rendered)
                .closing(ended.intent, close.clone())
        };
        match next {
            Next::Applied => self.end(r, ending(Disposition::Applied, "applied")).await,
            Next::Failed => self.end(r, ending(Disposition::Failed, ended.outcome.kind().as_str())).await,
            Next::Unknown(why) => self.end(r, ending(Disposition::Unknown, "in_doubt").detail(why)).await,
            Next::Retry { at, new_generation } => {
                let attempts = Attempts { in_doubt: false, verify_failures: 0, ..before };
                self.defer(r, Some(close), ActionState::Backoff, attempts, r.record.generation + u32::from(new_generation), at).await
            }
            Next::Resend { at } | Next::Verify { at } => {
                let attempts = Attempts { in_doubt: true, ..before };
                self.defer(r, Some(close), ActionState::Doubt, attempts, r.record.generation, at).await
            }
        }
    }

    /// The entry that closes an attempt.
    pub(super) fn close_attempt(
        &self,
        record: &ActionRecord,
        attempt: u32,
        intent: EntryId,
        outcome: &AttemptOutcome,
        by: Option<&str>,
    ) -> Result<CloseAttempt, StoreError> {
        let scribe = Scribe::new(record, &self.deps.ids, &*self.deps.sealer);
        let entry = scribe.entry(None, |committer, mut committed, _| {
            if !outcome.message().is_empty() {
                committer.text_named(&mut committed, Field::Message, &format!("message#{attempt}"), outcome.message());
            }
            Body::Attempt(Box::new(AttemptEnd {
                of: scribe.of(),
                attempt,
                generation: record.generation,
                intent,
                result: outcome.kind(),
                status: outcome.status(),
                concluded_by: by.map(str::to_owned),
                committed,
            }))
        })?;
        Ok(CloseAttempt { attempt, result: outcome.kind(), entry })
    }

    /// Sets the action aside. It keeps its lane.
    pub(super) async fn defer(
        &self,
        r: &Round<'_>,
        close: Option<CloseAttempt>,
        state: ActionState,
        attempts: Attempts,
        generation: u32,
        until: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let kept: Vec<_> = close.iter().map(|c| c.entry.clone()).collect();
        let command = Defer {
            scope: r.claimed.scope,
            run: r.claimed.run,
            action: r.record.id,
            lease: r.claimed.lease,
            close,
            state,
            attempts,
            generation,
            until,
        };
        self.deps.effects.defer(command).await?;
        self.stored(r.claimed.scope, &kept);
        Ok(Outcome::Done(Vec::new()))
    }
}

/// How an attempt ended.
struct Ended {
    attempt: u32,
    intent: EntryId,
    deadline_at: Timestamp,
    outcome: AttemptOutcome,
    by: Option<&'static str>,
}

/// The counts with this attempt included; `in_doubt` says whether an earlier one, or this, is unsettled.
fn after(before: &Attempts, ended: &Ended, began: Timestamp) -> Attempts {
    let ambiguous = matches!(ended.outcome, AttemptOutcome::Ambiguous { .. });
    let generation_began = if before.generation_began == Timestamp::default() { began } else { before.generation_began };
    Attempts {
        count: ended.attempt,
        in_doubt: before.in_doubt || ambiguous,
        generation_began,
        doubt_deadline: if ambiguous { before.doubt_deadline.max(ended.deadline_at) } else { before.doubt_deadline },
        verify_failures: before.verify_failures,
    }
}
