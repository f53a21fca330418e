//! No table is forgotten by retention: each one that a catalog has is named with its rule, and each rule names a table.

use std::collections::BTreeSet;

use tollgate_store::RETENTION;

use crate::base::{connect, database, sqlite};
use crate::catalog::tables;

/// What `RETENTION` lacks, and what it has too much.
fn forgotten(catalog: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let named: BTreeSet<String> = RETENTION.iter().map(|(t, ..)| (*t).to_owned()).collect();
    (catalog.difference(&named).cloned().collect(), named.difference(catalog).cloned().collect())
}

fn embedded(conn: &rusqlite::Connection) -> BTreeSet<String> {
    let mut sql = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap();
    sql.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_table_that_retention_forgets_is_found_in_the_catalogs_of_both_engines() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let shared = || async { tables(&admin).await.iter().map(|t| t.whole().to_owned()).collect::<BTreeSet<_>>() };
    let conn = sqlite();
    let all: BTreeSet<String> = shared().await.union(&embedded(&conn)).cloned().collect();
    assert_eq!(forgotten(&all), (vec![], vec![]), "say in RETENTION what becomes of a table's rows");
    assert!(RETENTION.is_sorted_by_key(|(t, ..)| *t), "by name");

    // It is found indeed: on either engine, and a month of a table is that table.
    admin
        .batch_execute(
            "CREATE TABLE notes (id uuid, tenant_id uuid); CREATE TABLE events_200001 PARTITION OF events
         FOR VALUES FROM ('00dc6acf-ac00-0000-0000-000000000000') TO ('00dc6acf-ad00-0000-0000-000000000000')",
        )
        .await
        .unwrap();
    assert_eq!(forgotten(&shared().await).0, ["notes"]);
    conn.execute_batch("CREATE TABLE notes (id BLOB)").unwrap();
    assert_eq!(forgotten(&embedded(&conn)).0, ["notes"]);
    drop(admin);
    db.remove().await.unwrap();
}

/// What is partitioned has its months before they begin, whichever column they go by, and rows that came too early move into theirs.
#[tokio::test]
async fn every_partitioned_table_has_its_months_ahead() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let sql = "SELECT t.name, (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = t.rel) FROM (
           SELECT c.oid AS rel, c.relname::text AS name FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid
           WHERE c.relnamespace = 'tollgate'::regnamespace AND p.partstrat = 'r') t ORDER BY 1";
    let found = crate::base::rows(&admin, sql).await;
    let named: Vec<_> = found.iter().map(|r| r[0].as_str()).collect();
    assert_eq!(named, ["entries", "events", "journal"]);
    for row in &found {
        assert_eq!(row[1], "4", "{}: the rest, this month and the next two", row[0]);
    }
    // A journal of a month that has no partition yet lies in the default one until it gets its own.
    let journal = tables(&admin).await.into_iter().find(|t| t.name == "journal").unwrap();
    let tenant = "aaaaaaaa-0000-7000-8000-000000000001";
    admin.batch_execute(&journal.fill(tenant, 0, 1, 1)).await.unwrap();
    admin.batch_execute("UPDATE journal SET run_id = '00dc6acf-ac00-7000-8000-000000000001'").await.unwrap();
    admin.batch_execute(&format!("INSERT INTO scopes (reseller_id, tenant_id, mode) VALUES ('{tenant}', '{tenant}', 0)")).await.unwrap();
    let lies = || crate::base::rows(&admin, "SELECT tableoid::regclass::text FROM journal");
    assert_eq!(lies().await, [["journal_rest"]]);
    let made = crate::base::rows(&admin, "SELECT keep_partitions((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)").await;
    assert_eq!(made, [["1"]]);
    let lies = lies().await[0][0].clone();
    assert!(lies.starts_with("journal_200001") && tables(&admin).await.iter().all(|t| t.whole() != "journal" || t.secured), "{lies}");
    drop(admin);
    db.remove().await.unwrap();
}
