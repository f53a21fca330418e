//! Where the demo plays: one process with everything embedded, or several over a private Postgres.

use std::path::Path;
use std::time::Duration;

use tollgate_core::scope::Mode;

use super::crew::Crew;
use crate::bench::Ground;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Assembled, Setup};
use crate::serving::Serving;

/// A stage.
pub enum Stage {
    /// This process.
    One { serving: Box<Serving>, url: String, key: String },
    /// Its children.
    Many(Box<Crew>),
}

impl Stage {
    /// Starts what serves the demo.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(ground: &Ground, folder: &Path, project: &Path, assembled: &Assembled) -> Result<Self, Failure> {
        if let Some(crew) = Crew::start(ground, folder, project, assembled).await? {
            return Ok(Self::Many(Box::new(crew)));
        }
        let setup = Setup::embedded(&folder.join("data"), project, crate::options::worker()?);
        let serving = Serving::start(&setup, Some(assembled), "127.0.0.1:0").await?;
        let key = Keys::ensure(&serving.node).await?.of(Mode::Live).to_owned();
        serving.announce()?;
        Ok(Self::One { url: format!("http://{}", serving.addr), serving: Box::new(serving), key })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        match self {
            Self::One { url, .. } => url,
            Self::Many(crew) => &crew.url,
        }
    }

    /// A key for everything.
    pub fn key(&self) -> &str {
        match self {
            Self::One { key, .. } => key,
            Self::Many(crew) => &crew.key,
        }
    }

    /// The key that receipts are verified with.
    pub fn public_key(&self) -> String {
        match self {
            Self::One { serving, .. } => serving.node.signer.public().to_hex(),
            Self::Many(crew) => crew.public_key.clone(),
        }
    }

    /// What is told of it.
    pub fn line(&self) -> String {
        match self {
            Self::One { url, .. } => format!("server   {url}"),
            Self::Many(crew) => format!("server   {}, with two workers beside it, over a Postgres", crew.url),
        }
    }

    /// Stops it; answers whether what it stored is still there.
    ///
    /// # Errors
    /// When a process ended otherwise than it should.
    pub async fn stop(self) -> Result<bool, Failure> {
        match self {
            Self::One { serving, .. } => {
                serving.stop(Duration::ZERO).await;
                Ok(true)
            }
            Self::Many(crew) => crew.stop().await.map(|()| false),
        }
    }
}
