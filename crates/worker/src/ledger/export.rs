//! Exports: a signed range of the log, the values that open its commitments, and what its verdicts were computed from.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_core::entries::Openings;
use tollgate_core::hash::Digest;
use tollgate_core::ledger::{Entry, ExportError, ExportWriter, Item, Manifest, Opening, RangeProof, SignedCheckpoint};
use tollgate_core::ports::{DeskError, ExportFilter, LedgerLog, Registry, Sealer, StoreError, StoredEntry, VaultError, sealed_key_id};
use tollgate_core::scope::Scope;

use super::hashes::roots;
use crate::service::Signer;

/// Entries read at once.
const SLICE: u32 = 512;

/// Where an export comes from.
pub(crate) struct Source<'a> {
    pub(crate) ledger: &'a dyn LedgerLog,
    pub(crate) registry: &'a dyn Registry,
    pub(crate) sealer: &'a dyn Sealer,
    pub(crate) signer: &'a Signer,
}

fn broken(e: &ExportError) -> DeskError {
    DeskError::Unavailable(e.to_string())
}

/// Writes an export as text.
pub(crate) async fn export(source: &Source<'_>, scope: Scope, filter: &ExportFilter) -> Result<String, DeskError> {
    let Some(checkpoint) = source.signer.sign(scope).await? else {
        return Err(DeskError::Conflict("the ledger is empty: there is nothing to export yet".to_owned()));
    };
    let size = checkpoint.checkpoint.size;
    let start = source.ledger.start(scope).await?;
    let (from, to) = (filter.from.unwrap_or(start), filter.to.unwrap_or(size).min(size));
    if from > to {
        return Err(DeskError::Invalid(format!("the range {from} to {to} is empty: the ledger has {size} entries")));
    }
    if from < start {
        return Err(DeskError::Invalid(format!("the entries before {start} are archived: verify them from the archive's files")));
    }
    let bytes = range(source, scope, &Wanted { filter, disclose: true }, (checkpoint, from, to)).await?;
    String::from_utf8(bytes).map_err(|e| DeskError::Unavailable(e.to_string()))
}

/// What of an export is wanted.
pub(super) struct Wanted<'a> {
    /// Which entries are shown in full.
    pub(super) filter: &'a ExportFilter,
    /// Sealed values are opened.
    pub(super) disclose: bool,
}

/// Writes an export of a range under a checkpoint.
pub(super) async fn range(
    source: &Source<'_>,
    scope: Scope,
    wanted: &Wanted<'_>,
    (checkpoint, from, to): (SignedCheckpoint, u64, u64),
) -> Result<Vec<u8>, DeskError> {
    let size = checkpoint.checkpoint.size;
    let proof = RangeProof { left: roots(source.ledger, scope, 0, from).await?, right: roots(source.ledger, scope, to, size).await? };
    let mut manifest = Manifest::new(checkpoint, &source.signer.public(), from, to, proof);
    manifest.filter = wanted.filter.action.map(|a| json!({"action": a}));
    let mut out = ExportWriter::begin(Vec::new(), manifest).map_err(|e| broken(&e))?;
    let mut artifacts = BTreeMap::new();
    let mut at = from;
    while at < to {
        let entries = source.ledger.entries(scope, at, SLICE).await?;
        if entries.is_empty() {
            return Err(DeskError::Unavailable(format!("the ledger has no entry at {at}: the store is damaged")));
        }
        for entry in entries {
            let position = at;
            if entry.position != Some(position) {
                return Err(DeskError::Unavailable(format!("the ledger has no entry at {position}: the store is damaged")));
            }
            if position >= to {
                break;
            }
            at += 1;
            write(source, scope, wanted, (position, entry), &mut out, &mut artifacts).await?;
        }
    }
    out.finish(source.signer.key()).map_err(|e| broken(&e))
}

async fn write(
    source: &Source<'_>,
    scope: Scope,
    wanted: &Wanted<'_>,
    (position, entry): (u64, StoredEntry),
    out: &mut ExportWriter<Vec<u8>>,
    artifacts: &mut BTreeMap<Digest, ()>,
) -> Result<(), DeskError> {
    let read = Entry::from_leaf(&entry.leaf).map_err(|e| DeskError::Unavailable(format!("entry {position}: {e}")))?;
    if wanted.filter.action.is_some_and(|action| read.body.of().is_none_or(|of| of.action != action)) {
        return out.write(Item::Hidden { pos: position, hash: entry.leaf_hash }).map_err(|e| broken(&e));
    }
    if let Some(decided) = read.body.decision()
        && artifacts.insert(decided.policy_version, ()).is_none()
    {
        let artifact = artifact(source, decided.policy_version).await?;
        out.write(Item::Artifact(artifact)).map_err(|e| broken(&e))?;
    }
    let openings = if wanted.disclose { openings(source, scope, &entry).await? } else { Vec::new() };
    out.write(Item::Entry { pos: position, leaf: entry.leaf, openings, erased: None }).map_err(|e| broken(&e))
}

async fn artifact(source: &Source<'_>, version: Digest) -> Result<Value, DeskError> {
    let body = source.registry.artifact(version).await?;
    let body = body.ok_or_else(|| DeskError::Unavailable(format!("the policies {version} of a verdict are not stored")))?;
    serde_json::from_slice(&body).map_err(|_| DeskError::Unavailable(format!("the policies {version} do not read back")))
}

/// What opens an entry's commitments; nothing once its key was erased.
async fn openings(source: &Source<'_>, scope: Scope, entry: &StoredEntry) -> Result<Vec<Opening>, DeskError> {
    let Some(sealed) = &entry.sealed else { return Ok(Vec::new()) };
    let key = match sealed_key_id(sealed) {
        Some(id) => source.ledger.subject_key(scope, id).await?,
        None => return Err(StoreError::Corrupt(format!("the sealed values of entry {}", entry.id)).into()),
    };
    match source.sealer.open(scope, sealed, key.as_ref()) {
        Ok(plain) => {
            let all: Openings = serde_json::from_slice(&plain)
                .map_err(|_| DeskError::Unavailable(format!("the sealed values of entry {} do not read back", entry.id)))?;
            Ok(all.into_values().collect())
        }
        Err(VaultError::Erased) => Ok(Vec::new()),
        Err(e) => Err(DeskError::Unavailable(e.to_string())),
    }
}
