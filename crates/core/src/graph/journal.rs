//! What happened in a run, in order: each request that the graph made, and what came of it. `replay` rebuilds the progress from it.
//!
//! A request is bound by what it is made of (spec, step, what the step reads), never by when or where it was made. So a replay finds a
//! graph, an input or a program that would ask for something else, and says where.

use serde::{Deserialize, Serialize};

use super::machine::Outcome;
use super::plan::GraphPlan;
use super::progress::Progress;
use super::stored::Stored;
use crate::canon::stable_text;
use crate::hash::Digest;
use crate::id::RunId;

/// By which rules a graph makes its requests; written with each entry. A number once given means the same for ever: who changes what
/// a run of the same spec and input does takes the next one, and keeps the rules of the earlier ones for the runs that began with them.
pub const SEMANTICS_VERSION: u32 = 1;

const RUN_DOMAIN: &str = "tollgate/graph-run/v1";
const STEP_DOMAIN: &str = "tollgate/graph-step/v1";
const INPUTS_DOMAIN: &str = "tollgate/graph-inputs/v1";
const CHAIN_DOMAIN: &str = "tollgate/graph-chain/v1";

/// What an entry records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The run began; the result is its input.
    Started,
    /// Someone cancels it.
    Cancelling,
    /// It goes on after it failed.
    Resumed,
    /// Of a step: it has its output, which is the result.
    Succeeded,
    /// Of a step: it failed for good; the result is the error.
    Failed,
    /// Of a step: it failed and will be tried again; the result is the error.
    Deferred,
    /// Of a step: its action was disposed `unknown`.
    Unknown,
    /// Of a step: it ended because the run is being cancelled.
    Cancelled,
}

use EntryKind as K;

impl EntryKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[K::Started, K::Cancelling, K::Resumed, K::Succeeded, K::Failed, K::Deferred, K::Unknown, K::Cancelled];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            K::Started => "started",
            K::Cancelling => "cancelling",
            K::Resumed => "resumed",
            K::Succeeded => "succeeded",
            K::Failed => "failed",
            K::Deferred => "deferred",
            K::Unknown => "unknown",
            K::Cancelled => "cancelled",
        }
    }

    /// Reads the stable word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.as_str() == text)
    }

    /// The stored form.
    pub const fn as_int(self) -> i64 {
        self as i64
    }

    /// From the stored form.
    pub fn from_int(n: i64) -> Option<Self> {
        usize::try_from(n).ok().and_then(|i| Self::ALL.get(i)).copied()
    }

    /// How a step ended, where the entry is of a step.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            K::Started | K::Cancelling | K::Resumed => None,
            K::Succeeded => Some(Outcome::Succeeded),
            K::Failed => Some(Outcome::Failed),
            K::Deferred => Some(Outcome::Deferred),
            K::Unknown => Some(Outcome::Unknown),
            K::Cancelled => Some(Outcome::Cancelled),
        }
    }
}

impl From<Outcome> for EntryKind {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => K::Succeeded,
            Outcome::Failed => K::Failed,
            Outcome::Deferred => K::Deferred,
            Outcome::Unknown => K::Unknown,
            Outcome::Cancelled => K::Cancelled,
        }
    }
}

/// One entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// The run.
    pub run: RunId,
    /// Its place, from 0.
    pub seq: u32,
    /// What it records.
    pub kind: EntryKind,
    /// The step, where it is of one: its place in the spec.
    pub step: Option<u32>,
    /// What was asked for: [`step_request`] for a step, [`run_request`] for the run.
    pub request_hash: Digest,
    /// What came of it.
    pub result: Option<Stored>,
    /// By which rules.
    pub semantics_version: u32,
}

/// The request that a run makes as a whole.
pub fn run_request(plan: &GraphPlan, input: Digest) -> Digest {
    Digest::of_parts(RUN_DOMAIN, &[&SEMANTICS_VERSION.to_be_bytes(), &plan.digest().0, &input.0])
}

/// The request that a step makes: its name and kind in this spec, the run's input, and the outputs that it reads. `output` gives the
/// hash of a step's output, none when it left none. None when there is no such step.
pub fn step_request(plan: &GraphPlan, step: usize, input: Digest, output: impl Fn(usize) -> Option<Digest>) -> Option<Digest> {
    let mut inputs = vec![input.0.to_vec()];
    for read in plan.reads(step) {
        inputs.push(plan.step(*read)?.name.clone().into_bytes());
        inputs.push(output(*read).map(|d| d.0.to_vec()).unwrap_or_default());
    }
    let inputs = Digest::of_parts(INPUTS_DOMAIN, &inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let spec = plan.step(step)?;
    let parts: [&[u8]; 5] =
        [&SEMANTICS_VERSION.to_be_bytes(), &plan.digest().0, spec.name.as_bytes(), spec.kind.as_str().as_bytes(), &inputs.0];
    Some(Digest::of_parts(STEP_DOMAIN, &parts))
}

impl Progress {
    /// Notes the change that was just made, and answers its entry, which is to be written in the same transaction.
    pub fn record(
        &mut self,
        run: RunId,
        kind: EntryKind,
        step: Option<usize>,
        request_hash: Digest,
        result: Option<Stored>,
    ) -> JournalEntry {
        let step = step.map(|s| u32::try_from(s).unwrap_or(u32::MAX));
        let entry = JournalEntry { run, seq: self.entries, kind, step, request_hash, result, semantics_version: SEMANTICS_VERSION };
        self.note(&entry);
        entry
    }

    /// Counts and chains an entry.
    pub(super) fn note(&mut self, entry: &JournalEntry) {
        self.entries = self.entries.saturating_add(1);
        self.chain = chained(self.chain, entry);
    }
}

/// The chained hash after an entry.
fn chained(before: u64, e: &JournalEntry) -> u64 {
    // What has no canonical form cannot have been kept; its text makes another hash than whatever was.
    let result = e.result.as_ref().map(|r| serde_json::to_value(r).map(|v| stable_text(&v)).unwrap_or_default()).unwrap_or_default();
    let parts: [&[u8]; 8] = [
        &before.to_be_bytes(),
        e.run.as_bytes(),
        &e.seq.to_be_bytes(),
        e.kind.as_str().as_bytes(),
        &e.step.map(|s| s.to_be_bytes().to_vec()).unwrap_or_default(),
        &e.request_hash.0,
        result.as_bytes(),
        &e.semantics_version.to_be_bytes(),
    ];
    let [a, b, c, d, e, f, g, h, ..] = Digest::of_parts(CHAIN_DOMAIN, &parts).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
