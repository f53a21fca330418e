//! How to reach a database, and why it cannot be used.

use std::sync::Arc;

use tokio_postgres_rustls::MakeRustlsConnect;
use tollgate_core::ports::Clock;

use super::tls::Asked;
use crate::backend::Committed;

/// What a process is, and so what it may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The control plane, and processes that are all in one.
    Serve,
    /// The execution plane.
    Worker,
}

impl Role {
    /// The database role whose grants it has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "tollgate_serve",
            Self::Worker => "tollgate_worker",
        }
    }
}

/// Where the database is and who logs in.
#[derive(Clone)]
pub struct Login {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.shown())
    }
}

impl Login {
    /// Reads a URL such as `postgres://user:password@host:5432/database`. With `sslmode=require`, `verify-ca` or `verify-full`, and by
    /// itself for any host but this one, connections are TLS with a certificate that verifies, against the system's roots or
    /// `sslrootcert`.
    ///
    /// # Errors
    /// When it is none, or its root certificates cannot be used. The message never shows the password.
    pub fn parse(url: &str) -> Result<Self, SetupError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(SetupError::BadUrl("it does not begin with postgres://".to_owned()));
        }
        let (url, asked) = Asked::take(url)?;
        let mut config: tokio_postgres::Config = url.parse().map_err(|e: tokio_postgres::Error| {
            let cause = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
            SetupError::BadUrl(cause)
        })?;
        if config.get_hosts().is_empty() || config.get_user().is_none() || config.get_dbname().is_none() {
            return Err(SetupError::BadUrl("it names no host, user or database".to_owned()));
        }
        if config.get_hosts().iter().any(|h| matches!(h, tokio_postgres::config::Host::Tcp(name) if name.contains('@'))) {
            return Err(SetupError::BadUrl("an `@` in its user or password is written %40".to_owned()));
        }
        let tls = asked.settle(&mut config)?;
        config.connect_timeout(std::time::Duration::from_secs(5));
        config.application_name("tollgate");
        Ok(Self { config, tls })
    }

    /// The same login, shown under this name among the database's connections.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.config.application_name(name);
        self
    }

    /// The URL without its password.
    pub fn shown(&self) -> String {
        let host = self.config.get_hosts().first().map(|h| match h {
            tokio_postgres::config::Host::Tcp(h) => h.clone(),
            tokio_postgres::config::Host::Unix(p) => p.display().to_string(),
        });
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let (user, database) = (self.config.get_user().unwrap_or_default(), self.config.get_dbname().unwrap_or_default());
        format!("postgres://{user}@{}:{port}/{database}", host.unwrap_or_default())
    }
}

/// How to open a store on Postgres.
pub struct PgOptions {
    /// Where.
    pub login: Login,
    /// As what.
    pub role: Role,
    /// Connections for reads, at most; two more commit.
    pub readers: usize,
    /// A clock in the place of the database's, for tests.
    pub clock: Option<Arc<dyn Clock>>,
    /// Everything runs to its end in the caller's thread, its connections in this runtime. For the simulator.
    pub inline: Option<tokio::runtime::Handle>,
    /// Called after a commit of this process that others may wait for. Must not block.
    pub on_commit: Box<dyn Fn(Committed) + Send + Sync>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL is none.
    #[error("the database URL cannot be used: {0}; it looks like postgres://user:password@host:5432/database")]
    BadUrl(String),
    /// What it says of TLS cannot be done.
    #[error("the database URL cannot be used: {0}")]
    BadTls(String),
    /// The certificates that its own is to be verified against.
    #[error("the root certificates {roots} cannot be used: {message}; sslrootcert names a PEM file of the CA that signed the database's")]
    BadRoots {
        /// Where they are.
        roots: String,
        /// What is wrong with them.
        message: String,
    },
    /// It speaks no TLS, or its certificate does not verify. Nothing was said to it, the password least of all.
    #[error("the database {shown} is not talked to: {message}")]
    Untrusted {
        /// The URL without its password.
        shown: String,
        /// Why, and what to do.
        message: String,
    },
    /// It does not answer.
    #[error("the database {shown} cannot be reached: {message}")]
    Unreachable {
        /// The URL without its password.
        shown: String,
        /// What was said.
        message: String,
    },
    /// Too old.
    #[error("the database runs Postgres {0}; 15 or newer is needed")]
    TooOld(String),
    /// Its schema is not there, or older than this program.
    #[error("the database has schema version {found}, this program needs {needed}: run `tollgate db migrate` with an administrator's URL")]
    NotMigrated {
        /// Its version; 0 when there is none.
        found: i64,
        /// This program's.
        needed: i64,
    },
    /// Its schema is of a later program.
    #[error("the database has schema version {found}, this program reads up to {needed}: use the newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// This program's.
        needed: i64,
    },
    /// The login could see every tenant's rows.
    #[error("the login `{user}` {why}, so that row security would not bind it: use a login that is a member of `{role}` and nothing more")]
    Unbound {
        /// Who logs in.
        user: String,
        /// What it can do.
        why: String,
        /// What it should be.
        role: &'static str,
    },
    /// The login lacks its role.
    #[error("the login `{user}` is not a member of `{role}`: run `GRANT {role} TO \"{user}\"` as an administrator")]
    NotAMember {
        /// Who logs in.
        user: String,
        /// What it should be.
        role: &'static str,
    },
    /// A database or login could not be made or dropped.
    #[error("`{name}` could not be made or dropped: {message}; it takes the URL of an administrator")]
    Provision {
        /// Its name.
        name: String,
        /// What the database said.
        message: String,
    },
    /// A migration failed; nothing of it was done.
    #[error("migration {number} failed, nothing of it was done: {message}")]
    Migration {
        /// Its number.
        number: i64,
        /// What the database said.
        message: String,
    },
}
