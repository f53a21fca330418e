//! What a verified export says, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::hash::Digest;
use crate::id::EntryId;
use crate::ledger::kinds::{Disposition, Kind};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// What was shown by a verification that found nothing wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Which log.
    pub log: String,
    /// First position checked.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// Entries in the log at the checkpoint.
    pub tree_size: u64,
    /// The root at the checkpoint.
    pub root: Digest,
    /// When the checkpoint was signed.
    pub checkpoint_at: Timestamp,
    /// The key that signed it.
    pub key_id: String,
    /// Whether the caller gave the key. If not, the file vouches for itself: compare `key_id` with one you trust.
    pub key_given: bool,
    /// Size of the witness's checkpoint, when one was compared.
    pub witness_size: Option<u64>,
    /// Entries shown in full.
    pub entries: u64,
    /// Entries outside the filter, shown by their hash.
    pub hidden: u64,
    /// Entries by kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Receipts by disposition.
    pub dispositions: BTreeMap<Disposition, u64>,
    /// Receipts by the gate's verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Policy decisions recomputed, with the same answer.
    pub recomputed: u64,
    /// What is included and signed, but cannot be recomputed: decisions whose request is not disclosed, verdicts that rest on
    /// counters or effect keys, and who approved or resolved.
    pub attested: u64,
    /// Policy decisions that are included, but not recomputable: by the erasure that made them so.
    pub erased: BTreeMap<EntryId, u64>,
    /// Values opened and found to be the committed ones.
    pub opened: u64,
    /// Receipts of stubs, which touched nothing outside.
    pub stubs: u64,
    /// Intents without an attempt result in the range: calls under way, or beyond it.
    pub open_intents: Vec<EntryId>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        writeln!(f, "log          {}", self.log)?;
        writeln!(
            f,
            "range        {} to {} of {} entries ({} shown, {} hidden)",
            self.from, self.to, self.tree_size, self.entries, self.hidden
        )?;
        writeln!(f, "root         {}", self.root)?;
        let trust = if self.key_given { "" } else { " (taken from the file: compare it with one you trust)" };
        writeln!(f, "signed       {} by key {}{trust}", self.checkpoint_at, self.key_id)?;
        if let Some(size) = self.witness_size {
            writeln!(f, "witness      begins with the log of {size} entries that the witness saw")?;
        }
        writeln!(f, "entries      {}", list(self.kinds.iter().map(|(k, n)| format!("{n} {k}")).collect()))?;
        writeln!(f, "dispositions {}", list(self.dispositions.iter().map(|(d, n)| format!("{n} {d}")).collect()))?;
        writeln!(f, "verdicts     {}", list(self.verdicts.iter().map(|(v, n)| format!("{n} {}", v.as_str())).collect()))?;
        writeln!(f, "recomputed   {} decisions; {} statements attested; {} values opened", self.recomputed, self.attested, self.opened)?;
        for (by, n) in &self.erased {
            writeln!(f, "erased       {n} decisions included, not recomputable: erased by {by}")?;
        }
        if self.stubs > 0 {
            writeln!(f, "stubs        {} receipts touched nothing outside", self.stubs)?;
        }
        if !self.open_intents.is_empty() {
            writeln!(f, "open         {}", list(self.open_intents.iter().map(EntryId::to_string).collect()))?;
        }
        Ok(())
    }
}
