//! What an administrator makes for the service: databases, and logins that are members of one of its roles and nothing more.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::migrate::{connect, said};
use super::options::{Login, Role, SetupError};

/// Logins belong to the whole server: one is made at a time.
const LOCK: i64 = 0x7467_6174_6c6f_6701;

/// Makes an empty database on the server of an administrator's URL; answers the same URL for the new one.
///
/// # Errors
/// When the URL cannot be used, or may make no databases.
pub async fn create_database(admin: &str, name: &str) -> Result<String, SetupError> {
    on_database(admin, name, "CREATE DATABASE %I").await?;
    Ok(url_of(admin, name))
}

/// Drops a database, whoever is connected. Nothing happens when there is none.
///
/// # Errors
/// When the URL cannot be used, or may not do it.
pub async fn drop_database(admin: &str, name: &str) -> Result<(), SetupError> {
    on_database(admin, name, "DROP DATABASE IF EXISTS %I WITH (FORCE)").await
}

/// Drops logins of these names that there are.
///
/// # Errors
/// When the URL cannot be used, or may not do it.
pub async fn drop_logins(admin: &str, names: &[&str]) -> Result<(), SetupError> {
    let client = connect(&Login::parse(admin)?).await?;
    for name in names {
        perform(&client, "SELECT format('DROP ROLE IF EXISTS %I', $1::text)", &[name])
            .await
            .map_err(|e| SetupError::Provision { name: (*name).to_owned(), message: said(&e) })?;
    }
    Ok(())
}

async fn on_database(admin: &str, name: &str, sql: &str) -> Result<(), SetupError> {
    let client = connect(&Login::parse(admin)?).await?;
    let done = perform(&client, &format!("SELECT format('{sql}', $1::text)"), &[&name]).await;
    done.map_err(|e| SetupError::Provision { name: name.to_owned(), message: said(&e) })
}

/// Runs what a query answers: only the server knows how its names are quoted.
async fn perform(client: &Client, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<(), tokio_postgres::Error> {
    let row = client.query_one(text, params).await?;
    client.batch_execute(row.get(0)).await
}

/// Makes a login for a role, or gives the one of this name the role and this password. Answers the URL under which it reaches the database
/// that the administrator's URL names.
///
/// # Errors
/// When the administrator's URL cannot be used, or may make no logins.
pub async fn create_login(admin: &str, role: Role, name: &str, password: &str) -> Result<String, SetupError> {
    let client = connect(&Login::parse(admin)?).await?;
    make(&client, role, name, password).await.map_err(|e| SetupError::Provision { name: name.to_owned(), message: said(&e) })?;
    Ok(url_as(admin, name, password))
}

async fn make(client: &Client, role: Role, name: &str, password: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
    let text = "SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
         THEN format('ALTER ROLE %I LOGIN PASSWORD %L; GRANT %I TO %I', $1::text, $2::text, $3::text, $1::text)
         ELSE format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I', $1::text, $2::text, $3::text) END";
    perform(client, text, &[&name, &password, &role.as_str()]).await
}

/// The same URL with another database.
fn url_of(url: &str, database: &str) -> String {
    let start = url.find("://").map_or(0, |i| i + 3);
    let rest = url.get(start..).unwrap_or_default();
    let end = start + rest.find(['/', '?']).unwrap_or(rest.len());
    let query = url.find('?').and_then(|i| url.get(i..)).unwrap_or_default();
    format!("{}/{}{query}", url.get(..end).unwrap_or(url), escaped(database))
}

/// The same URL with another user.
fn url_as(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{}:{}@{host}{path}", escaped(user), escaped(password))
}

/// What would end a part of a URL is written as `%` and two digits.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_user_of_the_same_database() {
        let of = |url| url_as(url, "tollgate", "a/b@c");
        assert_eq!(of("postgres://root:secret@db:5432/x?connect_timeout=1"), "postgres://tollgate:a%2Fb%40c@db:5432/x?connect_timeout=1");
        assert_eq!(of("postgresql://db/x"), "postgresql://tollgate:a%2Fb%40c@db/x");
    }

    #[test]
    fn another_database_for_the_same_user() {
        assert_eq!(url_of("postgres://root:secret@db:5432/x?connect_timeout=1", "y"), "postgres://root:secret@db:5432/y?connect_timeout=1");
        assert_eq!(url_of("postgres://root@db", "a b"), "postgres://root@db/a%20b");
    }
}
