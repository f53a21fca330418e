//! Positions of changes where several processes commit and publish at once: none is skipped, none is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::future::{join, join_all};
use tollgate_core::action::ActionState;
use tollgate_core::change::{Change, What};
use tollgate_core::id::RunId;
use tollgate_core::ports::{ChangeLog, Effects, EventLog};
use tollgate_core::run::RunState;
use tollgate_core::time::Timestamp;
use tollgate_store::PgStore;
use tollgate_testkit::scope;

use crate::base::{connect, database, rows};
use crate::races::{done, stores, submit};

/// Reads on from a position until there is nothing more for now.
async fn read_on(store: &PgStore, position: &mut u64, all: &mut Vec<(u64, Change)>) {
    loop {
        let page = store.changes_after(scope(), None, *position).await.unwrap();
        *position = page.to;
        all.extend(page.found);
        if !page.more {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_late_is_not_skipped() {
    let db = database().await;
    let stores = stores(&db, 2).await;
    // A transaction of another process has its place in the queue, and has not committed.
    let late = connect(&db.serve()).await;
    let s = scope();
    let run = RunId::from_bytes([0xee; 16]);
    let mut body = Vec::new();
    Change { run, at: Timestamp::from_micros(1), what: What::Run(RunState::Running) }.write(&mut body);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let set = format!("SELECT set_config('tollgate.live', '{{{}}}', false)", hex(s.tenant_id.as_bytes()));
    let insert = format!(
        "BEGIN; INSERT INTO outbox_queue (changes, at, runs, body, reseller_id, tenant_id, mode) VALUES (1, 1, '\\x{}', '\\x{}', '{}', '{}', 0)",
        hex(run.as_bytes()),
        hex(&body),
        hex(s.reseller_id.as_bytes()),
        hex(s.tenant_id.as_bytes())
    );
    late.batch_execute(&set).await.unwrap();
    late.batch_execute(&insert).await.unwrap();
    // What others commit meanwhile gets positions, and somebody reads it.
    for (i, store) in stores.iter().enumerate() {
        store.submit(submit(&format!("l{i}"), None)).await.unwrap();
    }
    stores[0].publish().await.unwrap();
    let (mut position, mut all) = (0, Vec::new());
    read_on(&stores[1], &mut position, &mut all).await;
    let early = all.len();
    assert!(early >= 4 && all.iter().all(|(_, c)| c.run != run), "{all:?}");
    late.batch_execute("COMMIT").await.unwrap();
    stores[1].publish().await.unwrap();
    read_on(&stores[0], &mut position, &mut all).await;
    assert_eq!(all[early..].iter().map(|(at, c)| (*at, c.run)).collect::<Vec<_>>(), [(early as u64 + 1, run)]);
    assert_eq!(stores[0].changes_after(s, Some(run), 0).await.unwrap().found, all[early..]);
    drop(late);
    done(db, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commit_and_several_publish_and_a_reader_misses_nothing() {
    const RUNS: usize = 120;
    let db = database().await;
    let stores = stores(&db, 3).await;
    let over = AtomicBool::new(false);
    let submitted = async {
        join_all((0..RUNS).map(|i| {
            let store = Arc::clone(&stores[i % 3]);
            async move { store.submit(submit(&format!("l{}", i % 7), None)).await.unwrap() }
        }))
        .await;
        over.store(true, Relaxed);
    };
    // Two give positions at once, and a third reads on from wherever it is, and never looks back.
    let publish = |i: usize| {
        let (store, over) = (Arc::clone(&stores[i]), &over);
        async move {
            while !over.load(Relaxed) {
                store.publish().await.unwrap();
            }
            store.publish().await.unwrap();
        }
    };
    let (mut position, mut all) = (0, Vec::new());
    let reading = async {
        while !over.load(Relaxed) {
            read_on(&stores[2], &mut position, &mut all).await;
        }
    };
    join(submitted, join(join(publish(0), publish(1)), reading)).await;
    stores[2].publish().await.unwrap();
    read_on(&stores[2], &mut position, &mut all).await;
    assert_eq!(all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>(), "a position twice, or none");
    let mut of: BTreeMap<RunId, Vec<What>> = BTreeMap::new();
    for (_, c) in &all {
        of.entry(c.run).or_default().push(c.what.clone());
    }
    assert_eq!(of.len(), RUNS);
    for (run, what) in &of {
        let words: Vec<_> = what.iter().map(What::word).collect();
        assert_eq!(words, [("run", "running"), ("action", "proposed"), ("action", "ready")], "{run}");
        assert!(matches!(&what[2], What::Action(m) if m.from == Some(ActionState::Proposed)));
    }
    let some: BTreeSet<RunId> = of.keys().copied().take(5).collect();
    for run in some {
        let found = stores[1].changes_after(scope(), Some(run), 0).await.unwrap().found;
        assert!(found.iter().eq(all.iter().filter(|(_, c)| c.run == run)));
    }
    let admin = connect(&db.admin()).await;
    assert_eq!(rows(&admin, "SELECT count(*) FROM outbox_queue").await[0][0], "0");
    drop(admin);
    done(db, stores).await;
}
