//! Where the store is, as the command line and the environment say it.

use std::path::PathBuf;

use clap::Args;
use tollgate_store::Login;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Access, Place};

/// The service's login.
const URL: &str = "DATABASE_URL";

/// Options of commands that open a store.
#[derive(Clone, Debug, Default, Args)]
pub struct StoreArgs {
    /// Where the store is: `embedded`, a URL such as postgres://user@host/database, or `postgres` for the URL in DATABASE_URL
    #[arg(long, value_name = "WHERE")]
    store: Option<String>,
    /// An administrator's URL: the database is migrated before it is used, unless --no-migrate; retention takes things away as this login
    #[arg(long, value_name = "URL", env = "DATABASE_ADMIN_URL", hide_env_values = true)]
    admin_url: Option<String>,
    /// Leave the schema as it is: where it is not this program's, say so and end
    #[arg(long)]
    no_migrate: bool,
    /// The folder of the installation's keys; the data folder when left out. Processes over one database need the same keys
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_KEYS")]
    pub keys: Option<PathBuf>,
}

impl StoreArgs {
    /// Where the store is; embedded unless something else is said.
    ///
    /// # Errors
    /// When it is not a place.
    pub fn place(&self) -> Result<Place, Failure> {
        match self.store.as_deref() {
            None | Some("embedded") => Ok(Place::Embedded),
            Some("postgres") => self.shared(),
            Some(url) if is_url(url) => self.at(url.to_owned()),
            Some(other) => Err(Failure::new(
                Exit::Usage,
                format!("`{}` is no store: write `embedded`, `postgres`, or a URL such as postgres://user@host/database", shown(other)),
            )),
        }
    }

    /// Where the store is, for processes that share one: the URL in DATABASE_URL unless another is said.
    ///
    /// # Errors
    /// When there is none, or it is embedded.
    pub fn access(&self) -> Result<Access, Failure> {
        let place = if self.store.is_none() { self.shared()? } else { self.place()? };
        match place {
            Place::Postgres(access) => Ok(access),
            Place::Embedded => {
                let why = "an embedded store has one process: run `tollgate dev`, or give --store postgres://user@host/database";
                Err(Failure::new(Exit::Usage, why))
            }
        }
    }

    fn shared(&self) -> Result<Place, Failure> {
        let url = std::env::var(URL).ok().filter(|u| !u.is_empty());
        let none =
            || Failure::new(Exit::Usage, format!("there is no database URL: set {URL}, or give --store postgres://user@host/database"));
        self.at(url.ok_or_else(none)?)
    }

    fn at(&self, url: String) -> Result<Place, Failure> {
        Login::parse(&url).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
        let admin = self.admin_url.clone().filter(|u| !u.is_empty());
        Ok(Place::Postgres(Access { url, admin, migrates: !self.no_migrate, name: "tollgate".to_owned() }))
    }
}

/// Whether a text is meant as the URL of a Postgres.
pub fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// A text that may be a URL with a password in it, without what comes before the host.
pub fn shown(text: &str) -> String {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest).chars().filter(|c| !c.is_control()).take(100).collect()
}
