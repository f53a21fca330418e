//! Migrations, run by the binary: forward only, safe when several processes start at once.

use tokio_postgres::Client;
use tollgate_core::hash::Digest;

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
    include_str!("../../migrations/postgres/0007_fronts.sql"),
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

/// Times that a migration is tried while running work is in its way. Each is one transaction: what fails leaves nothing.
const TRIES: u32 = 10;

/// Brings a database to this binary's version, and says its roles, grants and functions anew; answers from and to which. The login owns what it
/// makes: it is an administrator's, and no service runs as it.
///
/// # Errors
/// When the database cannot be reached, is too old or of a later version, or a migration fails.
pub async fn migrate(login: &Login) -> Result<(i64, i64), SetupError> {
    bring(login, true).await
}

/// The same when a process starts: a database that this binary, or one with the same schema, migrated is left as it is, and nobody who uses it
/// is in the way. Months to come get their partitions.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_on_start(login: &Login) -> Result<(i64, i64), SetupError> {
    bring(login, false).await
}

async fn bring(login: &Login, anew: bool) -> Result<(i64, i64), SetupError> {
    let client = connect(login).await?;
    check_server(&client).await?;
    let failed = |number| move |e: tokio_postgres::Error| SetupError::Migration { number, message: said(&e) };
    client
        .batch_execute(&format!("SET client_min_messages = warning; SELECT pg_advisory_lock({LOCK}); CREATE SCHEMA IF NOT EXISTS tollgate; SET search_path = tollgate; SET lock_timeout = '10s'"))
        .await
        .map_err(failed(0))?;
    let found = version(&client).await?;
    if found > VERSION {
        return Err(SetupError::Newer { found, needed: VERSION });
    }
    if !anew && found == VERSION && said_by(&client).await.map_err(failed(VERSION))? == Some(texts()) {
        let months = "SELECT keep_partitions((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)";
        persist(&client, months).await.map_err(failed(VERSION))?;
        return Ok((found, VERSION));
    }
    let note = |k: &str, v: i64| format!("INSERT INTO meta (k, v) VALUES ('{k}', {v}) ON CONFLICT (k) DO UPDATE SET v = excluded.v");
    for (number, sql) in (1_i64..).zip(MIGRATIONS).filter(|(n, _)| *n > found) {
        persist(&client, &format!("BEGIN; {sql}; {}; COMMIT", note("schema_version", number))).await.map_err(failed(number))?;
    }
    let texts = note("schema_texts", texts());
    persist(&client, &format!("BEGIN; {SECURITY}; {DISPATCH}; {KEEP}; {texts}; COMMIT; {ANALYZE}")).await.map_err(failed(VERSION))?;
    Ok((found, VERSION))
}

/// Runs statements, again when work that runs meanwhile held what they need, or needed what they held.
async fn persist(client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
    use tokio_postgres::error::SqlState as S;
    let mut tries = 1;
    loop {
        match client.batch_execute(sql).await {
            Err(e) if tries < TRIES && matches!(e.code(), Some(c) if [S::T_R_DEADLOCK_DETECTED, S::LOCK_NOT_AVAILABLE].contains(c)) => {
                client.batch_execute("ROLLBACK").await?;
                tries += 1;
            }
            out => return out,
        }
    }
}

/// Names the texts that every migration says anew.
fn texts() -> i64 {
    let all = [SECURITY, DISPATCH, KEEP].concat();
    Digest::of(all.as_bytes()).0.first_chunk().map_or(0, |b| i64::from_be_bytes(*b))
}

/// The same of those that were said last.
async fn said_by(client: &Client) -> Result<Option<i64>, tokio_postgres::Error> {
    Ok(client.query_opt("SELECT v FROM meta WHERE k = 'schema_texts'", &[]).await?.map(|r| r.get(0)))
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
    recent_enough(row.get(0), row.get(1))
}

fn recent_enough(number: i32, name: String) -> Result<(), SetupError> {
    if number < 150_000 { Err(SetupError::TooOld(name)) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_15_is_refused_by_its_name() {
        let said = recent_enough(140_011, "14.11 (Debian 14.11-1)".to_owned()).unwrap_err().to_string();
        assert!(said.contains("14.11") && said.contains("15"), "{said}");
        recent_enough(150_000, "15.0".to_owned()).unwrap();
        recent_enough(180_001, "18.1".to_owned()).unwrap();
    }
}
