//! A step that took its worker down each time is not tried for ever.

use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, Active, Claimed, DEATHS_MAX, StoreError, deaths_before};

use super::Engine;
use super::act::Outcome;
use super::end::Ending;

/// The reason that a step is given up for.
pub(super) const REASON: &str = "worker_died";

/// Why the step of a claim is given up, if so many went away without a word before.
pub(super) fn kills(claimed: &Claimed) -> Option<String> {
    let deaths = deaths_before(claimed.lease.fence);
    (deaths >= DEATHS_MAX).then(|| format!("{deaths} workers that had it went away without a word; it is not tried again"))
}

impl Engine {
    /// Ends an action without looking at anything that could take this worker down too: `failed` when nothing was called that is not settled,
    /// `unknown` otherwise. One that takes an effect back is parked.
    pub(super) async fn give_up(
        &self,
        claimed: Claimed,
        record: &ActionRecord,
        active: &Active,
        why: String,
    ) -> Result<Outcome, StoreError> {
        tracing::error!(action = %record.id, tool = %record.proposal.tool, why, "an action is given up");
        let ending = |disposition| Ending::new(disposition, REASON).detail(why);
        let ending = match &record.open {
            Some(open) => {
                let lost = AttemptOutcome::Ambiguous { message: "the worker was lost during the call".to_owned(), status: None };
                let close = self.close_attempt(record, open.attempt, open.intent, &lost, Some("recovery"))?;
                ending(Disposition::Unknown).closing(open.intent, close)
            }
            None if record.attempts.in_doubt => ending(Disposition::Unknown),
            None => ending(Disposition::Failed),
        };
        self.end_unasked(claimed, record, active.rev, ending).await
    }
}
