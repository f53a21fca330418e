//! A journal read again: the progress it leads to, or the entry at which it and the graph do not agree. Evaluates nothing: what a step
//! was asked is known from the hashes of what it reads.

use super::journal::{EntryKind as K, JournalEntry, SEMANTICS_VERSION, run_request, step_request};
use super::machine::{Outcome, cancel, finish, resume, start};
use super::plan::GraphPlan;
use super::progress::Progress;
use super::stored::Stored;
use crate::hash::Digest;
use crate::id::RunId;

/// The place at which a journal and a graph do not agree: the run must stop there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("entry {seq} of the run's journal is not what its graph leads to: expected {expected}, found {found}")]
pub struct Mismatch {
    /// The entry.
    pub seq: u32,
    /// What the graph leads to.
    pub expected: String,
    /// What is recorded.
    pub found: String,
}

/// Rebuilds the progress of a run from its journal.
///
/// # Errors
/// The first entry that the graph does not lead to.
pub fn replay(plan: &GraphPlan, entries: &[JournalEntry]) -> Result<Progress, Mismatch> {
    let Some((first, rest)) = entries.split_first() else { return Err(mismatch(0, "the start of the run", "nothing")) };
    let mut replay = Replay::start(plan, first)?;
    rest.iter().try_for_each(|e| replay.apply(e))?;
    Ok(replay.progress)
}

/// Whether a journal leads to the progress that was kept with it: finds any entry that was changed, lost or put in.
///
/// # Errors
/// The first entry that the graph does not lead to; the last one when only the chained hash tells.
pub fn check_journal(plan: &GraphPlan, entries: &[JournalEntry], kept: &Progress) -> Result<(), Mismatch> {
    let replayed = replay(plan, entries)?;
    let last = kept.entries.min(replayed.entries).saturating_sub(1);
    if replayed.entries != kept.entries {
        return Err(mismatch(last, format!("{} entries", kept.entries), format!("{} entries", replayed.entries)));
    }
    if replayed != *kept {
        return Err(mismatch(last, "the journal that the kept progress was written with", "one with another content up to here"));
    }
    Ok(())
}

fn mismatch(seq: u32, expected: impl Into<String>, found: impl Into<String>) -> Mismatch {
    Mismatch { seq, expected: expected.into(), found: found.into() }
}

/// A run as far as its journal was read.
struct Replay<'p> {
    plan: &'p GraphPlan,
    run: RunId,
    input: Digest,
    /// By step: the hash of its output.
    outputs: Vec<Option<Digest>>,
    progress: Progress,
}

impl<'p> Replay<'p> {
    fn start(plan: &'p GraphPlan, first: &JournalEntry) -> Result<Self, Mismatch> {
        let Some(input) = first.result.as_ref().and_then(|r| r.digest().ok()) else {
            return Err(mismatch(0, "the run's input", "none"));
        };
        let mut out = Self { plan, run: first.run, input, outputs: vec![None; plan.len()], progress: start(plan).0 };
        out.frame(first)?;
        if first.kind != K::Started {
            return Err(mismatch(0, "`started`", format!("`{}`", first.kind.as_str())));
        }
        out.request(first, run_request(plan, input), "the run")?;
        out.progress.note(first);
        Ok(out)
    }

    fn apply(&mut self, e: &JournalEntry) -> Result<(), Mismatch> {
        self.frame(e)?;
        match e.kind.outcome() {
            Some(outcome) => self.of_step(e, outcome)?,
            None => self.of_run(e)?,
        }
        self.progress.note(e);
        Ok(())
    }

    /// What all entries have in common.
    fn frame(&self, e: &JournalEntry) -> Result<(), Mismatch> {
        let seq = self.progress.entries;
        if e.seq != seq {
            return Err(mismatch(seq, format!("entry {seq}"), format!("entry {}", e.seq)));
        }
        if e.run != self.run {
            return Err(mismatch(seq, format!("an entry of {}", self.run), format!("one of {}", e.run)));
        }
        if e.semantics_version != SEMANTICS_VERSION {
            let known = format!("semantics version {SEMANTICS_VERSION}, which this program knows");
            return Err(mismatch(seq, known, format!("version {}", e.semantics_version)));
        }
        if e.step.is_some() != e.kind.outcome().is_some() {
            let (expected, found) = if e.step.is_some() { ("no step", "one") } else { ("a step", "none") };
            return Err(mismatch(seq, format!("{expected} in an entry `{}`", e.kind.as_str()), found));
        }
        Ok(())
    }

    fn of_run(&mut self, e: &JournalEntry) -> Result<(), Mismatch> {
        self.request(e, run_request(self.plan, self.input), "the run")?;
        let moved = match e.kind {
            K::Cancelling => cancel(self.plan, &mut self.progress),
            K::Resumed => resume(self.plan, &mut self.progress),
            _ => return Err(mismatch(e.seq, "an entry of a step, `cancelling` or `resumed`", format!("`{}`", e.kind.as_str()))),
        };
        moved.map(drop).map_err(|r| mismatch(e.seq, format!("no `{}`, since {r}", e.kind.as_str()), "one"))
    }

    fn of_step(&mut self, e: &JournalEntry, outcome: Outcome) -> Result<(), Mismatch> {
        let step = e.step.map_or(usize::MAX, |s| s as usize);
        let request = step_request(self.plan, step, self.input, |i| self.outputs.get(i).copied().flatten());
        let (Some(request), Some(spec)) = (request, self.plan.step(step)) else {
            return Err(mismatch(e.seq, format!("one of {} steps", self.plan.len()), format!("step {step}")));
        };
        self.request(e, request, &format!("step `{}`", spec.name))?;
        finish(self.plan, &mut self.progress, step, outcome)
            .map_err(|r| mismatch(e.seq, format!("no `{}` of step `{}`, since {r}", e.kind.as_str(), spec.name), "one"))?;
        if outcome == Outcome::Succeeded
            && let Some(output) = self.outputs.get_mut(step)
        {
            let digest = e.result.as_ref().map(Stored::digest).transpose();
            *output = digest.map_err(|why| mismatch(e.seq, "a result that could be kept", why.to_string()))?;
        }
        Ok(())
    }

    fn request(&self, e: &JournalEntry, expected: Digest, of: &str) -> Result<(), Mismatch> {
        if e.request_hash == expected {
            return Ok(());
        }
        Err(mismatch(e.seq, format!("the request {expected} of {of}"), e.request_hash.to_string()))
    }
}
