//! Where the store is, and how it is opened: a file of the data folder, or a Postgres that several processes share.

use std::sync::Arc;

use tollgate_core::ports::Ports;
use tollgate_store::{Login, PgOptions, PgStore, Role, SqliteStore};
use tollgate_worker::Signals;

use super::{Home, NodeError};
use crate::system;

/// Connections for reads of one process; three more commit and claim, one gives positions.
const READERS: usize = 8;

/// Where the store is.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// A file of the data folder.
    #[default]
    Embedded,
    /// A Postgres.
    Postgres(Access),
}

/// How a process reaches a Postgres. Its URLs hold passwords: they are never shown.
#[derive(Clone)]
pub struct Access {
    /// The service's login.
    pub url: String,
    /// An administrator's, who migrates first.
    pub admin: Option<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(redacted)")
    }
}

impl Place {
    /// For people: where it is, without a password.
    pub fn shown(&self, home: &Home) -> String {
        match self {
            Self::Embedded => home.path("store.db").display().to_string(),
            Self::Postgres(access) => Login::parse(&access.url).map(|l| l.shown()).unwrap_or_default(),
        }
    }
}

/// Opens the store; commits raise the signals.
pub(super) async fn open(place: &Place, role: Role, home: &Home, signals: &Arc<Signals>) -> Result<Arc<dyn Ports>, NodeError> {
    let signals = Arc::clone(signals);
    match place {
        Place::Embedded => Ok(Arc::new(SqliteStore::open(tollgate_store::Options {
            path: Some(home.path("store.db")),
            clock: Arc::new(system::SystemClock),
            inline: false,
            on_commit: Box::new(move |news| {
                if news.steps {
                    signals.steps();
                }
                if news.entries {
                    signals.entries();
                }
            }),
        })?)),
        Place::Postgres(access) => {
            let login = Login::parse(&access.url)?;
            let admin = access.admin.as_deref().map(Login::parse).transpose()?;
            if let Some(admin) = &admin {
                tollgate_store::migrate(admin).await?;
            }
            let on_commit = Box::new(move |news: tollgate_store::Committed| {
                if news.steps {
                    signals.steps();
                }
                if news.entries {
                    signals.entries();
                }
                if news.events {
                    signals.events();
                }
            });
            let options = PgOptions { login, role, readers: READERS, clock: None, inline: None, on_commit };
            let store = PgStore::open(options).await?;
            Ok(Arc::new(match admin {
                Some(admin) => store.with_admin(admin),
                None => store,
            }))
        }
    }
}
