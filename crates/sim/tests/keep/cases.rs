//! What is over goes, what is open stays, what is archived proves itself, whenever retention is interrupted.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tollgate_core::event::Event;
use tollgate_core::graph::Stored;
use tollgate_core::hash::Digest;
use tollgate_core::id::{RunId, TenantId};
use tollgate_core::ledger::{Report, verify};
use tollgate_core::ports::{Clock, Desk, DeskError, ExportFilter, IngestEvent, NewRun};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::spec::Ordering;
use tollgate_core::terms::Terms;
use tollgate_sim::{House, Mistake, someone};
use tollgate_testkit::{Behaviour, FakeCompute, FakePolicy, scope};
use tollgate_worker::{Ages, Archive, Retained};

const DAY: Duration = Duration::from_secs(86_400);

type Files = BTreeMap<(String, (u64, u64)), Vec<u8>>;

/// An archive in memory, of which reading can fail.
#[derive(Default)]
struct Shelf {
    files: Mutex<Files>,
    sealed: Mutex<Files>,
    broken: Mutex<bool>,
}

impl Archive for Shelf {
    fn ranges(&self, log: &str) -> io::Result<Vec<(u64, u64)>> {
        Ok(self.files.lock().keys().filter(|(l, _)| l == log).map(|(_, r)| *r).collect())
    }
    fn export(&self, log: &str, range: (u64, u64)) -> io::Result<Vec<u8>> {
        if *self.broken.lock() {
            return Err(io::Error::other("the power went"));
        }
        Ok(self.files.lock()[&(log.to_owned(), range)].clone())
    }
    fn put(&self, log: &str, range: (u64, u64), export: &[u8], sealed: &[u8]) -> io::Result<()> {
        self.sealed.lock().insert((log.to_owned(), range), sealed.to_vec());
        assert!(self.files.lock().insert((log.to_owned(), range), export.to_vec()).is_none(), "overwritten");
        Ok(())
    }
}

fn house() -> House {
    House::on(crate::ENGINE, 1, Ordering::Relaxed, Mistake::None).unwrap()
}

fn ages(events: u64, runs: u64, ledger: u64) -> Ages {
    let days = |n: u64| Some(Duration::from_secs(86_400 * n));
    Ages { events: days(events), runs: days(runs), ledger: days(ledger) }
}

async fn once(h: &House, ages: Ages, shelf: &Arc<Shelf>) -> Result<Retained, DeskError> {
    h.retention(ages, Arc::clone(shelf) as Arc<dyn Archive>).once(h.clock.now(), &CancellationToken::new()).await
}

/// Actions that ended, each in a run of its own.
async fn actions(h: &House, ids: std::ops::Range<u32>) {
    let w = h.worker().await.unwrap();
    for n in ids {
        h.send(&[House::action("remote.keyed", &format!("x{n}"))]).await.unwrap();
    }
    h.settle(&w).await.unwrap();
    assert_eq!(h.unverifiable().await.unwrap(), None);
}

fn check(export: &[u8]) -> Report {
    verify(export, None, None, &FakePolicy::recompute).unwrap()
}

async fn tables(h: &House) -> BTreeMap<String, u64> {
    h.store.stats().await.unwrap().tables.into_iter().map(|(name, t)| (name, t.rows)).collect()
}

async fn runs(h: &House) -> usize {
    let page = tollgate_core::ports::Page { before: None, limit: 10_000 };
    h.store.list_runs(scope(), tollgate_core::ports::RunFilter::default(), page).await.unwrap().len()
}

async fn events(h: &House) -> usize {
    h.store.publish().await.unwrap();
    h.store.events_after(scope(), 0, 10_000).await.unwrap().len()
}

/// An event of test mode that starts a run, and nothing after it.
async fn quiet(h: &House) -> Scope {
    let quiet = Scope { mode: Mode::Test, ..scope() };
    starts(h, quiet).await;
    quiet
}

/// An event that starts a run.
async fn starts(h: &House, whose: Scope) {
    let event = Event { scope: whose, ..tollgate_testkit::event(h.ids.uuid(), h.clock.now(), &serde_json::json!([])) };
    let id = RunId::from_bytes(h.ids.uuid());
    let run = NewRun { terms: Terms::default(), id, operator: "op".to_owned(), bundle: Digest::of(b"bundle"), strict: false };
    let rev = h.store.config_rev().await.unwrap();
    h.store.ingest(whose, rev, vec![IngestEvent { event, dedupe: None, runs: vec![run] }], None).await.unwrap();
}

#[tokio::test]
async fn who_follows_a_quiet_tenant_is_not_told_that_it_missed_something() {
    let h = house();
    let quiet = quiet(&h).await;
    actions(&h, 0..3).await;
    h.store.publish().await.unwrap();
    let seen = h.store.changes_after(quiet, None, 0).await.unwrap();
    assert!(!seen.found.is_empty() && !seen.more);
    h.clock.advance(DAY * 100);
    actions(&h, 3..5).await;
    h.store.publish().await.unwrap();
    let from = h.store.changes_from(scope()).await.unwrap();
    once(&h, ages(30, 90, 400), &Arc::new(Shelf::default())).await.unwrap();
    assert!(h.store.changes_from(scope()).await.unwrap() > from, "what is old is gone where something newer is");
    assert!(h.store.changes_from(quiet).await.unwrap().is_some_and(|from| from <= seen.to));
    assert_eq!(h.store.changes_after(quiet, None, seen.to).await.unwrap().found, []);
}

#[tokio::test]
async fn what_is_over_goes_and_what_is_open_stays() {
    let h = house();
    let shelf = Arc::new(Shelf::default());
    actions(&h, 0..5).await;
    // One that waits for a person, for however long.
    let w = h.worker().await.unwrap();
    h.remote.script([Behaviour::Lose]);
    h.send(&[House::action("remote.once", "open")]).await.unwrap();
    h.settle(&w).await.unwrap();
    h.clock.advance(DAY * 100);
    actions(&h, 5..8).await;
    assert_eq!((runs(&h).await, events(&h).await), (9, 9));

    let done = once(&h, ages(30, 90, 400), &shelf).await.unwrap();
    assert_eq!(done.gone["runs"], 5);
    assert_eq!((runs(&h).await, done.files.len()), (4, 0), "the open one and the young ones");
    // On Postgres a month goes whole, and not while the open run needs one event of it.
    let left = if matches!(crate::ENGINE, tollgate_sim::Stands::Sqlite) { 4 } else { 9 };
    assert_eq!(events(&h).await, left);
    assert_eq!(h.actions().await.unwrap().len(), 4);
    let again = once(&h, ages(30, 90, 400), &shelf).await.unwrap();
    assert_eq!(again.gone.values().sum::<u64>(), 0, "twice is harmless");

    // The person answers: what was open is over, and young again until its age.
    let open = h.actions().await.unwrap().into_values().find(House::waits_for_person).unwrap();
    h.desk().resolve(&someone(), open.id, true, None).await.unwrap();
    once(&h, ages(30, 90, 400), &shelf).await.unwrap();
    assert_eq!(runs(&h).await, 4);
    h.clock.advance(DAY * 91);
    once(&h, ages(30, 90, 400), &shelf).await.unwrap();
    assert_eq!((runs(&h).await, h.actions().await.unwrap().len()), (0, 0));
    // The newest keeps the place from which positions go on; months are dropped whole.
    let left = usize::from(matches!(crate::ENGINE, tollgate_sim::Stands::Sqlite));
    assert_eq!(events(&h).await, left);

    // An effect key never expires: the same operation is not carried out again.
    let calls = h.remote.calls();
    actions(&h, 0..1).await;
    let last = h.disposed().await.unwrap().pop().unwrap();
    assert_eq!(last.disposition, Some(tollgate_core::ledger::Disposition::Deduplicated));
    assert_eq!(h.remote.calls(), calls);
    assert!(tables(&h).await.contains_key("effect_keys"));
}

#[tokio::test]
async fn entries_are_archived_before_they_go_and_prove_themselves() {
    let h = house();
    let shelf = Arc::new(Shelf::default());
    actions(&h, 0..180).await;
    let all = h.desk().export(&someone(), ExportFilter::default()).await.unwrap();
    let receipt = h.ledger().await.unwrap()[200].id;
    h.clock.advance(DAY * 500);
    actions(&h, 180..190).await;
    let size = h.store.frontier(scope()).await.unwrap().size();
    assert_eq!(size, 570);

    // The file is written and the process dies: nothing was taken away, and the next turn goes on from the file.
    *shelf.broken.lock() = true;
    once(&h, ages(1000, 1000, 400), &shelf).await.unwrap_err();
    assert_eq!((h.store.start(scope()).await.unwrap(), shelf.files.lock().len()), (0, 1));
    *shelf.broken.lock() = false;
    let done = once(&h, ages(1000, 1000, 400), &shelf).await.unwrap();
    assert_eq!((done.gone["entries"], done.files.len(), done.kept_by.values().copied().collect::<Vec<_>>()), (512, 0, vec![540]));
    assert_eq!(h.store.start(scope()).await.unwrap(), 512, "whole tiles");
    assert_eq!(once(&h, ages(1000, 1000, 400), &shelf).await.unwrap().gone["entries"], 0);

    // What was archived verifies, shows what it showed, and opens nothing.
    let files = shelf.files.lock().clone();
    let archived = check(files.values().next().unwrap());
    assert_eq!((archived.from, archived.to, archived.opened, archived.entries), (0, 512, 0, 512));
    let text = String::from_utf8(files.into_values().next().unwrap()).unwrap();
    assert!(text.contains(&receipt.to_string()) && all.contains(&receipt.to_string()));
    assert!(!shelf.sealed.lock().values().next().unwrap().is_empty(), "sealed as it lay in the store");

    // What is left verifies too, against the same root; what is gone is not offered.
    let rest = check(h.desk().export(&someone(), ExportFilter::default()).await.unwrap().as_bytes());
    assert_eq!((rest.from, rest.to, rest.tree_size), (512, 570, 570));
    let gone = h.desk().export(&someone(), ExportFilter { from: Some(100), ..ExportFilter::default() }).await;
    assert!(matches!(gone, Err(DeskError::Invalid(m)) if m.contains("archived")));
    assert_eq!(h.store.entry(scope(), receipt).await.unwrap(), None);
    // It goes on growing, and the log that was signed is still the log.
    actions(&h, 190..195).await;
    assert!(h.signer().sign(scope()).await.unwrap().unwrap().checkpoint.size > 570);
    h.signer().check().await.unwrap();
}

#[tokio::test]
async fn a_file_that_does_not_prove_its_range_takes_nothing_away() {
    let h = house();
    let shelf = Arc::new(Shelf::default());
    actions(&h, 0..100).await;
    h.clock.advance(DAY * 500);
    *shelf.broken.lock() = true;
    once(&h, ages(1000, 1000, 400), &shelf).await.unwrap_err();
    *shelf.broken.lock() = false;
    for file in shelf.files.lock().values_mut() {
        let at = file.len() / 2;
        file[at] ^= 1;
    }
    let said = once(&h, ages(1000, 1000, 400), &shelf).await.unwrap_err().to_string();
    assert!(said.contains("does not verify"), "{said}");
    assert_eq!(h.store.start(scope()).await.unwrap(), 0);
}

/// The large result of a run's first step.
async fn large(h: &House, run: RunId) -> Digest {
    let found = h.graph(run).await.unwrap().journal.into_iter().find_map(|e| match e.result {
        Some(Stored::Blob(blob)) => Some(blob.hash),
        _ => None,
    });
    found.unwrap()
}

#[tokio::test]
async fn a_graph_goes_with_its_journal_and_a_large_result_with_the_last_that_names_it() {
    let h = house();
    let shelf = Arc::new(Shelf::default());
    let w = h.worker().await.unwrap();
    let steps = [FakeCompute::step("a", &[], "large"), FakeCompute::step("b", &["a"], "length")];
    let (old, _) = h.start(&steps, &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    let blob = large(&h, old).await;
    h.clock.advance(DAY * 60);
    let w = h.worker().await.unwrap();
    let (young, _) = h.start(&steps, &Value::Null, None).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(large(&h, young).await, blob, "one result, named twice");

    h.clock.advance(DAY * 60);
    let done = once(&h, ages(200, 90, 400), &shelf).await.unwrap();
    assert_eq!((done.gone["runs"], done.gone["blobs"]), (1, 0));
    assert!(h.store.node_step(scope(), old).await.unwrap().is_none());
    assert_eq!(h.graph(young).await.unwrap().journal.len(), 3);
    assert!(h.store.blob(scope(), blob).await.unwrap().is_some());

    h.clock.advance(DAY * 60);
    let done = once(&h, ages(200, 90, 400), &shelf).await.unwrap();
    assert_eq!((done.gone["runs"], done.gone["blobs"]), (1, 1));
    assert_eq!(h.store.blob(scope(), blob).await.unwrap(), None);
}

#[tokio::test]
async fn a_removed_tenant_leaves_its_log_and_no_other_tenant_misses_anything() {
    let h = house();
    let other = Scope { tenant_id: TenantId::from_bytes([9; 16]), ..scope() };
    actions(&h, 0..4).await;
    starts(&h, other).await;
    h.store.publish().await.unwrap();
    let (size, entries) = (h.store.frontier(scope()).await.unwrap().size(), h.ledger().await.unwrap());
    let seen = h.store.changes_after(other, None, 0).await.unwrap();
    let whole = h.store.changes_from(scope()).await.unwrap();

    let said = h.store.remove_tenant(other.tenant_id).await.unwrap_err().to_string();
    assert!(said.contains("1 of the tenant's runs"), "{said}");
    let gone = h.store.remove_tenant(scope().tenant_id).await.unwrap();
    assert_eq!((gone["runs"], gone["actions"], gone["effect_keys"]), (4, 4, 4));
    assert_eq!((runs(&h).await, h.actions().await.unwrap().len()), (0, 0));
    assert!(h.store.tenant_key(scope()).await.unwrap().is_none() && h.store.active_bundle(scope()).await.unwrap().is_none());

    // Its log is the log that it was, and still the one that was signed.
    assert_eq!((h.store.frontier(scope()).await.unwrap().size(), h.ledger().await.unwrap()), (size, entries));
    h.signer().check().await.unwrap();
    // Positions go on where they were: what the other tenant does now comes after what it did before.
    starts(&h, other).await;
    h.store.publish().await.unwrap();
    let all: Vec<_> = h.store.events_after(other, 0, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(!h.store.changes_after(other, None, seen.to.max(whole.unwrap_or(0))).await.unwrap().found.is_empty());
}
