//! The server that tests share, and a database of one's own on it.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{SqlError, StartError};
use crate::options::Options;
use crate::programs::find_psql;
use crate::psql;
use crate::server::Server;
use crate::template::random_hex;

/// Names the superuser's address of a running server, set by `private-postgres run`.
pub const SHARED_SERVER: &str = "TOLLGATE_TEST_POSTGRES";

/// This process's own server, while somebody uses it.
static OWN: Mutex<Weak<Place>> = Mutex::new(Weak::new());

/// A server to make databases on. It can be neither stopped nor killed: others may be using it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Place>);

#[derive(Debug)]
enum Place {
    Given { url: String, psql: Option<PathBuf> },
    Own(Box<Server>),
}

/// A database with a random name; dropped with this value where the server goes on.
#[derive(Debug)]
pub struct Database {
    server: Shared,
    name: String,
}

impl Shared {
    pub(crate) fn find() -> Result<Self, StartError> {
        match env::var(SHARED_SERVER).ok().filter(|u| !u.is_empty()) {
            Some(url) => Ok(Self::given(url)),
            None => Self::own(),
        }
    }

    fn given(url: String) -> Self {
        Self(Arc::new(Place::Given { url, psql: find_psql() }))
    }

    fn own() -> Result<Self, StartError> {
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = own.upgrade() {
            return Ok(Self(running));
        }
        let started = Arc::new(Place::Own(Box::new(Server::start(&Options::new().fast_unsafe())?)));
        *own = Arc::downgrade(&started);
        Ok(Self(started))
    }

    /// The superuser's address of a database.
    pub fn url(&self, database: &str) -> String {
        match &*self.0 {
            Place::Given { url, .. } => psql::with_database(url, database),
            Place::Own(server) => server.url(database),
        }
    }

    /// Makes an empty database, which stays.
    pub fn create_database(&self, name: &str) -> Result<(), SqlError> {
        self.psql("postgres", &psql::create(name)?).map(drop)
    }

    /// Drops a database, whoever is connected; nothing happens if there is none.
    pub fn drop_database(&self, name: &str) -> Result<(), SqlError> {
        self.psql("postgres", &psql::drop(name)?).map(drop)
    }

    /// Runs statements in a database as the superuser; gives the rows, columns parted by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, SqlError> {
        match &*self.0 {
            Place::Given { url, psql } => psql::run(psql.as_deref(), &psql::with_database(url, database), sql),
            Place::Own(server) => server.psql(database, sql),
        }
    }

    /// An empty database of the caller's own.
    pub fn fresh_database(&self) -> Result<Database, SqlError> {
        let name = format!("test_{}", random_hex()?);
        self.create_database(&name)?;
        Ok(Database { server: self.clone(), name })
    }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The superuser's address of it.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The server it lies on.
    pub fn server(&self) -> &Shared {
        &self.server
    }

    /// Runs statements in it as the superuser; gives the rows, columns parted by `|`.
    pub fn psql(&self, sql: &str) -> Result<String, SqlError> {
        self.server.psql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server of our own goes with its last user, and takes the database along.
        let stays = matches!(*self.server.0, Place::Given { .. }) || Arc::strong_count(&self.server.0) > 1;
        if stays {
            let _ = self.server.drop_database(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    fn databases(server: &Shared) -> String {
        server.psql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'test%' ORDER BY 1").unwrap()
    }

    #[test]
    fn on_a_given_server_a_database_is_dropped_and_the_server_stays() {
        let server = Server::start(&Options::new().fast_unsafe()).unwrap();
        let given = Shared::given(server.url("postgres"));
        let (one, other) = (given.fresh_database().unwrap(), given.fresh_database().unwrap());
        one.psql("CREATE TABLE t (x int); INSERT INTO t VALUES (7)").unwrap();
        assert_eq!(one.psql("SELECT x FROM t").unwrap(), "7");
        assert!(matches!(other.psql("SELECT x FROM t"), Err(SqlError::Refused(_))), "two tests got one database");
        assert_eq!(one.psql("SELECT current_database()").unwrap(), one.name());
        assert_eq!(databases(&given).lines().count(), 2);
        drop(one);
        assert_eq!(databases(&given), other.name());
        drop((other, given));
        assert_eq!(server.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'").unwrap(), "0");
    }

    #[test]
    fn our_own_server_is_one_for_all_who_use_it_at_a_time_and_goes_with_the_last() {
        let first = Shared::own().unwrap();
        let second = Shared::own().unwrap().fresh_database().unwrap();
        assert_eq!(first.url("x"), second.server().url("x"));
        let name = second.name().to_owned();
        drop(second);
        assert!(!databases(&first).contains(&name), "a database outlived its test on a server that goes on");
        let url = first.url("postgres");
        let last = first.fresh_database().unwrap();
        drop(first);
        assert_eq!(last.psql("SELECT 1").unwrap(), "1");
        drop(last);
        assert!(Shared::given(url).psql("postgres", "SELECT 1").is_err(), "the server outlived its users");
    }
}
