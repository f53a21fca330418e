//! Where the store is, and how it is opened: a file of the data folder, or a Postgres that several processes share.

use std::sync::Arc;

use tokio::sync::watch;
use tollgate_core::ports::Ports;
use tollgate_store::{Committed, Heard, Login, PgOptions, PgStore, Role, SqliteStore};
use tollgate_worker::Signals;

use super::{Home, NodeError};
use crate::system;

/// Connections for reads of one process; three more commit and claim, one gives positions, one listens.
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
    /// An administrator's.
    pub admin: Option<String>,
    /// With it, the database is migrated first.
    pub migrates: bool,
    /// How the process is named among the database's connections.
    pub name: String,
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

/// What commits wake, here and in other processes.
#[derive(Default)]
pub(super) struct Wakes {
    /// The loops of the service.
    pub(super) signals: Arc<Signals>,
    /// Counts changes of what governs actions.
    pub(super) changes: watch::Sender<u64>,
}

impl Wakes {
    fn news(&self, news: Committed) {
        if news.steps {
            self.signals.steps();
        }
        if news.entries {
            self.signals.entries();
        }
        if news.events || news.changes {
            self.signals.positions();
        }
        if news.config {
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn heard(&self, heard: Heard) {
        match heard {
            Heard::News(news) => self.news(news),
            Heard::Up => {
                self.signals.hears(true);
                self.signals.all();
                self.changed();
            }
            Heard::Down(why) => {
                tracing::warn!(error = why, "no news of other processes come in: work is looked for at intervals until they do");
                self.signals.hears(false);
            }
        }
    }
}

/// Opens the store as a role; `home` is where an embedded one lies.
pub(super) async fn open(place: &Place, role: Role, home: &Home, wakes: &Arc<Wakes>) -> Result<Arc<dyn Ports>, NodeError> {
    match place {
        Place::Embedded => {
            let signals = Arc::clone(&wakes.signals);
            let on_commit = Box::new(move |news: Committed| {
                if news.steps {
                    signals.steps();
                }
                if news.entries {
                    signals.entries();
                }
                if news.events || news.changes {
                    signals.positions();
                }
            });
            let path = Some(home.path("store.db"));
            let options = tollgate_store::Options { path, clock: Arc::new(system::SystemClock), inline: false, on_commit };
            Ok(Arc::new(SqliteStore::open(options)?))
        }
        Place::Postgres(access) => {
            let login = Login::parse(&access.url)?.named(&access.name);
            let admin = access.admin.as_deref().map(Login::parse).transpose()?;
            if let Some(admin) = admin.as_ref().filter(|_| access.migrates) {
                tollgate_store::migrate_on_start(admin).await?;
            }
            let (own, others) = (Arc::clone(wakes), Arc::clone(wakes));
            let on_commit = Box::new(move |news| own.news(news));
            let store =
                PgStore::open(PgOptions { login, role, readers: READERS, clock: system::clock_ahead(), inline: None, on_commit }).await?;
            store.listen(move |heard| others.heard(heard));
            Ok(Arc::new(match admin {
                Some(admin) => store.with_admin(admin),
                None => store,
            }))
        }
    }
}
