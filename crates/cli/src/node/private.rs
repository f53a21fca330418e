//! A Postgres database of one's own, with a login for each role: for the demo and for benchmarks. Gone when they are done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_private_postgres::{Mode, Options, Server};
use tollgate_store::{Login, Role, SetupError, create_database, create_login, drop_database, drop_logins, migrate};

use super::{Access, Place};
use crate::failure::Failure;
use crate::system;

const DATABASE: &str = "tollgate";

/// The database.
pub struct Private {
    /// The control plane's URL.
    pub serve: String,
    /// A worker's.
    pub worker: String,
    /// An administrator's.
    pub admin: String,
    on: On,
}

enum On {
    /// A server of our own, stopped and removed when this is dropped.
    Ours(Arc<Mutex<Server>>),
    /// Somebody's server, on which only this database and its logins are ours.
    Theirs { admin: String, name: String },
}

impl Private {
    /// On a server of its own, which keeps its files below `within`.
    ///
    /// # Errors
    /// When no Postgres is found, or it does not start.
    pub async fn start(within: Option<&Path>) -> Result<Self, Failure> {
        Self::start_with(within, &[]).await
    }

    /// The same with settings as in `postgresql.conf`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(within: Option<&Path>, settings: &[(&str, &str)]) -> Result<Self, Failure> {
        let mut options = Options::new();
        if let Some(within) = within {
            options = options.within(within);
        }
        for (name, value) in settings {
            options = options.setting(*name, *value);
        }
        let started = tokio::task::spawn_blocking(move || {
            let server = Server::start(&options).map_err(Failure::plain)?;
            server.create_database(DATABASE).map_err(Failure::plain)?;
            Ok::<_, Failure>(server)
        });
        let server = started.await.map_err(Failure::plain)??;
        let admin = server.url(DATABASE);
        Self::furnish(admin, "tollgate", On::Ours(Arc::new(Mutex::new(server)))).await
    }

    /// On the server of an administrator's URL: a new database, whatever the URL names.
    ///
    /// # Errors
    /// When the URL cannot be used, or may make no databases.
    pub async fn on(url: &str) -> Result<Self, Failure> {
        let name = format!("tollgate_{}", random(6));
        let admin = create_database(url, &name).await.map_err(|e| Failure::plain(needs_administrator(&e)))?;
        let on = On::Theirs { admin: url.to_owned(), name: name.clone() };
        Self::furnish(admin, &name, on).await
    }

    async fn furnish(admin: String, prefix: &str, on: On) -> Result<Self, Failure> {
        let login = Login::parse(&admin)?;
        migrate(&login).await?;
        let [serve, worker] = logins(prefix);
        let serve = create_login(&admin, Role::Serve, &serve, &random(24)).await?;
        let worker = create_login(&admin, Role::Worker, &worker, &random(24)).await?;
        Ok(Self { serve, worker, admin, on })
    }

    /// As one process uses it that does everything.
    pub fn place(&self) -> Place {
        Place::Postgres(Access { url: self.serve.clone(), admin: None, migrates: false, name: "tollgate".to_owned() })
    }

    /// Drops the server as it is and starts it again, which recovers; only where it is our own.
    ///
    /// # Errors
    /// When it does not start again, or is somebody's.
    pub async fn crash_and_restart(&self) -> Result<(), Failure> {
        let On::Ours(server) = &self.on else { return Err(Failure::plain("somebody's server is not restarted")) };
        let server = Arc::clone(server);
        let restarted = tokio::task::spawn_blocking(move || server.lock().restart(Mode::Immediate));
        restarted.await.map_err(Failure::plain)?.map_err(Failure::plain)
    }

    /// The server's log, where it is our own.
    pub fn log(&self) -> Option<PathBuf> {
        match &self.on {
            On::Ours(server) => Some(server.lock().log()),
            On::Theirs { .. } => None,
        }
    }

    /// The same, by a process that may also do what only the tables' owner does.
    pub fn place_of_owner(&self) -> Place {
        Place::Postgres(Access { url: self.serve.clone(), admin: Some(self.admin.clone()), migrates: true, name: "tollgate".to_owned() })
    }

    /// Takes everything away again.
    ///
    /// # Errors
    /// When somebody's server does not take it away.
    pub async fn remove(self) -> Result<(), Failure> {
        match self.on {
            On::Ours(server) => tokio::task::spawn_blocking(move || drop(server)).await.map_err(Failure::plain),
            On::Theirs { admin, name } => {
                drop_database(&admin, &name).await?;
                let [serve, worker] = logins(&name);
                Ok(drop_logins(&admin, &[&serve, &worker]).await?)
            }
        }
    }
}

fn logins(prefix: &str) -> [String; 2] {
    [format!("{prefix}_as_serve"), format!("{prefix}_as_worker")]
}

fn random(bytes: usize) -> String {
    let all = data_encoding::HEXLOWER.encode(&system::ids().random::<24>());
    all.get(..bytes * 2).unwrap_or(&all).to_owned()
}

fn needs_administrator(e: &SetupError) -> String {
    format!("{e}; here a database of its own is made on the server and dropped at the end")
}
