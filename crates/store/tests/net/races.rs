//! What the simulator cannot make: several processes' stores over one database at the same moment, by the real clock, and connections that
//! die under them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tollgate_core::attempt::AttemptResult;
use tollgate_core::gate::KeyLook;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, DeploymentId, EntryId, EventId, PlanId, RunId, SessionId};
use tollgate_core::ledger::{Disposition, Frontier, Kind, leaf_hash};
use tollgate_core::ports::{
    Authority, BeginAttempt, Begun, Claimed, CloseAttempt, ConfigRev, Dedupe, Deploy, Disposal, Dispose, DurableExec, Effects, EventLog,
    IngestEvent, Ingested, KeyChange, KeyClaim, LedgerLog, NewAction, NewEntry, Registry, Step, StoreError, SubmitAction,
};
use tollgate_core::spec::{Effect, OnUnknown};
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::Principal;
use tollgate_store::testing::Database;
use tollgate_store::{Login, PgOptions, PgStore, Role};
use tollgate_testkit::{event, scope};

use crate::base::{connect, database, rows};

const LEASE: Duration = Duration::from_secs(600);
const FAR: Timestamp = Timestamp::from_micros(9_000_000_000_000_000);

static IDS: AtomicU64 = AtomicU64::new(1);

fn id() -> [u8; 16] {
    let mut out = [7; 16];
    out[8..].copy_from_slice(&IDS.fetch_add(1, Relaxed).to_be_bytes());
    out
}

fn entry(kind: Kind, action: Option<ActionId>) -> NewEntry {
    let id = id();
    let leaf = id.to_vec();
    let leaf_hash = leaf_hash(&leaf);
    NewEntry { id: EntryId::from_bytes(id), kind, at: Timestamp::from_micros(1), action, leaf, leaf_hash, sealed: None }
}

pub async fn stores(db: &Database, n: usize) -> Vec<Arc<PgStore>> {
    let mut out = Vec::new();
    for _ in 0..n {
        let login = Login::parse(&db.serve()).unwrap();
        let options = PgOptions { login, role: Role::Serve, readers: 2, clock: None, inline: None, on_commit: Box::new(|_| {}) };
        out.push(Arc::new(PgStore::open(options).await.unwrap()));
    }
    out
}

/// The stores close, nobody ever waited for another in a circle, and the database goes.
pub async fn done(db: Database, stores: Vec<Arc<PgStore>>) {
    drop(stores);
    let admin = connect(&db.admin()).await;
    // Statistics of a connection are there when it is gone.
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while rows(&admin, others).await[0][0] != "0" {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows(&admin, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await[0][0], "0");
    drop(admin);
    db.remove().await.unwrap();
}

fn new_event(key: Option<&str>) -> IngestEvent {
    let dedupe =
        key.map(|key| Dedupe { route: "r".to_owned(), key: key.to_owned(), fingerprint: Digest::of(key.as_bytes()), expires_at: FAR });
    IngestEvent { event: event(id(), Timestamp::from_micros(1), &json!([])), dedupe, runs: vec![] }
}

pub fn submit(lane: &str, key: Option<&str>) -> SubmitAction {
    let proposal = json!({"tool": "t.x", "args": {}, "entity_key": lane, "idempotency_key": key, "value": null});
    let action = NewAction {
        terms: Default::default(),
        id: ActionId::from_bytes(id()),
        proposal: serde_json::from_value(proposal).unwrap(),
        tool_digest: None,
        effect: Effect::Write,
        salt: [1; 32],
        lane: Some(Digest::of(lane.as_bytes())),
        key: key.map(|k| KeyClaim { key: Digest::of(k.as_bytes()), fingerprint: Digest::of(b"same") }),
    };
    let run = id();
    SubmitAction {
        scope: scope(),
        dedupe: None,
        run: RunId::from_bytes(run),
        plan: PlanId::from_bytes(run),
        bundle: Digest::of(b"b"),
        principal: Principal::ServiceAccount("a".to_owned()),
        action,
        at: Timestamp::from_micros(1),
        claim: None,
    }
}

/// Carries out one claimed action, as a worker does; `called` sees who has its call under way.
async fn carry_out(store: &PgStore, c: &Claimed, called: &parking_lot::Mutex<Vec<(ActionId, bool)>>) -> Result<(), StoreError> {
    let Step::Action(action) = c.step else { panic!("no plan was asked for") };
    let rev = store.config_rev().await?;
    let begin = BeginAttempt {
        scope: c.scope,
        run: c.run,
        action,
        lease: c.lease,
        rev,
        attempt: 1,
        generation: 1,
        deadline_at: FAR,
        rendered: b"{}".to_vec(),
        approval: None,
        entry: entry(Kind::Intent, Some(action)),
    };
    let (disposition, close, key) = match store.begin(begin).await? {
        Begun::Intent => {
            called.lock().push((action, true));
            let close = CloseAttempt { attempt: 1, result: AttemptResult::Applied, entry: entry(Kind::Attempt, Some(action)) };
            tokio::task::yield_now().await;
            (Disposition::Applied, Some(close), KeyChange::Consume)
        }
        Begun::Key(KeyLook::Consumed { .. }) => (Disposition::Deduplicated, None, KeyChange::None),
        // It waits, and whoever it waits for wakes it.
        Begun::LaneBusy | Begun::Key(KeyLook::Held { .. }) => return Ok(()),
        other => panic!("{other:?}"),
    };
    let has_key = store.action(c.scope, action).await?.unwrap().key.is_some();
    if close.is_some() {
        called.lock().push((action, false));
    }
    let disposal = Disposal {
        disposition,
        reason: "r".to_owned(),
        detail: None,
        receipt: entry(Kind::Receipt, Some(action)),
        entries: vec![],
        output: None,
        key: if has_key { key } else { KeyChange::None },
        on_unknown: OnUnknown::default(),
    };
    let dispose = Dispose {
        scope: c.scope,
        run: c.run,
        action,
        authority: Authority::Lease(c.lease),
        close,
        disposal,
        at: Timestamp::from_micros(2),
        spare: vec![EntryId::from_bytes(id())],
        claim: None,
        compensation: None,
    };
    store.dispose(dispose).await.map(|_| ())
}

/// A worker: claims and carries out until all actions have ended.
async fn work(store: Arc<PgStore>, all: u64, ended: Arc<AtomicU64>, called: Arc<parking_lot::Mutex<Vec<(ActionId, bool)>>>) {
    let session = SessionId::from_bytes(id());
    store.open_session(session, LEASE, tollgate_core::terms::Labels::default()).await.unwrap();
    while ended.load(Relaxed) < all {
        for c in store.claim(session, 4).await.unwrap() {
            loop {
                match carry_out(&store, &c, &called).await {
                    // Somebody deployed meanwhile: look again.
                    Err(StoreError::Stale) => {}
                    out => break out.unwrap(),
                }
            }
            let Step::Action(a) = c.step else { continue };
            ended.fetch_add(u64::from(store.action(scope(), a).await.unwrap().unwrap().state.is_disposed()), Relaxed);
        }
        tokio::task::yield_now().await;
    }
}

/// The ledger is whole: places without gaps, hashes that grow into the frontier.
async fn whole_ledger(store: &PgStore) -> usize {
    store.sequence().await.unwrap();
    let entries = store.entries(scope(), 0, 1_000_000).await.unwrap();
    let mut grown = Frontier::new();
    for (i, e) in entries.iter().enumerate() {
        assert_eq!((e.position, e.leaf_hash), (Some(i as u64), leaf_hash(&e.leaf)));
        grown.append(e.leaf_hash, |_, _, _| {}).unwrap();
    }
    assert_eq!(grown, store.frontier(scope()).await.unwrap());
    let ids: BTreeSet<_> = entries.iter().map(|e| e.id).collect();
    assert_eq!(ids.len(), entries.len(), "an entry has two places");
    entries.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_a_hundred_times_is_one_event() {
    let db = database().await;
    let stores = stores(&db, 4).await;
    let sent = (0..100).map(|i| {
        let (store, new) = (&stores[i % 4], new_event(Some("k")));
        async move { (new.event.id, store.ingest(scope(), ConfigRev(0), vec![new], None).await.unwrap().remove(0)) }
    });
    let answers: Vec<(EventId, Ingested)> = join_all(sent).await;
    let stored: Vec<_> = answers.iter().filter(|(_, a)| matches!(a, Ingested::Stored { .. })).map(|(id, _)| *id).collect();
    assert_eq!(stored.len(), 1);
    assert!(answers.iter().all(|(id, a)| *id == stored[0] || *a == Ingested::Repeated(stored[0])));
    stores[0].publish().await.unwrap();
    assert_eq!(stores[1].events_after(scope(), 0, 200).await.unwrap().len(), 1);
    done(db, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lane_and_few_keys_contended_over_four_stores_while_somebody_deploys() {
    const ACTIONS: u64 = 50;
    let db = database().await;
    let stores = stores(&db, 4).await;
    // All in one lane; every ten of them say the same key.
    let keys: Vec<Option<String>> = (0..ACTIONS).map(|i| (i % 2 == 0).then(|| format!("k{}", i / 10))).collect();
    let sent = keys.iter().enumerate().map(|(i, key)| stores[i % 4].submit(submit("lane", key.as_deref())));
    join_all(sent).await.into_iter().for_each(|o| {
        let _ = o.unwrap();
    });
    let (ended, called) = (Arc::new(AtomicU64::new(0)), Arc::default());
    let workers = stores.iter().map(|s| tokio::spawn(work(Arc::clone(s), ACTIONS, Arc::clone(&ended), Arc::clone(&called))));
    let deploys = (0..12_u64).map(|i| {
        let deploy = Deploy {
            rules: Default::default(),
            id: DeploymentId::from_bytes(id()),
            bundle: Digest::of(&i.to_be_bytes()),
            artifacts: vec![],
            entries: vec![entry(Kind::Change, None)],
            at: Timestamp::from_micros(1),
        };
        stores[i as usize % 4].deploy(scope(), deploy)
    });
    let (worked, revs) = futures_util::future::join(join_all(workers), join_all(deploys)).await;
    worked.into_iter().for_each(|w| w.unwrap());
    let revs: BTreeSet<u64> = revs.into_iter().map(|r| r.unwrap().0).collect();
    assert_eq!(revs, (1..=12).collect(), "two deployments raised the revision to the same number");
    // Calls of one lane never overlap.
    let calls = called.lock().clone();
    assert!(calls.chunks(2).all(|two| two[0].0 == two[1].0 && two[0].1 && !two[1].1), "two calls in one lane at a time: {calls:?}");
    // One call of each key, and one of each action without.
    assert_eq!(calls.len() as u64 / 2, ACTIONS / 2 + ACTIONS / 10);
    let entries = whole_ledger(&stores[0]).await;
    assert_eq!(entries as u64, calls.len() as u64 + ACTIONS + 12);
    let admin = connect(&db.admin()).await;
    for t in ["ready", "held", "timers", "lanes", "key_waiters"] {
        assert_eq!(rows(&admin, &format!("SELECT count(*) FROM {t}")).await[0][0], "0", "something is left in `{t}`");
    }
    drop(admin);
    done(db, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_many_commits_get_places_while_several_sequence() {
    let db = database().await;
    let stores = stores(&db, 3).await;
    let appended = (0..120).map(|i| stores[i % 3].append(scope(), entry(Kind::Change, None)));
    // Whoever comes second to the sequencer's lock waits; whoever met rows that another just placed says so, and comes again.
    let sequenced = join_all(stores.iter().map(|s| async move {
        for _ in 0..20 {
            let out = s.sequence().await;
            assert!(matches!(out, Ok(_) | Err(StoreError::Unavailable(_))), "{out:?}");
        }
    }));
    let (appended, _) = futures_util::future::join(join_all(appended), sequenced).await;
    appended.into_iter().for_each(|a| a.unwrap());
    assert_eq!(whole_ledger(&stores[0]).await, 120);
    done(db, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_die_in_the_middle_lose_and_double_nothing() {
    const EACH: usize = 60;
    let db = database().await;
    let stores = stores(&db, 3).await;
    let admin = connect(&db.admin()).await;
    let senders = stores.iter().enumerate().map(|(n, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut unsure = 0;
            for i in 0..EACH {
                // The same request again and again, until there is an answer.
                loop {
                    let mut new = new_event(Some(&format!("{n}.{i}")));
                    new.dedupe.as_mut().unwrap().fingerprint = Digest::of(b"same");
                    match store.ingest(scope(), ConfigRev(0), vec![new], None).await {
                        Ok(_) => break,
                        Err(StoreError::AnswerLost | StoreError::Unavailable(_)) => unsure += 1,
                        Err(e) => panic!("{e:?}"),
                    }
                }
            }
            unsure
        })
    });
    let senders: Vec<_> = senders.collect();
    let kill =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'test_serve'";
    let mut killed = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        killed += rows(&admin, kill).await[0][0].parse::<u64>().unwrap();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        // Time for a few commits.
        rows(&admin, "SELECT pg_sleep(0.01)").await;
    }
    let unsure: usize = join_all(senders).await.into_iter().map(Result::unwrap).sum();
    assert!(killed > 0 && unsure > 0, "nobody was hit: {killed} {unsure}");
    let count = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM idempotency), (SELECT count(*) FROM unpublished)";
    assert_eq!(rows(&admin, count).await[0], vec![(3 * EACH).to_string(); 3], "an event was lost or stored twice");
    drop(admin);
    done(db, stores).await;
}
