//! Both dialects have the same tables and columns, but for what is listed here with its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{connect, database, sqlite};
use crate::catalog::tables;

/// A table that one dialect has, or a column that differs, and why. `*` is the whole table.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("scopes", "*", "what a sweep over all tenants sets as its tenants; SQLite has no row security"),
    ("unsequenced", "*", "entries wait for the sequencer; on SQLite the one writer gives positions at commit"),
    ("positions", "*", "given after commit; on SQLite the row's own number"),
    ("unpublished", "*", "events wait for the publisher; on SQLite the one writer gives positions at commit"),
    ("event_positions", "*", "given after commit; on SQLite the row's own number"),
    ("outbox_queue", "*", "changes wait for the publisher; on SQLite the one writer gives positions at commit"),
    ("outbox_runs", "reseller_id", "row security; the change's on SQLite"),
    ("outbox_runs", "tenant_id", "row security; the change's on SQLite"),
    ("outbox_runs", "mode", "row security; the change's on SQLite"),
    ("events", "pos", "the row's number is its position"),
    ("actions", "n", "the row's number is its place in lists; ids on Postgres"),
    ("entries", "n", "the log's number and the position in it"),
    ("entries", "reseller_id", "row security; the log's on SQLite"),
    ("entries", "tenant_id", "row security; the log's on SQLite"),
    ("entries", "mode", "row security; the log's on SQLite"),
    ("logs", "log", "the log's number, first half of an entry's"),
    ("tiles", "log", "the log's number"),
    ("tiles", "reseller_id", "row security; the log's on SQLite"),
    ("tiles", "tenant_id", "row security; the log's on SQLite"),
    ("tiles", "mode", "row security; the log's on SQLite"),
    ("checkpoints", "log", "the log's number"),
    ("checkpoints", "reseller_id", "row security; the log's on SQLite"),
    ("checkpoints", "tenant_id", "row security; the log's on SQLite"),
    ("checkpoints", "mode", "row security; the log's on SQLite"),
    ("lanes", "reseller_id", "row security"),
    ("lanes", "tenant_id", "row security"),
    ("lanes", "mode", "row security"),
    ("key_waiters", "reseller_id", "row security"),
    ("key_waiters", "tenant_id", "row security"),
    ("key_waiters", "mode", "row security"),
    ("approval_queues", "reseller_id", "added later on SQLite, where a new column may be null"),
    ("approval_queues", "tenant_id", "added later on SQLite, where a new column may be null"),
    ("approval_queues", "mode", "added later on SQLite, where a new column may be null"),
    ("meta", "v", "a number on Postgres, anything on SQLite"),
];

/// Tables with their columns: the kind as SQLite has it, and whether it may be null.
type Schema = BTreeMap<String, BTreeMap<String, (String, bool)>>;

fn embedded() -> Schema {
    let conn = sqlite();
    let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";
    let mut out = Schema::new();
    let mut sql = conn.prepare(sql).unwrap();
    let mut rows = sql.query([]).unwrap();
    while let Some(r) = rows.next().unwrap() {
        let (table, column): (String, String) = (r.get(0).unwrap(), r.get(1).unwrap());
        out.entry(table).or_default().insert(column, (r.get(2).unwrap(), r.get(3).unwrap()));
    }
    out
}

fn kind(postgres: &str) -> &str {
    match postgres {
        "uuid" | "bytea" => "BLOB",
        "bigint" | "integer" | "smallint" | "boolean" => "INTEGER",
        "text" | "jsonb" => "TEXT",
        other => panic!("say what a {other} is on SQLite"),
    }
}

#[tokio::test]
async fn both_dialects_have_the_same_tables_and_columns() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let mut postgres = Schema::new();
    for t in tables(&admin).await.into_iter().filter(|t| t.part_of.is_none()) {
        let columns = t.columns.iter().map(|c| (c.name.clone(), (kind(&c.kind).to_owned(), !c.not_null))).collect();
        postgres.insert(t.name, columns);
    }
    let embedded = embedded();
    let mut found = BTreeSet::new();
    for table in postgres.keys().chain(embedded.keys()) {
        let (Some(p), Some(s)) = (postgres.get(table), embedded.get(table)) else {
            found.insert((table.clone(), "*".to_owned()));
            continue;
        };
        for column in p.keys().chain(s.keys()).filter(|c| p.get(*c) != s.get(*c)) {
            found.insert((table.clone(), column.clone()));
        }
    }
    let allowed: BTreeSet<_> = DIFFERENCES.iter().map(|(t, c, _)| ((*t).to_owned(), (*c).to_owned())).collect();
    assert_eq!(found, allowed, "a difference between the dialects needs a reason, and a reason a difference");
    drop(admin);
    db.remove().await.unwrap();
}
