//! A row of the table of answers that is about one engine's committers: members of one group commit, on Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::join_all;
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{BoxFuture, ConfigRev, EventLog, IngestEvent, Ingested, NewRun, StoreError};
use tollgate_core::time::Timestamp;
use tollgate_store::{Login, PgOptions, PgStore, Role};
use tollgate_testkit::{event, scope};

use crate::base::{connect, database, rows};

/// A command that stores these events, each with a run. One that names an event twice is refused by the server, in the middle of its group.
fn ingest<'a>(store: &'a PgStore, ids: &[u8]) -> BoxFuture<'a, Result<Vec<Ingested>, StoreError>> {
    let run = |n: u8| NewRun {
        id: RunId::from_bytes([n; 16]),
        operator: "op".to_owned(),
        bundle: Digest::of(b"b"),
        strict: false,
        terms: Default::default(),
    };
    let at = Timestamp::from_micros(1);
    let new = |n: &u8| IngestEvent { event: event([*n; 16], at, &serde_json::json!([])), dedupe: None, runs: vec![run(*n)] };
    store.ingest(scope(), ConfigRev(0), ids.iter().map(new).collect(), None)
}

#[tokio::test]
async fn one_bad_member_of_a_group_commit() {
    let db = database().await;
    let commits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&commits);
    let on_commit = Box::new(move |_| {
        count.fetch_add(1, Relaxed);
    });
    let login = Login::parse(&db.serve()).unwrap();
    let options = PgOptions { login, role: Role::Serve, readers: 2, clock: None, inline: None, on_commit };
    let store = PgStore::open(options).await.unwrap();
    // Each member as the events it stores; one is bad.
    let members: Vec<Vec<u8>> = (1..120).map(|n| if n == 60 { vec![n, n] } else { vec![n] }).collect();
    let answers = join_all(members.iter().map(|ids| ingest(&store, ids))).await;
    let mut stored = Vec::new();
    for (ids, answer) in members.iter().zip(&answers) {
        let bad = ids.len() > 1;
        assert_eq!(answer.is_err(), bad, "{ids:?}: {answer:?}");
        stored.extend((!bad).then_some(ids[0]));
    }
    let commits = commits.load(Relaxed);
    assert!(commits < stored.len() / 4, "the good ones were committed in groups: {commits} commits");
    let admin = connect(&db.admin()).await;
    let there = rows(&admin, "SELECT left(id::text, 2) FROM events ORDER BY 1").await.concat();
    assert_eq!(there, stored.iter().map(|n| format!("{n:02x}")).collect::<Vec<_>>());
    assert_eq!(rows(&admin, "SELECT count(*) FROM runs").await, [[stored.len().to_string()]]);
    drop((admin, store));
    db.remove().await.unwrap();
}
