//! Migrations, run by the binary: forward only, safe when several processes start at once.

use tokio_postgres::Client;

use super::options::{Login, SetupError};
use super::tls::refusal;

/// The version this binary writes and reads.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;
/// By their numbers, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_init.sql"),
    include_str!("../../migrations/postgres/0002_processes.sql"),
    include_str!("../../migrations/postgres/0003_graphs.sql"),
    include_str!("../../migrations/postgres/0004_streams.sql"),
    include_str!("../../migrations/postgres/0005_retention.sql"),
    include_str!("../../migrations/postgres/0006_limits.sql"),
];
const SECURITY: &str = include_str!("../../migrations/postgres/security.sql");
const DISPATCH: &str = include_str!("../../migrations/postgres/dispatch.sql");
const KEEP: &str = include_str!("../../migrations/postgres/keep.sql");
/// Statistics of what has rows. An empty table that was analysed is planned for as empty: every statement that is prepared on it walks all of
/// it, until it is analysed again. One that never was is planned for as if it were small.
const ANALYZE: &str = "DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tollgate'::regnamespace AND c.relkind IN ('r', 'p') AND (pg_relation_size(c.oid) > 0
    OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid AND pg_relation_size(i.inhrelid) > 0)) LOOP
    EXECUTE format('ANALYZE %s', t);
  END LOOP;
END $$";
/// One migration at a time in a database.
const LOCK: i64 = 0x7467_6174_6d69_6701;

/// Brings a database to this binary's version; answers from and to which. The login owns what it makes: it is an administrator's, and no
/// service runs as it.
///
/// # Errors
/// When the database cannot be reached, is too old or of a later version, or a migration fails.
pub async fn migrate(login: &Login) -> Result<(i64, i64), SetupError> {
    let client = connect(login).await?;
    check_server(&client).await?;
    let failed = |number| move |e: tokio_postgres::Error| SetupError::Migration { number, message: said(&e) };
    client
        .batch_execute(&format!("SET client_min_messages = warning; SELECT pg_advisory_lock({LOCK}); CREATE SCHEMA IF NOT EXISTS tollgate; SET search_path = tollgate"))
        .await
        .map_err(failed(0))?;
    let found = version(&client).await?;
    if found > VERSION {
        return Err(SetupError::Newer { found, needed: VERSION });
    }
    for (number, sql) in (1_i64..).zip(MIGRATIONS).filter(|(n, _)| *n > found) {
        let note = format!("INSERT INTO meta (k, v) VALUES ('schema_version', {number}) ON CONFLICT (k) DO UPDATE SET v = excluded.v");
        client.batch_execute(&format!("BEGIN; {sql}; {note}; COMMIT")).await.map_err(failed(number))?;
    }
    client.batch_execute(&format!("BEGIN; {SECURITY}; {DISPATCH}; {KEEP}; COMMIT; {ANALYZE}")).await.map_err(failed(VERSION))?;
    Ok((found, VERSION))
}

pub(super) async fn connect(login: &Login) -> Result<Client, SetupError> {
    let unreachable = |e: tokio_postgres::Error| match refusal(&e) {
        Some(message) => SetupError::Untrusted { shown: login.shown(), message },
        None => SetupError::Unreachable { shown: login.shown(), message: said(&e) },
    };
    let (client, connection) = login.connect().await.map_err(unreachable)?;
    tokio::spawn(async move {
        // Whoever uses the client hears of it.
        let _ = connection.await;
    });
    Ok(client)
}

/// What the server said, or why it said nothing.
pub(super) fn said(e: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    if let Some(why) = refusal(e) {
        return why;
    }
    e.as_db_error().map_or_else(|| e.source().map_or_else(|| e.to_string(), ToString::to_string), |db| db.message().to_owned())
}

pub(super) async fn check_server(client: &Client) -> Result<(), SetupError> {
    let broken = |e: tokio_postgres::Error| SetupError::Unreachable { shown: String::new(), message: said(&e) };
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int, current_setting('server_version')", &[])
        .await
        .map_err(broken)?;
    if row.get::<_, i32>(0) < 150_000 { Err(SetupError::TooOld(row.get(1))) } else { Ok(()) }
}

/// The schema's version; 0 when there is none.
pub(super) async fn version(client: &Client) -> Result<i64, SetupError> {
    let broken = |e: tokio_postgres::Error| SetupError::Unreachable { shown: String::new(), message: said(&e) };
    let there = client.query_one("SELECT to_regclass('tollgate.meta') IS NOT NULL", &[]).await.map_err(broken)?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let row = client.query_opt("SELECT v FROM tollgate.meta WHERE k = 'schema_version'", &[]).await.map_err(broken)?;
    Ok(row.map_or(0, |r| r.get(0)))
}
