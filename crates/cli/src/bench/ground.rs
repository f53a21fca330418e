//! What a benchmark stands on: the embedded store, a Postgres server of its own, or a database of its own on somebody's server.

use std::path::Path;

use tollgate_store::Login;

use crate::failure::Failure;
use crate::node::Private;
use crate::store_args::{is_url, shown};

/// Where the store of a benchmark is.
#[derive(Clone)]
pub enum Ground {
    /// A file below the measured folder.
    Embedded,
    /// A Postgres server that keeps its files below the measured folder.
    Private,
    /// A database of its own on the server of this administrator's URL.
    On(String),
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ground(redacted)")
    }
}

impl Ground {
    /// Reads the option.
    ///
    /// # Errors
    /// When it names no store.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "private" => Ok(Self::Private),
            url if is_url(url) => Login::parse(url).map(|_| Self::On(url.to_owned())).map_err(|e| e.to_string()),
            other => {
                Err(format!("`{}` is no store: write `embedded`, `private`, or a URL such as postgres://user@host/postgres", shown(other)))
            }
        }
    }

    /// The database, made now; none for the embedded store.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn lay(&self, within: &Path) -> Result<Option<Private>, Failure> {
        match self {
            Self::Embedded => Ok(None),
            Self::Private => Private::start(Some(within)).await.map(Some),
            Self::On(url) => Private::on(url).await.map(Some),
        }
    }
}
