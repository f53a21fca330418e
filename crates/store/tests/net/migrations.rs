//! Migrations: in pairs, in any portion, once, and by several at once.

use std::sync::Arc;

use futures_util::future::join_all;
use rusqlite::Connection;
use tokio_postgres::Client;
use tollgate_core::hash::Digest;
use tollgate_core::ports::Registry;
use tollgate_private_postgres::Database;
use tollgate_store::{Login, OpenError, Options, PgOptions, PgStore, Role, SetupError, SqliteStore, migrate, migrate_on_start};
use tollgate_testkit::{SimClock, scope};

use crate::base::{connect, empty_database, migrations, rows};

async fn up(db: &Database) -> Result<(i64, i64), SetupError> {
    migrate(&Login::parse(&db.url()).unwrap()).await
}

/// All that migrations make, as the catalog writes it.
async fn shape(client: &Client) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for sql in [
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
           WHERE c.relnamespace = 'tollgate'::regnamespace ORDER BY 1, a.attnum",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'tollgate' ORDER BY 1",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
           WHERE connamespace = 'tollgate'::regnamespace ORDER BY 1, 2",
        "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'tollgate' ORDER BY 1, 2",
        "SELECT relname, relkind, relrowsecurity, relforcerowsecurity, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) a),
           reloptions::text FROM pg_class
           WHERE relnamespace = 'tollgate'::regnamespace ORDER BY 1",
        "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proowner::regrole::text,
           (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(p.proacl) a) FROM pg_proc p
           WHERE p.pronamespace = 'tollgate'::regnamespace ORDER BY 1",
        "SELECT k, v FROM meta ORDER BY 1",
    ] {
        out.extend(rows(client, sql).await);
    }
    out
}

#[track_caller]
fn same(is: &[Vec<String>], wanted: &[Vec<String>], what: &str) {
    let more: Vec<_> = is.iter().filter(|r| !wanted.contains(r)).collect();
    let less: Vec<_> = wanted.iter().filter(|r| !is.contains(r)).collect();
    assert!(more.is_empty() && less.is_empty() && is.len() == wanted.len(), "{what}: {more:?} instead of {less:?}");
}

#[test]
fn migrations_come_in_pairs_with_one_number_and_name() {
    let names = |dialect: &str| migrations(dialect).into_iter().map(|(n, name, _)| (n, name)).collect::<Vec<_>>();
    assert_eq!(names("sqlite"), names("postgres"));
    let numbers: Vec<i64> = names("sqlite").into_iter().map(|(n, _)| n).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn all_at_once_is_one_at_a_time_and_twice_is_once() {
    let all = migrations("postgres");
    let version = all.len() as i64;
    let whole = empty_database();
    assert_eq!(up(&whole).await.unwrap(), (0, version));
    let client = connect(&whole.url()).await;
    let wanted = shape(&client).await;
    assert_eq!(up(&whole).await.unwrap(), (version, version));
    same(&shape(&client).await, &wanted, "the second time changed something");
    for stop in 1..=all.len() {
        let db = empty_database();
        let client = connect(&db.url()).await;
        client.batch_execute("CREATE SCHEMA tollgate; SET search_path = tollgate").await.unwrap();
        for (number, _, sql) in &all[..stop] {
            let note = format!("INSERT INTO meta VALUES ('schema_version', {number}) ON CONFLICT (k) DO UPDATE SET v = excluded.v");
            client.batch_execute(&format!("BEGIN; {sql}; {note}; COMMIT")).await.unwrap();
        }
        assert_eq!(up(&db).await.unwrap(), (stop as i64, version));
        same(&shape(&client).await, &wanted, "after some alone, the rest together");
    }
}

#[tokio::test]
async fn a_start_over_this_programs_schema_waits_for_nobody_and_another_says_everything_anew() {
    let db = empty_database();
    let (login, version) = (Login::parse(&db.url()).unwrap(), migrations("postgres").len() as i64);
    assert_eq!(migrate_on_start(&login).await.unwrap(), (0, version));
    let client = connect(&db.url()).await;
    // Somebody is at work with everything.
    let busy = connect(&db.url()).await;
    let tables = rows(&client, "SELECT tablename FROM pg_tables WHERE schemaname = 'tollgate'").await.concat().join(", ");
    busy.batch_execute(&format!("BEGIN; LOCK TABLE {tables} IN ACCESS SHARE MODE; LOCK TABLE runs, ready IN ROW EXCLUSIVE MODE"))
        .await
        .unwrap();
    client.batch_execute("DROP FUNCTION pending()").await.unwrap();
    assert_eq!(migrate_on_start(&login).await.unwrap(), (version, version));
    let there = "SELECT to_regprocedure('tollgate.pending()') IS NOT NULL";
    assert_eq!(rows(&client, there).await, [["f"]], "nothing was said anew");
    busy.batch_execute("COMMIT").await.unwrap();
    client.batch_execute("UPDATE meta SET v = v + 1 WHERE k = 'schema_texts'").await.unwrap();
    migrate_on_start(&login).await.unwrap();
    assert_eq!(rows(&client, there).await, [["t"]], "the texts of another program");
}

#[tokio::test]
async fn several_that_migrate_at_once_do_it_once() {
    let version = migrations("postgres").len() as i64;
    let dbs: Vec<_> = (0..3).map(|_| empty_database()).collect();
    // Of one database, and of one cluster, whose roles are everybody's.
    let outs = join_all(dbs.iter().flat_map(|db| (0..3).map(move |_| up(db)))).await;
    for three in outs.chunks(3) {
        let mut from: Vec<_> = three.iter().map(|o| o.as_ref().unwrap_or_else(|e| panic!("{e}"))).copied().collect();
        from.sort_unstable();
        assert_eq!(from, [(0, version), (version, version), (version, version)]);
    }
    let shapes = [shape(&connect(&dbs[0].url()).await).await, shape(&connect(&dbs[1].url()).await).await];
    same(&shapes[0], &shapes[1], "two databases differ");
}

#[tokio::test]
async fn another_programs_version_is_refused_and_left_alone() {
    let db = empty_database();
    let serve = |db: &Database| {
        let login = Login::parse(&db.url().replacen(&user(&db.url()), "test_serve:test_serve", 1)).unwrap();
        PgOptions { login, role: Role::Serve, readers: 1, clock: None, inline: None, on_commit: Box::new(|_| {}) }
    };
    // Makes the logins.
    crate::base::database().await.remove().await.unwrap();
    let version = migrations("postgres").len() as i64;
    assert!(matches!(PgStore::open(serve(&db)).await, Err(SetupError::NotMigrated { found: 0, .. })));
    up(&db).await.unwrap();
    let client = connect(&db.url()).await;
    let before = shape(&client).await;
    for (found, newer) in [(version + 1, true), (version - 1, false)] {
        client.batch_execute(&format!("UPDATE meta SET v = {found} WHERE k = 'schema_version'")).await.unwrap();
        let out = PgStore::open(serve(&db)).await.err().unwrap();
        if newer {
            assert!(matches!(out, SetupError::Newer { found: f, needed } if (f, needed) == (found, version)), "{out}");
            assert!(matches!(up(&db).await, Err(SetupError::Newer { .. })));
            client.batch_execute(&format!("UPDATE meta SET v = {version} WHERE k = 'schema_version'")).await.unwrap();
            same(&shape(&client).await, &before, "a refused migration changed something");
        } else {
            assert!(matches!(out, SetupError::NotMigrated { found: f, needed } if (f, needed) == (found, version)), "{out}");
        }
    }
}

fn user(url: &str) -> String {
    url.split("://").nth(1).unwrap().split('@').next().unwrap().to_owned()
}

fn options(path: &std::path::Path) -> Options {
    Options { path: Some(path.to_owned()), clock: Arc::new(SimClock::default()), inline: false, on_commit: Box::new(|_| {}) }
}

/// A row for every table of this schema; `i` keeps them apart.
fn fill(conn: &Connection, i: u8) {
    let tables: Vec<String> = texts(conn, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    let s = scope();
    for t in tables {
        let mut sql = conn.prepare(&format!("SELECT name, type FROM pragma_table_info('{t}')")).unwrap();
        let columns: Vec<(String, String)> = sql.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect();
        let values = columns.iter().map(|(name, kind)| match (name.as_str(), kind.as_str()) {
            ("tenant_id", _) => rusqlite::types::Value::Blob(s.tenant_id.as_bytes().to_vec()),
            ("reseller_id", _) => rusqlite::types::Value::Blob(s.reseller_id.as_bytes().to_vec()),
            ("mode", _) => rusqlite::types::Value::Integer(s.mode.as_int()),
            ("digest" | "bundle", _) => rusqlite::types::Value::Blob(vec![i; 32]),
            ("proposal", _) => rusqlite::types::Value::Blob(br#"{"independent":false,"continue_on_failure":true}"#.to_vec()),
            ("range", _) => rusqlite::types::Value::Text("{}".to_owned()),
            (_, "BLOB") => rusqlite::types::Value::Blob(vec![i; 16]),
            (_, "INTEGER") => rusqlite::types::Value::Integer(i64::from(i)),
            _ => rusqlite::types::Value::Text(format!("{name}{i}")),
        });
        let marks = vec!["?"; columns.len()].join(", ");
        conn.execute(&format!("INSERT INTO {t} VALUES ({marks})"), rusqlite::params_from_iter(values))
            .unwrap_or_else(|e| panic!("{t}: {e}"));
    }
}

fn texts(conn: &Connection, sql: &str) -> Vec<String> {
    conn.prepare(sql).unwrap().query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect()
}

pub fn folder() -> std::path::PathBuf {
    let name = format!("net-{}-{:?}", std::process::id(), std::thread::current().id());
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[tokio::test]
async fn a_store_file_of_any_version_comes_up_with_its_data() {
    let all = migrations("sqlite");
    for stop in 1..all.len() {
        let dir = folder();
        let path = dir.join("store.db");
        let conn = Connection::open(&path).unwrap();
        for (number, _, sql) in &all[..stop] {
            conn.execute_batch(&format!("{sql}; PRAGMA user_version = {number}")).unwrap();
        }
        conn.execute_batch(&format!("PRAGMA application_id = {}", 0x7467_6174)).unwrap();
        fill(&conn, 7);
        let before = texts(&conn, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
        drop(conn);
        let store = SqliteStore::open(options(&path)).unwrap();
        assert_eq!(store.artifact(Digest([7; 32])).await.unwrap(), Some(vec![7; 16]));
        assert_eq!(store.active_bundle(scope()).await.unwrap(), Some(Digest([7; 32])));
        assert_eq!(store.statuses(scope()).await.unwrap().len(), 1);
        drop(store);
        let conn = Connection::open(&path).unwrap();
        for table in before {
            let n: i64 = conn.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |r| r.get(0)).unwrap();
            assert_eq!(n, 1, "the row of `{table}`, of version {stop}");
        }
        let (flags, mode): (i64, i64) =
            conn.query_row("SELECT a.flags, q.mode FROM actions a, approval_queues q", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        // What version 2 works out of proposals.
        assert_eq!((flags, mode), (if stop == 1 { 2 } else { 7 }, scope().mode.as_int()));
        drop(conn);
        // Once more changes nothing.
        drop(SqliteStore::open(options(&path)).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_store_file_of_a_newer_program_is_refused_and_left_alone() {
    let dir = folder();
    let path = dir.join("store.db");
    drop(SqliteStore::open(options(&path)).unwrap());
    let newer = migrations("sqlite").len() as i64 + 1;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(SqliteStore::open(options(&path)), Err(OpenError::Newer { found, .. }) if found == newer));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::remove_dir_all(&dir).unwrap();
}
