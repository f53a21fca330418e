//! The comparisons of a verification: a verdict with its recomputation, a log with what a witness saw.

use super::failure::{FailureKind, VerifyFailure};
use crate::hash::Digest;
use crate::ledger::checkpoint::{PublicKey, SignedCheckpoint};
use crate::ledger::export::Manifest;
use crate::ledger::kinds::Decided;
use crate::ledger::proof::verify_consistency;
use crate::verdict::{DecisionReason, Verdict};

/// What policy says when asked again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecomputedVerdict {
    /// ALLOW, REQUIRE_APPROVAL or BLOCK.
    pub verdict: Verdict,
    /// Why.
    pub reason: DecisionReason,
    /// Ids of the determining policies, sorted.
    pub determining: Vec<String>,
    /// The queues that must approve, sorted.
    pub queues: Vec<String>,
    /// Digest of the text of the determining policies; none when whoever recomputes does not tell.
    pub determining_text: Option<Digest>,
}

pub(super) fn forked(size: u64) -> String {
    format!("the first {size} entries are not those that the witness saw: the log was forked or rewritten")
}

/// What a witness can be compared with before any entry is read.
pub(super) fn check_witness(manifest: &Manifest, witness: Option<&SignedCheckpoint>, key: &PublicKey) -> Result<(), VerifyFailure> {
    let Some(witness) = witness else { return Ok(()) };
    let (seen, now) = (&witness.checkpoint, &manifest.checkpoint.checkpoint);
    let bad = |message: String| Err(VerifyFailure::new(FailureKind::Witness, message));
    if let Err(e) = witness.verify(key) {
        return bad(format!("the witness's checkpoint is not to be believed: {e}"));
    }
    if seen.log != now.log {
        return bad(format!("the witness saw the log {}, this is an export of {}", seen.log, now.log));
    }
    if seen.size > now.size {
        return bad(format!(
            "the witness saw {} entries, this export's checkpoint has {}: the log was cut back, or the export is older than the witness's checkpoint",
            seen.size, now.size
        ));
    }
    if seen.size == now.size {
        return if seen.root == now.root { Ok(()) } else { bad(forked(seen.size)) };
    }
    // Inside the range the entries themselves show it, as they come.
    if seen.size == 0 || (manifest.from..=manifest.to).contains(&seen.size) {
        return Ok(());
    }
    match &manifest.consistency {
        Some(c) if c.size == seen.size => {
            if verify_consistency(seen.size, now.size, seen.root, now.root, &c.proof) {
                Ok(())
            } else {
                bad(forked(seen.size))
            }
        }
        _ => bad(format!(
            "positions {} to {} cannot be compared with the witness's checkpoint of {} entries: export from position {} or before, or with a proof for that size",
            manifest.from, manifest.to, seen.size, seen.size
        )),
    }
}

/// Says in what a verdict differs from the recomputed one.
pub(super) fn compare(decided: &Decided, again: &RecomputedVerdict) -> Result<(), String> {
    if decided.verdict != again.verdict {
        return Err(format!("the entry says {}, policy says {} of the same request", decided.verdict.as_str(), again.verdict.as_str()));
    }
    if decided.reason != again.reason {
        return Err(format!("the entry gives the reason {}, policy gives {}", decided.reason.as_str(), again.reason.as_str()));
    }
    for (what, said, now) in
        [("determining policies", &decided.determining, &again.determining), ("queues that must approve", &decided.queues, &again.queues)]
    {
        if said != now {
            return Err(format!("the entry names the {what} [{}], policy names [{}]", said.join(", "), now.join(", ")));
        }
    }
    if again.determining_text.is_some_and(|text| text != decided.determining_text) {
        return Err("the text of the determining policies is not the one that the entry is bound to".into());
    }
    Ok(())
}
