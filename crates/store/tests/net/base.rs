//! A database of a test's own, and plain questions to it.

use std::sync::LazyLock;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tollgate_private_postgres::{Server, Shared};
use tollgate_store::testing::Database;

static SERVER: LazyLock<Shared> = LazyLock::new(|| Server::shared().unwrap());

/// The superuser's address of a database on the tests' server.
pub fn admin_url(database: &str) -> String {
    SERVER.url(database)
}

/// A migrated database.
pub async fn database() -> Database {
    Database::create(&admin_url("postgres")).await.unwrap()
}

/// A connection to one.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET search_path = tollgate").await.unwrap();
    client
}

/// A row as text.
pub type Texts = Vec<Option<String>>;

/// Rows of a statement, and how many it touched; or the code that it failed with.
pub async fn ask(client: &Client, sql: &str) -> Result<(Vec<Texts>, u64), String> {
    let answer = client.simple_query(sql).await.map_err(|e| match e.as_db_error() {
        Some(db) => db.code().code().to_owned(),
        None => panic!("{sql}: {e}"),
    })?;
    let (mut rows, mut touched) = (Vec::new(), 0);
    for message in answer {
        match message {
            SimpleQueryMessage::Row(r) => rows.push((0..r.len()).map(|i| r.get(i).map(str::to_owned)).collect()),
            SimpleQueryMessage::CommandComplete(n) => touched = n,
            _ => {}
        }
    }
    Ok((rows, touched))
}

/// The same of a statement that must not fail, without NULLs.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let (rows, _) = ask(client, sql).await.unwrap_or_else(|code| panic!("{code}: {sql}"));
    rows.into_iter().map(|r| r.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

/// Whether a yes-or-no statement says yes.
pub async fn yes(client: &Client, sql: &str) -> bool {
    rows(client, sql).await[0][0] == "t"
}

/// A statement whose effects are taken back.
pub async fn attempt(client: &Client, sql: &str) -> Result<(Vec<Texts>, u64), String> {
    client.batch_execute("BEGIN").await.unwrap();
    let out = ask(client, sql).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    out
}

/// The numbered migrations of a dialect: number, name, text.
pub fn migrations(dialect: &str) -> Vec<(i64, String, String)> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
    let names = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.starts_with(|c: char| c.is_ascii_digit())).collect();
    names.sort();
    names.into_iter().map(|n| (n[..4].parse().unwrap(), n.clone(), std::fs::read_to_string(dir.join(&n)).unwrap())).collect()
}

/// The embedded schema, in memory.
pub fn sqlite() -> rusqlite::Connection {
    let conn = rusqlite::Connection::open_in_memory().unwrap();
    for (_, name, sql) in migrations("sqlite") {
        conn.execute_batch(&sql).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    conn
}

/// An empty database.
pub fn empty_database() -> tollgate_private_postgres::Database {
    SERVER.fresh_database().unwrap()
}
