//! The archive: what leaves the log goes to files first, each an export that verifies for ever without the store.
//!
//! Sealed values stay sealed: they lie beside the export as they lay in the store, and open only as long as their key is not erased.

use std::io;

use serde_json::json;
use tollgate_core::ledger::{SignedCheckpoint, log_id, verify};
use tollgate_core::ports::{DeskError, ExportFilter, Keep, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::export::{Source, Wanted, range};

/// Entries of one file.
const FILE_MAX: u64 = 16_384;
/// Entries taken away in one transaction.
const SLICE: u64 = 2048;
/// Entries read at once.
const READ: u32 = 512;

/// Where archived ranges of a log lie. Whatever is written is durable when this returns, and never replaced.
pub trait Archive: Send + Sync {
    /// The ranges of a log that are archived: first position, and one past the last.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn ranges(&self, log: &str) -> io::Result<Vec<(u64, u64)>>;
    /// The export of a range.
    ///
    /// # Errors
    /// When it cannot be read.
    fn export(&self, log: &str, range: (u64, u64)) -> io::Result<Vec<u8>>;
    /// Writes the sealed values of a range, then its export: whoever sees the export has both. Sealed values without an export are what a
    /// crash left, and may be replaced.
    ///
    /// # Errors
    /// When it cannot be written, or the range is there already.
    fn put(&self, log: &str, range: (u64, u64), export: &[u8], sealed: &[u8]) -> io::Result<()>;
}

/// What archiving a log came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Archived {
    /// Files written.
    pub(crate) files: Vec<(u64, u64)>,
    /// Entries taken away.
    pub(crate) gone: u64,
    /// The entry that keeps its successors.
    pub(crate) kept_by: Option<u64>,
}

fn failed(e: &io::Error) -> DeskError {
    DeskError::Unavailable(format!("the archive: {e}"))
}

/// Archives what of a log is older than `before`, and takes it away. Doing it again, after a crash wherever, goes on where it stood.
pub(crate) async fn archive(
    source: &Source<'_>,
    keep: &dyn Keep,
    to: &dyn Archive,
    scope: Scope,
    before: Timestamp,
) -> Result<Archived, DeskError> {
    let log = log_id(&scope);
    let mut out = Archived::default();
    loop {
        let start = source.ledger.start(scope).await?;
        // A file that a crash left before all of it was taken away.
        let left = to.ranges(&log).map_err(|e| failed(&e))?.into_iter().find(|(from, to)| *from <= start && start < *to);
        let found = match left {
            Some(found) => found,
            None => {
                let Some(checkpoint) = source.signer.sign(scope).await? else { return Ok(out) };
                let may = keep.archivable(scope, before, FILE_MAX).await?;
                out.kept_by = may.kept_by;
                if may.from != start || may.to <= may.from {
                    return Ok(out);
                }
                let found = (may.from, may.to);
                write(source, to, scope, checkpoint, found).await?;
                out.files.push(found);
                found
            }
        };
        // Nothing goes that the file, as it was written, does not prove.
        let bytes = to.export(&log, found).map_err(|e| failed(&e))?;
        check(source, &log, found, &bytes)?;
        let mut at = start;
        while at < found.1 {
            let next = (at + SLICE).min(found.1);
            out.gone += keep.retire_entries(scope, at, next).await?;
            at = next;
        }
    }
}

async fn write(
    source: &Source<'_>,
    to: &dyn Archive,
    scope: Scope,
    checkpoint: SignedCheckpoint,
    found: (u64, u64),
) -> Result<(), DeskError> {
    let everything = ExportFilter::default();
    let wanted = Wanted { filter: &everything, disclose: false };
    let export = range(source, scope, &wanted, (checkpoint, found.0, found.1)).await?;
    let sealed = sealed(source, scope, found).await?;
    to.put(&log_id(&scope), found, &export, &sealed).map_err(|e| failed(&e))
}

/// The sealed values of a range, a line of JSON each.
async fn sealed(source: &Source<'_>, scope: Scope, (from, to): (u64, u64)) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    let mut at = from;
    while at < to {
        let entries = source.ledger.entries(scope, at, READ).await?;
        if entries.is_empty() {
            return Err(StoreError::Corrupt(format!("the ledger has no entry at {at}")));
        }
        for entry in entries {
            if at >= to {
                break;
            }
            if let Some(bytes) = &entry.sealed {
                let line = json!({"pos": at, "entry": entry.id, "sealed": data_encoding::BASE64.encode(bytes)});
                out.extend_from_slice(line.to_string().as_bytes());
                out.push(b'\n');
            }
            at += 1;
        }
    }
    Ok(out)
}

fn check(source: &Source<'_>, log: &str, (from, to): (u64, u64), bytes: &[u8]) -> Result<(), DeskError> {
    let bad = |why: String| {
        DeskError::Unavailable(format!(
            "the archive's file of {log}, entries {from} to {to}, does not verify, nothing was taken away: {why}"
        ))
    };
    let nothing_opened = |_: &serde_json::Value, _: &serde_json::Value| Err("nothing is opened".to_owned());
    let report = verify(bytes, Some(&source.signer.public()), None, &nothing_opened).map_err(|e| bad(e.to_string()))?;
    if report.log != log || (report.from, report.to) != (from, to) || report.hidden > 0 {
        return Err(bad("it is of other entries".to_owned()));
    }
    Ok(())
}
