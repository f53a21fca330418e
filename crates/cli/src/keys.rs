//! The first API keys: made when a data folder is first used, kept beside the store for the command line, 0600.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tollgate_core::ports::Desk;
use tollgate_core::scope::Mode;

use crate::client::KEYS_FILE;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Node, actor};

/// A key for each mode, for everything.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    live: String,
    test: String,
}

impl Keys {
    /// The key of a mode.
    pub fn of(&self, mode: Mode) -> &str {
        match mode {
            Mode::Live => &self.live,
            Mode::Test => &self.test,
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// When they are not there, or damaged.
    pub fn read(data: &Path) -> Result<Self, Failure> {
        let path = data.join(KEYS_FILE);
        let shown = path.display();
        let bytes =
            std::fs::read(&path).map_err(|e| Failure::new(Exit::Failed, format!("`{shown}`: {e}; give a key in TOLLGATE_API_KEY")))?;
        serde_json::from_slice(&bytes).map_err(|e| Failure::new(Exit::Failed, format!("`{shown}` is damaged: {e}")))
    }

    /// Makes them when the store has no key at all, as the first process of an installation does.
    ///
    /// # Errors
    /// When the store or the folder says no.
    pub async fn first(node: &Node) -> Result<(), Failure> {
        if node.store.api_keys().await?.is_empty() { Self::ensure(node).await.map(drop) } else { Ok(()) }
    }

    /// Reads them, or makes them.
    ///
    /// # Errors
    /// When the store or the folder says no.
    pub async fn ensure(node: &Node) -> Result<Self, Failure> {
        let path = node.home.path(KEYS_FILE);
        if path.exists()
            && let Some(data) = path.parent()
        {
            return Self::read(data);
        }
        let make = async |mode| {
            let issued = node.desk.issue_key(&actor(mode), "cli".to_owned(), vec!["*".to_owned()]).await?;
            Ok::<_, Failure>(issued.text)
        };
        let keys = Self { live: make(Mode::Live).await?, test: make(Mode::Test).await? };
        node.home.replace(KEYS_FILE, &serde_json::to_vec(&keys).map_err(Failure::plain)?)?;
        Ok(keys)
    }
}
