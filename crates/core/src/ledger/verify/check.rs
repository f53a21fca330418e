//! The course of a verification: manifest, lines, root, seal.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::compare::{RecomputedVerdict, check_witness, compare, forked};
use super::failure::{FailureKind, VerifyFailure};
use super::lines::{Lines, fields};
use super::report::Report;
use super::rules::Rules;
use crate::canon::canonical;
use crate::hash::Digest;
use crate::id::EntryId;
use crate::ledger::body::Body;
use crate::ledger::checkpoint::{PublicKey, SignedCheckpoint, is_signed};
use crate::ledger::commit::{Opened, Opening};
use crate::ledger::export::{ArtifactLine, EXPORT_FORMAT, EntryLine, HiddenLine, Manifest, SealBody, SealLine};
use crate::ledger::kinds::Decided;
use crate::ledger::leaf::{Entry, log_id};
use crate::ledger::merkle::{Frontier, SIZE_MAX, leaf_hash};
use crate::verdict::{DecisionReason, Verdict};

/// Asks policy again: artifact and request as they were, and the verdict; or why they cannot be evaluated.
pub type Recompute<'a> = &'a dyn Fn(&Value, &Value) -> Result<RecomputedVerdict, String>;

type Checked<T = ()> = Result<T, VerifyFailure>;

fn fail<T>(kind: FailureKind, message: impl Into<String>) -> Checked<T> {
    Err(VerifyFailure::new(kind, message))
}

/// Verifies an export.
///
/// Without a public key the file's own is taken, which shows that the file is whole but not who made it. A witness is a
/// checkpoint of the same log kept elsewhere: the log must begin with the one it saw.
///
/// # Errors
/// Says what is wrong first, and where. Nothing of a rejected file is to be believed.
pub fn verify<R: BufRead>(
    reader: R,
    public_key: Option<&PublicKey>,
    witness: Option<&SignedCheckpoint>,
    recompute: Recompute<'_>,
) -> Result<Report, VerifyFailure> {
    let mut lines = Lines::new(reader);
    let mut open = if lines.read()? {
        Verifier::begin(&lines, public_key, witness, recompute).map_err(|f| f.line(1))?
    } else {
        return Err(VerifyFailure::new(FailureKind::Format, "the file is empty").line(1));
    };
    loop {
        if !lines.read()? {
            return Err(VerifyFailure::new(FailureKind::Format, "the file ends without its seal: it is cut off").line(lines.number()));
        }
        if let Some(seal) = open.line(&lines).map_err(|f| open.place(f, lines.number()))? {
            open.finish(&seal).map_err(|f| if f.line == 0 { f.line(lines.number()) } else { f })?;
            break;
        }
    }
    if lines.read()? {
        return Err(VerifyFailure::new(FailureKind::Format, "the file goes on after its seal").line(lines.number()));
    }
    Ok(open.report)
}

struct Verifier<'a> {
    manifest: Manifest,
    manifest_digest: Digest,
    key: PublicKey,
    witness: Option<&'a SignedCheckpoint>,
    recompute: Recompute<'a>,
    at: Frontier,
    body: Sha256,
    artifacts: BTreeMap<Digest, Value>,
    rules: Rules,
    /// Entries that say by which erasure they cannot be opened: line, position, entry, erasure.
    erased: Vec<(u64, u64, EntryId, EntryId)>,
    /// The position and entry of the line at hand, for messages.
    here: (Option<u64>, Option<EntryId>),
    report: Report,
}

impl<'a> Verifier<'a> {
    fn begin<R: BufRead>(
        lines: &Lines<R>,
        given: Option<&PublicKey>,
        witness: Option<&'a SignedCheckpoint>,
        recompute: Recompute<'a>,
    ) -> Checked<Self> {
        let (kind, value) = lines.parse()?;
        if kind != "manifest" {
            return fail(FailureKind::Format, "the first line is not the manifest: it is missing, or was moved");
        }
        let manifest: Manifest = fields(&kind, value)?;
        if manifest.format != EXPORT_FORMAT {
            return fail(FailureKind::Format, format!("`{}` is not `{EXPORT_FORMAT}`: use the verifier of its version", manifest.format));
        }
        let in_file = PublicKey::from_hex(&manifest.public_key).ok_or_else(|| {
            VerifyFailure::new(FailureKind::Signature, "is not an Ed25519 public key in lower-case hex").field("public_key")
        })?;
        let key = *given.unwrap_or(&in_file);
        let signature = |e: crate::ledger::CheckpointError| VerifyFailure::new(FailureKind::Signature, e.to_string()).field("checkpoint");
        manifest.checkpoint.verify(&key).map_err(signature)?;
        if key != in_file {
            return fail(FailureKind::Signature, "the manifest names another public key than the given one");
        }
        let checkpoint = &manifest.checkpoint.checkpoint;
        let (from, to, size) = (manifest.from, manifest.to, checkpoint.size);
        if from > to || to > size || size > SIZE_MAX {
            return fail(FailureKind::Completeness, format!("positions {from} to {to} do not lie in a log of {size} entries"));
        }
        check_witness(&manifest, witness, &key)?;
        let at = manifest.range_proof().start(from).map_err(|e| VerifyFailure::new(FailureKind::Inclusion, e.to_string()).field("left"))?;
        let rules = Rules::new(from > 0, manifest.filter.is_some());
        let report = empty_report(&manifest, given.is_some());
        let (body, manifest_digest) = (Sha256::new(), Digest::of(&lines.bytes));
        let (artifacts, erased, here) = (BTreeMap::new(), Vec::new(), (None, None));
        let begun = Self { manifest, manifest_digest, key, witness, recompute, at, body, artifacts, rules, erased, here, report };
        begun.compare_witness()?;
        Ok(begun)
    }

    /// Names the place of a failure.
    fn place(&self, mut failure: VerifyFailure, line: u64) -> VerifyFailure {
        failure.line = line;
        failure.position = failure.position.or(self.here.0);
        failure.entry = failure.entry.or(self.here.1);
        failure
    }

    /// Checks one line; gives the seal when it comes.
    fn line<R: BufRead>(&mut self, lines: &Lines<R>) -> Checked<Option<SealLine>> {
        self.here = (None, None);
        let (kind, value) = lines.parse()?;
        match kind.as_str() {
            "entry" => self.entry(fields(&kind, value)?, lines.number())?,
            "hidden" => self.hidden(&fields(&kind, value)?)?,
            "artifact" => self.artifact(fields(&kind, value)?)?,
            "seal" => return fields(&kind, value).map(Some),
            "manifest" => return fail(FailureKind::Format, "a second manifest: the file was put together from others"),
            _ => return fail(FailureKind::Format, format!("`{kind}` is not a type of line in this format")),
        }
        self.body.update(&lines.bytes);
        Ok(None)
    }

    fn position(&mut self, pos: u64, hash: Digest) -> Checked {
        self.here.0 = Some(pos);
        let want = self.at.size();
        if pos < want {
            return fail(FailureKind::Completeness, format!("position {want} must follow: a line is repeated or out of order"));
        }
        if pos > want {
            return fail(FailureKind::Completeness, format!("position {want} must follow: lines are missing or out of order"));
        }
        if pos >= self.manifest.to {
            return fail(FailureKind::Completeness, format!("the manifest's range ends at {}", self.manifest.to));
        }
        self.at.append(hash, |_, _, _| {}).map_err(|e| VerifyFailure::new(FailureKind::Inclusion, e.to_string()))?;
        self.compare_witness()
    }

    fn hidden(&mut self, line: &HiddenLine) -> Checked {
        self.position(line.pos, line.hash)?;
        if self.manifest.filter.is_none() {
            return fail(FailureKind::Completeness, "the entry is hidden, but the manifest names no filter");
        }
        self.report.hidden += 1;
        Ok(())
    }

    fn artifact(&mut self, line: ArtifactLine) -> Checked {
        let bytes = canonical(&line.value).map_err(|e| VerifyFailure::new(FailureKind::NotCanonical, e.to_string()))?;
        if Digest::of(&bytes) != line.digest {
            return fail(
                FailureKind::Artifact,
                format!("the artifact is not the one of the address {}: it was altered or swapped", line.digest),
            );
        }
        if self.artifacts.insert(line.digest, line.value).is_some() {
            return fail(FailureKind::Artifact, format!("the artifact {} stands in the file twice", line.digest));
        }
        Ok(())
    }

    fn entry(&mut self, line: EntryLine, number: u64) -> Checked {
        self.position(line.pos, line.hash)?;
        let leaf = canonical(&line.leaf).map_err(|e| VerifyFailure::new(FailureKind::NotCanonical, e.to_string()))?;
        if leaf_hash(&leaf) != line.hash {
            let message = "the leaf does not have the hash written beside it: the entry was altered";
            return Err(VerifyFailure::new(FailureKind::Inclusion, message).field("leaf"));
        }
        let entry =
            Entry::from_canonical(line.leaf, &leaf).map_err(|e| VerifyFailure::new(FailureKind::Format, e.to_string()).field("leaf"))?;
        self.here.1 = Some(entry.id);
        let log = log_id(&entry.scope);
        if log != self.manifest.checkpoint.checkpoint.log {
            return fail(FailureKind::Structure, format!("the entry belongs to the log {log}")).map_err(|f| f.field("leaf"));
        }
        self.rules.take(&entry).map_err(|(field, message)| VerifyFailure::new(FailureKind::Structure, message).field(field))?;
        self.openings(&entry, &line.open)?;
        match (line.erased, line.open.is_empty()) {
            (Some(by), true) => self.erased.push((number, line.pos, entry.id, by)),
            (Some(_), false) => return fail(FailureKind::Commitment, "an erased entry has openings").map_err(|f| f.field("erased")),
            (None, _) => {}
        }
        if let Some(decision) = entry.body.decision() {
            self.decision(decision, line.open.get(&decision.request), line.erased)?;
        }
        self.count(&entry);
        Ok(())
    }

    /// Every opening opens a commitment of this leaf, and gives exactly it.
    fn openings(&mut self, entry: &Entry, open: &BTreeMap<Digest, Opening>) -> Checked {
        for (commitment, opening) in open {
            let request = entry.body.decision().filter(|d| d.request == *commitment).map(|_| "request");
            let committed = || entry.body.committed().into_iter().flatten().find(|(_, c)| *c == commitment).map(|(f, _)| f.as_str());
            let Some(field) = request.or_else(committed) else {
                return fail(FailureKind::Commitment, format!("an opening is of {commitment}, which the entry does not commit to"));
            };
            let given = opening.commitment().map_err(|e| VerifyFailure::new(FailureKind::Commitment, e.to_string()).field(field))?;
            if given != *commitment {
                return fail(FailureKind::Commitment, "the opened value or its salt is not the committed one").map_err(|f| f.field(field));
            }
            self.report.opened += 1;
        }
        Ok(())
    }

    fn decision(&mut self, decided: &Decided, opening: Option<&Opening>, erased: Option<EntryId>) -> Checked {
        let request = match opening.map(|o| &o.value) {
            Some(Opened::Json(value)) => value.clone(),
            Some(Opened::Text(text)) => serde_json::from_str(text)
                .map_err(|_| VerifyFailure::new(FailureKind::Commitment, "the opened request is not JSON").field("request"))?,
            Some(Opened::Blob { .. }) | None => {
                match erased {
                    Some(by) => *self.report.erased.entry(by).or_default() += 1,
                    None => self.report.attested += 1,
                }
                return Ok(());
            }
        };
        let Some(artifact) = self.artifacts.get(&decided.policy_version) else {
            let message = format!("the policy artifact {} does not stand before the entry that cites it", decided.policy_version);
            return fail(FailureKind::Artifact, message).map_err(|f| f.field("decision"));
        };
        match (self.recompute)(artifact, &request) {
            Ok(again) => compare(decided, &again).map_err(|m| VerifyFailure::new(FailureKind::Verdict, m).field("decision"))?,
            // What could not be evaluated then cannot be evaluated now, and was closed.
            Err(_) if decided.verdict == Verdict::Block && decided.reason == DecisionReason::PolicyError => {}
            Err(e) => {
                let message = format!("the verdict {} cannot be recomputed: {e}", decided.verdict.as_str());
                return fail(FailureKind::Verdict, message).map_err(|f| f.field("decision"));
            }
        }
        self.report.recomputed += 1;
        Ok(())
    }

    fn count(&mut self, entry: &Entry) {
        let report = &mut self.report;
        report.entries += 1;
        *report.kinds.entry(entry.body.kind()).or_default() += 1;
        match &entry.body {
            Body::Receipt(b) => {
                *report.dispositions.entry(b.disposition).or_default() += 1;
                report.stubs += u64::from(b.stub);
                if let Some(verdict) = self.rules.verdict(b) {
                    *report.verdicts.entry(verdict).or_default() += 1;
                }
                if let Some(verdict) = b.verdict {
                    // Stricter than policy, or not policy's at all: it rests on effect keys and counters.
                    report.attested += u64::from(b.decision.as_ref().is_none_or(|d| d.verdict != verdict));
                }
            }
            Body::Approval(_) | Body::Resolution(_) => report.attested += 1,
            _ => {}
        }
    }

    /// Compares with the witness where the log has just the size that the witness saw.
    fn compare_witness(&self) -> Checked {
        match self.witness.map(|w| &w.checkpoint) {
            Some(seen) if seen.size == self.at.size() && seen.root != self.at.root() => fail(FailureKind::Witness, forked(seen.size)),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, seal: &SealLine) -> Checked {
        let (at, to) = (self.at.size(), self.manifest.to);
        if at != to {
            return fail(FailureKind::Completeness, format!("the entries end at {at}, the manifest's range at {to}: lines are missing"));
        }
        let checkpoint = &self.manifest.checkpoint.checkpoint;
        let root = self.manifest.range_proof().finish(self.at.clone(), checkpoint.size);
        let root = root.map_err(|e| VerifyFailure::new(FailureKind::Inclusion, e.to_string()).field("right").line(1))?;
        if root != checkpoint.root {
            let message = format!(
                "the entries from {} to {to} do not add up to the root of the signed checkpoint: one of them, or the proof, was altered",
                self.manifest.from
            );
            return fail(FailureKind::Inclusion, message);
        }
        self.erasures(checkpoint.size)?;
        self.sealed(seal)?;
        self.report.open_intents = self.rules.open_intents();
        self.report.witness_size = self.witness.map(|w| w.checkpoint.size);
        Ok(())
    }

    /// What an entry names as its erasure must be one, unless it lies where this file does not look.
    fn erasures(&self, size: u64) -> Checked {
        let elsewhere = self.manifest.from > 0 || self.manifest.to < size || self.manifest.filter.is_some();
        for (line, position, entry, by) in &self.erased {
            let there = self.rules.is_erasure(*by);
            if there == Some(false) || (there.is_none() && !elsewhere) {
                let message = format!("{by} is named as the erasure, and the log has no such erasure");
                return Err(VerifyFailure::new(FailureKind::Structure, message)
                    .line(*line)
                    .position(*position)
                    .entry(*entry)
                    .field("erased"));
            }
        }
        Ok(())
    }

    fn sealed(&self, seal: &SealLine) -> Checked {
        let bad = |message: String| fail(FailureKind::Signature, message);
        let counts = [
            ("entries", seal.entries, self.report.entries),
            ("hidden", seal.hidden, self.report.hidden),
            ("artifacts", seal.artifacts, self.artifacts.len() as u64),
        ];
        if let Some((what, sealed, found)) = counts.into_iter().find(|(_, sealed, found)| sealed != found) {
            return bad(format!("the seal counts {sealed} {what}, the file has {found}: a line was added, dropped, or the seal altered"));
        }
        if seal.manifest != self.manifest_digest {
            return bad("the manifest is not the sealed one: line 1, or the seal, was altered".into());
        }
        let body = Digest(self.body.clone().finalize().into());
        if seal.body != body {
            return bad(
                "the lines between the manifest and the seal are not the sealed ones: one was altered, added, dropped or moved".into()
            );
        }
        let &SealLine { manifest, body, entries, hidden, artifacts, ref signature } = seal;
        let signed = SealBody { manifest, body, entries, hidden, artifacts }.signed_bytes();
        if signed.is_some_and(|bytes| is_signed(&self.key, &bytes, signature)) {
            Ok(())
        } else {
            bad(format!("the signature of the seal is not valid for key {}: the file was altered after it was sealed", self.key.id()))
        }
    }
}

fn empty_report(manifest: &Manifest, key_given: bool) -> Report {
    let checkpoint = &manifest.checkpoint.checkpoint;
    Report {
        log: checkpoint.log.clone(),
        from: manifest.from,
        to: manifest.to,
        tree_size: checkpoint.size,
        root: checkpoint.root,
        checkpoint_at: checkpoint.at,
        key_id: checkpoint.key_id.clone(),
        key_given,
        witness_size: None,
        entries: 0,
        hidden: 0,
        kinds: BTreeMap::new(),
        dispositions: BTreeMap::new(),
        verdicts: BTreeMap::new(),
        recomputed: 0,
        attested: 0,
        erased: BTreeMap::new(),
        opened: 0,
        stubs: 0,
        open_intents: Vec::new(),
    }
}
