//! No table is forgotten when a tenant is removed: rows of two tenants in every table that a catalog has, and afterwards what is left of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::Value;
use tollgate_core::action::ActionState;
use tollgate_core::id::TenantId;
use tollgate_core::ports::{Keep, Registry, StoreError};
use tollgate_core::run::RunState;
use tollgate_store::{Login, Options, PgStore, RETENTION, Removal, SqliteStore};
use tollgate_testkit::SimClock;

use crate::base::{connect, database, rows};
use crate::catalog::{Table, tables};
use crate::races::stores;

/// The tenants: one goes, one stays.
const TENANTS: [[u8; 16]; 2] = [[0xaa; 16], [0xbb; 16]];
/// Rows of each tenant in each mode.
const ROWS: u64 = 3;

/// Queues that are empty before a tenant may go.
const TOLD: [&str; 3] = ["outbox_queue", "unpublished", "unsequenced"];

/// Rows by table and tenant.
type Counts = BTreeMap<String, [u32; 2]>;

/// What must be left, of what there was. Newest rows of the two modes stay where the table has positions.
fn left(before: &Counts, positions: impl Fn(&str) -> bool) -> Counts {
    let removal = |table: &str| RETENTION.iter().find(|(t, ..)| *t == table).unwrap().2;
    let of = |(table, [goes, stays]): (&String, &[u32; 2])| {
        assert!(*goes > 0 && *stays > 0, "`{table}` was not filled");
        let kept = match removal(table) {
            Removal::Emptied(_) if positions(table) => 2,
            _ if TOLD.contains(&table.as_str()) => return (table.clone(), [0, 0]),
            Removal::Log => *goes,
            Removal::Asking | Removal::Keys | Removal::Gone | Removal::Emptied(_) => 0,
            Removal::Nobodys => panic!("`{table}` says whose its rows are: they are somebody's"),
        };
        (table.clone(), [kept, *stays])
    };
    before.iter().map(of).collect()
}

fn refused(said: Result<BTreeMap<String, u64>, StoreError>) {
    assert!(matches!(&said, Err(StoreError::Conflict(m)) if m.contains("not over")), "{said:?}");
}

fn over() -> [String; 3] {
    [
        format!("UPDATE runs SET state = {}", RunState::Succeeded.as_int()),
        format!("UPDATE actions SET state = {}", ActionState::Done.as_int()),
        "UPDATE replays SET next = end_at".to_owned(),
    ]
}

fn uuid(tenant: [u8; 16]) -> String {
    let hex = tenant.map(|b| format!("{b:02x}")).concat();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

async fn counts(client: &tokio_postgres::Client, tables: &[Table]) -> Counts {
    let mut out = Counts::new();
    for t in tables {
        let of = |tenant| format!("SELECT count(*) FROM {} WHERE tenant_id = '{}'", t.name, uuid(tenant));
        let n = [rows(client, &of(TENANTS[0])).await, rows(client, &of(TENANTS[1])).await];
        out.insert(t.name.clone(), n.map(|r| r[0][0].parse().unwrap()));
    }
    out
}

#[tokio::test]
async fn on_postgres_nothing_of_a_removed_tenant_is_left_but_its_logs() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let store: PgStore = Arc::into_inner(stores(&db, 1).await.remove(0)).unwrap().with_admin(Login::parse(&db.admin()).unwrap());
    let owned: Vec<Table> = tables(&admin).await.into_iter().filter(|t| t.part_of.is_none() && t.has("tenant_id")).collect();
    for t in &owned {
        for (seed, tenant) in (1..).zip(TENANTS) {
            for mode in 0..2 {
                let fill = t.fill(&uuid(tenant), mode, seed * 2 + u64::from(mode), ROWS);
                admin.batch_execute(&format!("{fill} ON CONFLICT DO NOTHING")).await.unwrap();
            }
        }
    }
    let before = counts(&admin, &owned).await;
    let tenant = TenantId::from_bytes(TENANTS[0]);
    refused(store.remove_tenant(tenant).await);
    assert_eq!(counts(&admin, &owned).await, before, "nothing while something is under way");

    for queue in TOLD {
        admin.batch_execute(&format!("DELETE FROM {queue}")).await.unwrap();
    }
    for sql in over() {
        admin.batch_execute(&format!("{sql} WHERE tenant_id = '{}'", uuid(TENANTS[0]))).await.unwrap();
    }
    let unsigned = store.remove_tenant(tenant).await.unwrap_err().to_string();
    assert!(unsigned.contains("signed checkpoint"), "{unsigned}");
    admin.batch_execute("UPDATE checkpoints SET size = size + 1000000000000").await.unwrap();
    assert_eq!(store.under_way(tenant).await.unwrap(), 0);
    let rev = store.config_rev().await.unwrap();
    let gone = store.remove_tenant(tenant).await.unwrap();
    let has = |table: &str| owned.iter().any(|t| t.name == table && t.has("pos"));
    assert_eq!(counts(&admin, &owned).await, left(&before, has));
    assert_eq!(gone["runs"], u64::from(before["runs"][0]));
    assert!(store.config_rev().await.unwrap() > rev, "what was in force is asked for anew");
    let newest = format!(
        "SELECT length(body), (SELECT max(pos) FROM outbox n WHERE n.mode = o.mode AND n.tenant_id = o.tenant_id) = pos
        FROM outbox o WHERE tenant_id = '{}'",
        uuid(TENANTS[0])
    );
    assert_eq!(rows(&admin, &newest).await, [["1", "t"], ["1", "t"]], "positions without content");
    assert_eq!(store.remove_tenant(tenant).await.unwrap().values().sum::<u64>(), 0, "twice is harmless");
    drop((admin, store));
    db.remove().await.unwrap();
}

/// The table's columns: name, type.
fn columns(conn: &rusqlite::Connection, table: &str) -> Vec<(String, String)> {
    let mut sql = conn.prepare(&format!("SELECT name, type FROM pragma_table_info('{table}')")).unwrap();
    sql.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// One row of a table: the `n`th of a tenant. A row of a run is one of the run that was made with it.
fn put(conn: &rusqlite::Connection, table: &str, tenant: usize, n: u8) {
    let i = u8::try_from(tenant).unwrap() * 64 + n + 1;
    let value = |(name, kind): &(String, String)| match (name.as_str(), kind.as_str()) {
        ("tenant_id", _) => Value::Blob(TENANTS[tenant].to_vec()),
        ("mode", _) => Value::Integer(i64::from(n) % 2),
        ("proposal", _) => Value::Blob(b"{}".to_vec()),
        (_, "BLOB") => Value::Blob(vec![i; 16]),
        (_, "INTEGER") => Value::Integer(i64::from(i)),
        _ => Value::Text(format!("{name}{i}")),
    };
    let values: Vec<Value> = columns(conn, table).iter().map(value).collect();
    let marks = vec!["?"; values.len()].join(", ");
    conn.execute(&format!("INSERT OR IGNORE INTO {table} VALUES ({marks})"), rusqlite::params_from_iter(values)).unwrap();
}

/// The tables whose rows somebody's are, and how to tell whose.
fn owned(conn: &rusqlite::Connection) -> BTreeMap<String, String> {
    let mut sql = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap();
    let names: Vec<String> = sql.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect();
    let whose = |table: String| {
        let has = |c: &str| columns(conn, &table).iter().any(|(name, _)| name == c);
        let how = if has("tenant_id") { "tenant_id" } else { "run_id" };
        has(how).then(|| (table.clone(), how.to_owned()))
    };
    names.into_iter().filter_map(whose).collect()
}

fn embedded(conn: &rusqlite::Connection, owned: &BTreeMap<String, String>) -> Counts {
    let count = |table: &str, how: &str, tenant: usize| {
        let first = u8::try_from(tenant).unwrap() * 64;
        let (from, to) = if how == "run_id" { ([first; 16], [first + 63; 16]) } else { (TENANTS[tenant], TENANTS[tenant]) };
        conn.query_row(&format!("SELECT COUNT(*) FROM {table} WHERE {how} BETWEEN ?1 AND ?2"), [from, to], |r| r.get(0)).unwrap()
    };
    owned.iter().map(|(table, how)| (table.clone(), [count(table, how, 0), count(table, how, 1)])).collect()
}

#[tokio::test]
async fn on_the_embedded_store_nothing_of_a_removed_tenant_is_left_but_its_logs() {
    let dir = crate::migrations::folder();
    let path = dir.join("store.db");
    let open = || {
        let options =
            Options { path: Some(path.clone()), clock: Arc::new(SimClock::default()), inline: false, on_commit: Box::new(|_| {}) };
        SqliteStore::open(options).unwrap()
    };
    drop(open());
    let conn = rusqlite::Connection::open(&path).unwrap();
    let tables = owned(&conn);
    for table in tables.keys() {
        (0..2).for_each(|tenant| (0..u8::try_from(2 * ROWS).unwrap()).for_each(|n| put(&conn, table, tenant, n)));
    }
    // More than one slice of some.
    let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        INSERT INTO outbox SELECT 1000 + i, 1, 1, x'00', ?1, ?1, i % 2 FROM n";
    conn.execute(more, [TENANTS[0]]).unwrap();
    let before = embedded(&conn, &tables);
    let tenant = TenantId::from_bytes(TENANTS[0]);
    let store = open();
    refused(store.remove_tenant(tenant).await);
    assert_eq!(embedded(&conn, &tables), before, "nothing while something is under way");

    for sql in over() {
        conn.execute(&format!("{sql} WHERE tenant_id = ?1"), [TENANTS[0]]).unwrap();
    }
    let rev = store.config_rev().await.unwrap();
    let gone = store.remove_tenant(tenant).await.unwrap();
    let has = |table: &str| columns(&conn, table).iter().any(|(name, _)| name == "pos");
    assert_eq!(embedded(&conn, &tables), left(&before, has));
    assert_eq!([gone["runs"], gone["lanes"]], [before["runs"][0], before["lanes"][0]].map(u64::from));
    assert!(store.config_rev().await.unwrap() > rev, "what was in force is asked for anew");
    let sql = "SELECT (SELECT SUM(length(body)) FROM outbox WHERE tenant_id = ?1), (SELECT group_concat(payload || source) FROM events WHERE tenant_id = ?1)";
    let emptied: (i64, String) = conn.query_row(sql, [TENANTS[0]], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    assert_eq!(emptied, (2, "null,null".to_owned()), "positions without content");
    assert_eq!(store.remove_tenant(tenant).await.unwrap().values().sum::<u64>(), 0, "twice is harmless");
    drop((store, conn));
    std::fs::remove_dir_all(&dir).unwrap();
}
