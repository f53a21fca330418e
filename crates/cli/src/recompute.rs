//! Verdicts of an export computed again, one artifact loaded once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::canon::canonical;
use tollgate_core::hash::Digest;
use tollgate_core::ledger::RecomputedVerdict;
use tollgate_policy::Recomputer;

/// Loaded artifacts, by content address.
#[derive(Default)]
pub struct Recomputers(RefCell<BTreeMap<Digest, Result<Recomputer, String>>>);

impl Recomputers {
    /// One verdict again.
    ///
    /// # Errors
    /// Why it cannot be computed.
    pub fn verdict(&self, artifact: &Value, request: &Value) -> Result<RecomputedVerdict, String> {
        let address = Digest::of(&canonical(artifact).map_err(|e| e.to_string())?);
        let mut loaded = self.0.borrow_mut();
        let entry = loaded.entry(address).or_insert_with(|| Recomputer::new(artifact).map_err(|e| e.to_string()));
        let again = entry.as_ref().map_err(Clone::clone)?.verdict(request).map_err(|e| e.to_string())?;
        Ok(RecomputedVerdict {
            verdict: again.verdict,
            reason: again.reason,
            determining: again.determining,
            queues: again.queues,
            determining_text: None,
        })
    }
}
