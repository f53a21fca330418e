//! What every command is run with: the project, its data folder, and a client of its server.

use std::path::{Path, PathBuf};

use tollgate_core::scope::Mode;
use tollgate_spec::Project;

use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Meter, Node, Setup};
use crate::output::Output;

/// The context of one command.
pub struct Context {
    /// How to print.
    pub out: Output,
    /// The project folder.
    pub project: PathBuf,
    /// The data folder, when the command line names one.
    pub data: Option<PathBuf>,
    /// The partition.
    pub mode: Mode,
    /// A server elsewhere.
    pub url: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

impl Context {
    /// The data folder: the command line's, else the project's.
    pub fn data_dir(&self, project: Option<&Project>) -> PathBuf {
        match (&self.data, project) {
            (Some(dir), _) => dir.clone(),
            (None, Some(p)) => self.project.join(&p.settings.data_dir),
            (None, None) => self.project.join(".tollgate"),
        }
    }

    /// The data folder of a project that may have faults: they matter to what runs it, not to what looks at it.
    pub fn data_of_project(&self) -> PathBuf {
        let project = Project::load_lenient(&self.project).0;
        self.data_dir(project.as_ref())
    }

    /// A client of the project's server: the named one, the running one, or the routes inside this process.
    ///
    /// # Errors
    /// When there is neither a server nor a data folder that opens.
    pub async fn client(&self) -> Result<Client, Failure> {
        if let Some(url) = &self.url {
            let key = self.key.as_deref().ok_or_else(|| Failure::new(Exit::Usage, "--url needs a key: set TOLLGATE_API_KEY"))?;
            return Client::http(url, key);
        }
        let data = self.data_of_project();
        if let Some(url) = Client::running(&data).await {
            let key = match &self.key {
                Some(key) => key.clone(),
                None => Keys::read(&data)?.of(self.mode).to_owned(),
            };
            return Client::http(&url, &key);
        }
        let shown = data.display();
        // A folder that may not be looked into is there all the same.
        let there = data.join("store.db").try_exists().map_err(|e| Failure::plain(format!("the data folder `{shown}`: {e}")))?;
        if !there {
            return Err(Failure::new(
                Exit::Unreachable,
                format!("there is no data folder `{shown}` yet, and no server runs: start `tollgate dev`"),
            ));
        }
        let (router, keys) = self.inside(&data).await?;
        Ok(Client::inside(router, keys.of(self.mode)))
    }

    async fn inside(&self, data: &Path) -> Result<(axum::Router, Keys), Failure> {
        let node = Node::open(&Setup::embedded(data, &self.project, tollgate_worker::Options::default())).await?;
        node.refresh().await?;
        let keys = Keys::ensure(&node).await?;
        Ok((node.router(&Meter::install()), keys))
    }
}
