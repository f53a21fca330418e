//! `bench retention`: events with their receipts are written and grow old; what retention gives back, and what it leaves to prove them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tollgate_core::ledger::{Body, Entry, PublicKey, Report, log_id};
use tollgate_core::ports::{Desk as _, ExportFilter, StoreStats, StoredEntry};
use tollgate_core::scope::Mode;
use tollgate_worker::{Ages, Options, Retained};

use super::args::Setting;
use super::load::{Connection, Watch};
use super::spec::MATCHING;
use super::stage::{Remains, Stage};
use crate::commands::receipts;
use crate::failure::Failure;
use crate::node::{self, Node, Place, Private, Setup, actor};
use crate::output::Output;
use crate::system;

/// Events of one request.
const BATCH: u64 = 100;
/// Events that may wait for their action while more are sent.
const WAITING_MAX: u64 = 20_000;
const DAY: Duration = Duration::from_secs(86_400);

/// Figures of one run. Bytes are the store's on the disk.
#[derive(Debug, Serialize)]
struct Figures {
    bench: &'static str,
    store: &'static str,
    events: u64,
    /// Ledger entries: three an event, and a few more.
    entries: u64,
    empty_bytes: u64,
    full_bytes: u64,
    retired_bytes: u64,
    /// How many are gone, by what they are.
    gone: BTreeMap<&'static str, u64>,
    /// Of what is left, the effect keys, which never expire.
    keys_bytes: u64,
    /// Of what is left, the largest tables with their indexes, in bytes.
    largest_left: Vec<(String, u64)>,
    archive_bytes: u64,
    archive_files: usize,
    written_s: f64,
    retired_s: f64,
    /// Receipts that were verified from the archive, offline, with the public key alone.
    verified: u64,
    /// The receipt that was looked for: gone from the store, and in the archive as it was.
    receipt: String,
}

/// A receipt as it was before.
struct Before {
    receipt: StoredEntry,
    at: u64,
    size: u64,
    public: PublicKey,
}

/// Runs it.
///
/// # Errors
/// When the load breaks, retention fails, or a receipt does not verify: no figure is given then.
pub async fn run(out: Output, s: &Setting, events: u64) -> Result<(), Failure> {
    let stage = Stage::start(&s.dir, &s.ground).await?;
    let empty = on_disk(&stage.node().store.stats().await?);
    let watch = Watch::start();
    fill(&stage, events).await?;
    let written = watch.elapsed();
    let before = look(&stage).await?;
    let remains = stage.close().await;
    let setup = setup(&remains);
    let full = on_disk(&node::stats(&setup).await?);

    system::live_ahead(DAY * 500);
    let watch = Watch::start();
    let archive = remains.dir.join("archive");
    let retained = retain(&setup, &archive, &before).await?;
    let took = watch.elapsed();
    let after = node::stats(&setup).await?;
    let (verified, archive_bytes) = verify(&archive, &retained, &before)?;
    let figures = Figures {
        bench: "retention",
        store: after.engine,
        events,
        entries: before.size,
        empty_bytes: empty,
        full_bytes: full,
        retired_bytes: on_disk(&after),
        gone: retained.gone.clone(),
        keys_bytes: after.tables.iter().filter(|(t, _)| t.starts_with("effect_keys")).map(|(_, t)| t.bytes).sum(),
        largest_left: largest(&after),
        archive_bytes,
        archive_files: retained.files.len(),
        written_s: seconds(written),
        retired_s: seconds(took),
        verified,
        receipt: before.receipt.id.to_string(),
    };
    remains.remove().await;
    print(out, &figures);
    Ok(())
}

fn seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 10.0).round() / 10.0
}

fn on_disk(s: &StoreStats) -> u64 {
    // A server's write-ahead log is not of one database, and is reused.
    s.bytes + if s.engine == "sqlite" { s.wal_bytes } else { 0 }
}

fn largest(s: &StoreStats) -> Vec<(String, u64)> {
    let mut all: Vec<_> = s.tables.iter().map(|(name, t)| (name.clone(), t.bytes)).collect();
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    all.truncate(6);
    all
}

fn setup(remains: &Remains) -> Setup {
    let place = remains.private.as_ref().map_or(Place::Embedded, Private::place_of_owner);
    Setup { place, ..Setup::embedded(&remains.dir.join("data"), &remains.dir, Options::default()) }
}

/// Sends the events and waits until each has its receipt.
async fn fill(stage: &Stage, events: u64) -> Result<(), Failure> {
    let bar = ProgressBar::new(events);
    let mut connection = Connection::open(stage.addr, &stage.key).await?;
    for first in (0..events).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let (mut body, past) = (String::new(), (first + BATCH).min(events));
        for n in first..past {
            let filler = "x".repeat(100);
            let _ = writeln!(
                body,
                r#"{{"source":"bench","event_type":"{MATCHING}","payload":{{"n":{n},"order":"order-{n}","filler":"{filler}"}}}}"#
            );
        }
        let status = connection.post("/v1/events", "application/x-ndjson", &[], Bytes::from(body)).await?;
        if !status.is_success() {
            return Err(Failure::plain(format!("the server answered {status}")));
        }
        while stage.calls.load(Ordering::Relaxed) + WAITING_MAX < past {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bar.set_position(past);
    }
    bar.finish_and_clear();
    let store = &stage.node().store;
    while store.stats().await?.oldest_open_run.is_some() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let calls = stage.calls.load(Ordering::Relaxed);
    if calls == events { Ok(()) } else { Err(Failure::plain(format!("{events} events, and the upstream saw {calls} calls"))) }
}

/// A receipt from the middle of the log.
async fn look(stage: &Stage) -> Result<Before, Failure> {
    let (node, scope) = (stage.node(), actor(Mode::Live).scope);
    let signed = node.signer.sign(scope).await?.ok_or_else(|| Failure::plain("the log was not signed"))?;
    let size = signed.checkpoint.size;
    let middle = node.store.entries(scope, size / 2, 4096).await?;
    let is_receipt = |e: &StoredEntry| Entry::from_leaf(&e.leaf).is_ok_and(|e| matches!(e.body, Body::Receipt(_)));
    let receipt = middle.into_iter().find(is_receipt).ok_or_else(|| Failure::plain("there is no receipt in the middle of the log"))?;
    let at = receipt.position.ok_or_else(|| Failure::plain("the receipt has no position"))?;
    Ok(Before { receipt, at, size, public: node.signer.public() })
}

/// Everything is old: it goes.
async fn retain(setup: &Setup, archive: &Path, before: &Before) -> Result<Retained, Failure> {
    let node = Node::open(setup).await?;
    let ages = Ages { events: Some(DAY * 30), runs: Some(DAY * 90), ledger: Some(DAY * 400) };
    let retained = node.retention(ages, Some(archive))?.once(node.ids.now(), &CancellationToken::new()).await?;
    let scope = actor(Mode::Live).scope;
    if node.store.entry(scope, before.receipt.id).await?.is_some() {
        return Err(Failure::plain("the receipt is still in the store"));
    }
    // What is left of the log is proved without what is gone.
    let rest = node.desk.export(&actor(Mode::Live), ExportFilter::default()).await?;
    let report = receipts::check(rest.as_bytes(), Some(&before.public), None).map_err(|e| Failure::plain(format!("the rest: {e}")))?;
    if report.tree_size < before.size {
        return Err(Failure::plain("the log became shorter"));
    }
    Ok(retained)
}

/// Every file of the archive, with the public key alone; and the receipt in its own. Answers receipts, and bytes.
fn verify(archive: &Path, retained: &Retained, before: &Before) -> Result<(u64, u64), Failure> {
    let (mut bytes, mut verified, mut found) = (0, 0, false);
    for file in std::fs::read_dir(archive)? {
        let (path, size) = file.and_then(|f| Ok((f.path(), f.metadata()?.len())))?;
        bytes += size;
        if path.extension().is_none_or(|e| e != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let failed = |e: String| Failure::plain(format!("{}: {e}", path.display()));
        let report: Report = receipts::check(text.as_bytes(), Some(&before.public), None).map_err(|e| failed(e.to_string()))?;
        verified += report.dispositions.values().sum::<u64>();
        if report.log == log_id(&actor(Mode::Live).scope) && (report.from..report.to).contains(&before.at) {
            let leaf = String::from_utf8_lossy(&before.receipt.leaf).into_owned();
            found = text.contains(&leaf);
        }
    }
    if !found {
        return Err(Failure::plain(format!("the receipt {} is in none of {} files", before.receipt.id, retained.files.len())));
    }
    Ok((verified, bytes))
}

fn print(out: Output, f: &Figures) {
    let value = serde_json::to_value(f).unwrap_or_default();
    if out.json {
        return out.value(&value);
    }
    let Value::Object(fields) = value else { return };
    for (name, v) in fields {
        out.line(format!("{name:<16}{}", v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned)));
    }
}
