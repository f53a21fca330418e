//! Databases for tests: made from a migrated template, dropped when they are done with.

use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use crate::postgres::{Login, Role, SetupError, create_login, migrate};

/// Made once per server: the migrated schema, and logins of both roles.
const TEMPLATE: &str = "tollgate_template";
static MADE: OnceCell<()> = OnceCell::const_new();

/// Why there is no database for a test.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// The server said no.
    #[error("the test database: {0}")]
    Server(#[from] tokio_postgres::Error),
    /// The migration failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A database of one test.
pub struct Database {
    admin: String,
    name: String,
}

async fn connect(url: &str) -> Result<Client, TestingError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The same URL with another database, and another user when one is given.
fn other(url: &str, user: Option<&str>, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let query = path.split_once('?').map(|(_, q)| format!("?{q}")).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let who = match user {
        Some(user) => format!("{user}:{user}@"),
        None => authority.rsplit_once('@').map(|(who, _)| format!("{who}@")).unwrap_or_default(),
    };
    format!("{scheme}://{who}{host}/{database}{query}")
}

async fn make_template(admin: &str) -> Result<(), TestingError> {
    let client = connect(admin).await?;
    // Several test processes come at once: one makes it.
    client.batch_execute("SELECT pg_advisory_lock(7467617401)").await?;
    let name = format!("{TEMPLATE}_{}", std::env::var("NEXTEST_RUN_ID").unwrap_or_default().replace('-', ""));
    let there = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await?;
    if there.is_none() {
        client.batch_execute(&format!("CREATE DATABASE {name}_new")).await?;
        migrate(&Login::parse(&other(admin, None, &format!("{name}_new")))?).await?;
        for (role, login) in [(Role::Serve, "test_serve"), (Role::Worker, "test_worker")] {
            create_login(&other(admin, None, &format!("{name}_new")), role, login, login).await?;
        }
        client.batch_execute(&format!("ALTER DATABASE {name}_new RENAME TO {name}")).await?;
    }
    Ok(())
}

impl Database {
    /// A new one on this server.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn create(admin: &str) -> Result<Self, TestingError> {
        MADE.get_or_try_init(|| make_template(admin)).await?;
        let template = format!("{TEMPLATE}_{}", std::env::var("NEXTEST_RUN_ID").unwrap_or_default().replace('-', ""));
        let client = connect(admin).await?;
        let id = client.query_one("SELECT replace(gen_random_uuid()::text, '-', '')", &[]).await?;
        let name = format!("test_{}", id.get::<_, String>(0));
        client.batch_execute("SELECT pg_advisory_lock(7467617401)").await?;
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        Ok(Self { admin: admin.to_owned(), name })
    }

    /// As the control plane logs in.
    pub fn serve(&self) -> String {
        other(&self.admin, Some("test_serve"), &self.name)
    }

    /// As a worker logs in.
    pub fn worker(&self) -> String {
        other(&self.admin, Some("test_worker"), &self.name)
    }

    /// As an administrator logs in.
    pub fn admin(&self) -> String {
        other(&self.admin, None, &self.name)
    }

    /// Drops it, whoever is connected.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn remove(&self) -> Result<(), TestingError> {
        let client = connect(&self.admin).await?;
        Ok(client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await?)
    }
}
