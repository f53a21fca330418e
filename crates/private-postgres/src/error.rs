//! What can go wrong, by what the caller has to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// No usable Postgres was found; the message is one line and says what to install or set.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL 15 or newer was found ({found}): install it (Debian and Ubuntu: apt-get install postgresql) or set TOLLGATE_POSTGRES_BIN to the folder of its initdb and postgres"
)]
pub struct Missing {
    pub(crate) found: String,
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Install Postgres, or say where it is.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Started as root, and there is no ordinary account to hand the server to.
    #[error("postgres refuses to run as root, and /etc/passwd names neither `postgres` nor `nobody`: run as an ordinary user")]
    NoAccount,
    /// The folder cannot be used; choose another.
    #[error("{}: {why}: choose another folder", path.display())]
    Folder {
        /// The folder that was to hold the server.
        path: PathBuf,
        /// Why it cannot.
        why: String,
    },
    /// A setting of the caller's that cannot be passed on; take it out.
    #[error("the setting `{name}` {why}")]
    Setting {
        /// The name as it was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// `initdb` failed; its output says why.
    #[error("initdb failed ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// The server ended while it started; the log says why.
    #[error("postgres ended while starting ({status}), its log ends:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The server started, and was not ready in time.
    #[error("postgres was not ready after {seconds} s, its log ends:\n{log}")]
    Slow {
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// Every port that was tried was taken by someone else meanwhile.
    #[error("no free port on 127.0.0.1 after {tried} tries, postgres' log ends:\n{log}")]
    NoPort {
        /// How many were tried.
        tried: u32,
        /// The end of its log.
        log: String,
    },
    /// Another process keeps the lock of the template cluster.
    #[error("{}: another process has held this lock for {seconds} s: end it or remove the folder", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// A file or program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It had to be stopped first, and that failed.
    #[error(transparent)]
    Stop(#[from] StopError),
}

impl StartError {
    /// For `map_err`: an I/O error with what was being done to which path.
    pub(crate) fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Io { what, source }
    }
}

/// A server could not be stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It did not end in time; kill it.
    #[error("postgres had not ended after {seconds} s, its log ends:\n{log}")]
    Slow {
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// The system refused to look at it or to signal it.
    #[error("stopping postgres: {0}")]
    Io(#[from] io::Error),
}

/// `psql` could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The server's programs came without a client; install one.
    #[error(
        "psql was found neither beside the server's programs nor in PATH: install it (Debian and Ubuntu: apt-get install postgresql-client)"
    )]
    NoPsql,
    /// Postgres would cut the name short without a word; choose another.
    #[error("`{0}` cannot name a database: it must have 1 to 63 bytes and no NUL")]
    Name(String),
    /// The server refused; the message is psql's.
    #[error("psql: {0}")]
    Refused(String),
    /// psql could not be run.
    #[error("running psql: {0}")]
    Io(#[from] io::Error),
}
