//! Retention: what is older than its age goes, slice by slice, between other work. Knows ages; the store knows what is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_core::ledger::log_id;
use tollgate_core::ports::{DeskError, EventLog, Keep, LedgerLog, Registry, Retire, Sealer};
use tollgate_core::time::Timestamp;

use super::Signer;
use crate::ledger::{Archive, Source, archive};

/// Keys forgotten in one transaction.
const KEYS_MAX: u32 = 1000;
/// Checkpoints of one day are enough once they are this old.
const CHECKPOINTS: Duration = Duration::from_secs(7 * 86_400);

/// How long things are kept. What has no age stays for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ages {
    /// Events, by when they were received.
    pub events: Option<Duration>,
    /// Runs with their actions and approval requests, by when they last changed.
    pub runs: Option<Duration>,
    /// Ledger entries, which are archived first.
    pub ledger: Option<Duration>,
}

impl Ages {
    /// Nothing is to go.
    pub const fn is_empty(&self) -> bool {
        self.events.is_none() && self.runs.is_none() && self.ledger.is_none()
    }
}

/// What retention works with.
pub struct RetainDeps {
    /// What is taken away.
    pub keep: Arc<dyn Keep>,
    /// The event log.
    pub events: Arc<dyn EventLog>,
    /// The ledger.
    pub ledger: Arc<dyn LedgerLog>,
    /// Artifacts of verdicts.
    pub registry: Arc<dyn Registry>,
    /// The vault.
    pub sealer: Arc<dyn Sealer>,
    /// Signs archives.
    pub signer: Arc<Signer>,
    /// Where entries go; none: they stay.
    pub archive: Option<Arc<dyn Archive>>,
}

/// What retention came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retained {
    /// How many are gone, by what they are.
    pub gone: BTreeMap<&'static str, u64>,
    /// Files written: log, first position, one past the last.
    pub files: Vec<(String, u64, u64)>,
    /// The entry of a log that keeps its successors, being too young or about an action that is not over.
    pub kept_by: BTreeMap<String, u64>,
    /// Bytes given back to the file system.
    pub bytes: u64,
}

/// Retention of one process.
pub struct Retention {
    deps: RetainDeps,
    ages: Ages,
}

impl Retention {
    /// Retention by these ages.
    pub const fn new(deps: RetainDeps, ages: Ages) -> Self {
        Self { deps, ages }
    }

    /// Goes through everything once. Stops between slices when it is told to.
    ///
    /// # Errors
    /// When the store, the archive or the signer says no: what is done by then is done, the rest is as it was.
    pub async fn once(&self, now: Timestamp, stopping: &CancellationToken) -> Result<Retained, DeskError> {
        let mut out = Retained::default();
        for what in Retire::ALL {
            let age = match what {
                Retire::Events | Retire::Changes => self.ages.events,
                Retire::Runs | Retire::Blobs | Retire::Approvals | Retire::Replays => self.ages.runs,
                Retire::Checkpoints => self.ages.ledger.map(|_| CHECKPOINTS),
            };
            let Some(age) = age else { continue };
            self.slices(what, now.minus(age), stopping, &mut out).await?;
        }
        let mut keys = 0;
        while !stopping.is_cancelled() {
            let n = self.deps.events.forget_keys(KEYS_MAX).await?;
            keys += u64::from(n);
            if n < KEYS_MAX {
                break;
            }
        }
        out.gone.insert("idempotency keys", keys);
        if let (Some(age), Some(to)) = (self.ages.ledger, &self.deps.archive) {
            self.ledger(now.minus(age), &**to, stopping, &mut out).await?;
        }
        while !stopping.is_cancelled() {
            let bytes = self.deps.keep.give_back().await?;
            out.bytes += bytes;
            if bytes == 0 {
                break;
            }
        }
        Ok(out)
    }

    async fn slices(&self, what: Retire, before: Timestamp, stopping: &CancellationToken, out: &mut Retained) -> Result<(), DeskError> {
        let mut from = None;
        while !stopping.is_cancelled() {
            let slice = self.deps.keep.retire(what, before, from).await?;
            *out.gone.entry(what.as_str()).or_default() += slice.gone;
            from = slice.next;
            if from.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn ledger(&self, before: Timestamp, to: &dyn Archive, stopping: &CancellationToken, out: &mut Retained) -> Result<(), DeskError> {
        let d = &self.deps;
        let source = Source { ledger: &*d.ledger, registry: &*d.registry, sealer: &*d.sealer, signer: &d.signer };
        for scope in d.keep.logs().await? {
            if stopping.is_cancelled() {
                break;
            }
            let log = log_id(&scope);
            let archived = archive(&source, &*d.keep, to, scope, before).await?;
            *out.gone.entry("entries").or_default() += archived.gone;
            out.files.extend(archived.files.into_iter().map(|(from, to)| (log.clone(), from, to)));
            out.kept_by.extend(archived.kept_by.map(|at| (log, at)));
        }
        Ok(())
    }
}

/// Goes through everything again and again.
pub(super) async fn retention(retention: Retention, every: Duration, stopping: CancellationToken, now: impl Fn() -> Timestamp + Send) {
    loop {
        match retention.once(now(), &stopping).await {
            Ok(done) => {
                let (gone, bytes): (u64, u64) = (done.gone.values().sum(), done.bytes);
                if gone > 0 || bytes > 0 {
                    tracing::info!(rows = gone, bytes, files = done.files.len(), "retention");
                }
            }
            Err(e) => tracing::warn!(error = %e, "retention stopped halfway; it goes on at its next turn"),
        }
        tokio::select! { biased;
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}
