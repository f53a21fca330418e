//! An action in doubt: the same bytes again, or the read tool's word, or a person's.

use tollgate_core::action::ActionState;
use tollgate_core::attempt::{Attempts, Next, in_doubt};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{StoreError, VerifyAnswer};
use tollgate_core::spec::Grade;
use tollgate_core::verdict::Verdict;

use super::Engine;
use super::act::{Outcome, Round};
use super::end::Ending;

impl Engine {
    /// What the grade allows now.
    pub(super) async fn doubt(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        let now = self.deps.ids.now();
        // The timer has brought the action here: whatever it waited for is over, and counted again it would never end.
        let waited = Attempts { verify_failures: 0, ..r.record.attempts };
        match in_doubt(r.tool, &waited, now, 0, None) {
            // The gate looks again before every call.
            Next::Resend { .. } => self.resend(r).await,
            // It waited to call again, and the remote has forgotten the key since: now it waits for the remote to settle.
            Next::Verify { at } if r.tool.grade == Grade::Keyed && at > now => {
                self.defer(r, None, ActionState::Doubt, r.record.attempts, r.record.generation, at).await
            }
            // Its time has come too: the timer that brought it here runs by the store's clock, and this machine's may be off.
            Next::Verify { .. } => self.verify(r).await,
            Next::Unknown(why) => self.end(r, Ending::new(Disposition::Unknown, "in_doubt").detail(why)).await,
            Next::Applied | Next::Failed | Next::Retry { .. } => Err(StoreError::Corrupt("doubt without doubt".to_owned())),
        }
    }

    /// The same call again passes the gate again; when policy has become stricter, nobody may call and a person must say.
    async fn resend(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        if super::act::stopped(r).is_some() {
            let ending = Ending::new(Disposition::Unknown, "paused_in_doubt")
                .detail("its operator or connector was paused, or the tenant suspended, which forbids the call that would settle it");
            return self.end(r, ending).await;
        }
        let decision = r.decide();
        match decision.verdict {
            Verdict::Allow => self.begin(r, decision, None).await,
            Verdict::RequireApproval if r.record.approval.is_some() => {
                let binding = tollgate_core::gate::approval_binding(r.tool, &r.record.proposal, &decision.determining_text);
                match r.record.approval {
                    Some(id) if self.still_approved(r, id, &binding).await? => self.begin(r, decision, Some((id, binding))).await,
                    _ => self.blocked(r).await,
                }
            }
            _ => self.blocked(r).await,
        }
    }

    async fn still_approved(
        &self,
        r: &Round<'_>,
        id: tollgate_core::id::ApprovalId,
        binding: &tollgate_core::hash::Digest,
    ) -> Result<bool, StoreError> {
        let found = self.deps.effects.approval(r.claimed.scope, id).await?;
        Ok(found.is_some_and(|a| a.status == "approved" && a.binding == *binding))
    }

    async fn blocked(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        self.end(
            r,
            Ending::new(Disposition::Unknown, "policy_blocks_resend").detail("policy no longer allows the call that would settle it"),
        )
        .await
    }

    /// Asks the read tool, not before the remote has had its time.
    async fn verify(&self, r: &Round<'_>) -> Result<Outcome, StoreError> {
        let secret = match r.bundle.tools.verify_secret_of(&r.tool.name) {
            None => Ok(None),
            Some(name) => self.deps.sealer.lease(r.claimed.scope, name).await.map(Some),
        };
        let answer = match secret {
            Err(e) => VerifyAnswer::NoAnswer(e.to_string()),
            Ok(secret) => {
                let tools = &r.bundle.tools;
                tools.verify(&r.tool.name, r.claimed.scope.mode, &r.record.proposal.args, secret, self.deps.ids.now()).await
            }
        };
        match answer {
            VerifyAnswer::Happened(output) => self.end(r, Ending::new(Disposition::Applied, "verified").output(output)).await,
            VerifyAnswer::DidNotHappen(_) => {
                // Settled: the next attempt goes through the whole gate again, still inside the lane.
                let attempts = Attempts { in_doubt: false, verify_failures: 0, ..r.record.attempts };
                self.defer(r, None, ActionState::Backoff, attempts, r.record.generation, self.deps.ids.now()).await
            }
            VerifyAnswer::NoAnswer(_) => {
                let attempts = Attempts { verify_failures: r.record.attempts.verify_failures + 1, ..r.record.attempts };
                let now = self.deps.ids.now();
                match in_doubt(r.tool, &attempts, now, self.deps.ids.jitter(), None) {
                    Next::Verify { at } => self.defer(r, None, ActionState::Doubt, attempts, r.record.generation, at).await,
                    Next::Unknown(why) => self.end(r, Ending::new(Disposition::Unknown, "in_doubt").detail(why)).await,
                    _ => Ok(Outcome::Again),
                }
            }
        }
    }
}
