//! The store under a world: embedded in memory, or a database of its own on a Postgres server.

use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::runtime::{Builder, Handle, Runtime};
use tollgate_core::ports::{Clock, Ports};
use tollgate_private_postgres::{Server, Shared};
use tollgate_store::testing::Database;
use tollgate_store::{Between, Login, Options, PgOptions, PgStore, Role, SqliteStore};

use crate::house::HouseError;
use crate::trips::Trips;

/// Which engine a world stands on.
#[derive(Clone, Debug)]
pub enum Engine {
    /// SQLite in memory.
    Sqlite,
    /// A database on the server that `TOLLGATE_TEST_POSTGRES` names, or on a private one.
    Postgres,
    /// SQLite, with effects and steps in transactions of their own.
    SqliteApart,
    /// The same, and every third time whoever would tell the one of the other dies in between.
    SqliteDiesBetween,
    /// Postgres in that form.
    PostgresApart,
    /// Postgres in that form, and every third time whoever would tell the one of the other dies in between.
    PostgresDiesBetween,
    /// Postgres, where round trips are counted.
    PostgresCounted(Trips),
}

/// Connections live here, outside the worlds' runtimes, whose clocks stand still.
static CONNECTIONS: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build());
static SERVER: LazyLock<Result<Shared, String>> = LazyLock::new(|| Server::shared().map_err(|e| e.to_string()));

/// A store, and the database behind it.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Ports>,
    /// As a worker has it: on Postgres with a login and connections of its own, which may do less.
    pub(crate) worker: Arc<dyn Ports>,
    pub(crate) base: Option<Base>,
}

/// A database that is dropped with its world.
pub(crate) struct Base(Option<Database>);

impl Drop for Base {
    fn drop(&mut self) {
        if let Some(database) = self.0.take() {
            // What stays behind is dropped with the server.
            let _ = elsewhere(async move { database.remove().await });
        }
    }
}

/// An empty store without a world around it.
pub struct Bare {
    /// Its ports.
    pub store: Arc<dyn Ports>,
    _base: Option<Base>,
}

impl Bare {
    /// Opens one on an engine.
    ///
    /// # Errors
    /// When there is no such engine here.
    pub fn open(engine: &Engine, clock: Arc<dyn Clock>) -> Result<Self, HouseError> {
        let Opened { store, base, .. } = open(engine, clock)?;
        Ok(Self { store, _base: base })
    }
}

/// Runs a future on the connections' runtime, from whichever thread.
fn elsewhere<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, HouseError> {
    let runtime = CONNECTIONS.as_ref().map_err(|e| HouseError::Engine(e.to_string()))?;
    std::thread::scope(|s| s.spawn(|| runtime.block_on(future)).join()).map_err(|_| HouseError::Engine("the thread died".to_owned()))
}

/// Opens an empty store.
pub(crate) fn open(engine: &Engine, clock: Arc<dyn Clock>) -> Result<Opened, HouseError> {
    if matches!(engine, Engine::Sqlite | Engine::SqliteApart | Engine::SqliteDiesBetween) {
        let options = Options { path: None, clock, inline: true, on_commit: Box::new(|_| {}) };
        let store = SqliteStore::open(options)?;
        let store = match engine {
            Engine::SqliteApart => store.apart(Arc::new(|| true)),
            Engine::SqliteDiesBetween => store.apart(dies_now_and_then()),
            _ => store,
        };
        let store: Arc<dyn Ports> = Arc::new(store);
        return Ok(Opened { worker: Arc::clone(&store), store, base: None });
    }
    let failed = |e: &dyn std::fmt::Display| HouseError::Engine(e.to_string());
    let url = SERVER.as_ref().map_err(|e| HouseError::Engine(e.clone()))?.url("postgres");
    let inline = CONNECTIONS.as_ref().map_err(|e| failed(e))?.handle().clone();
    let trips = if let Engine::PostgresCounted(trips) = engine { Some(trips.clone()) } else { None };
    let (store, worker, database) = elsewhere(async move {
        let database = Database::create(&url).await.map_err(|e| e.to_string())?;
        let admin = Login::parse(&database.admin()).map_err(|e| e.to_string())?;
        let store = log_in(&database.serve(), Role::Serve, Arc::clone(&clock), inline.clone()).await?.with_admin(admin);
        let seen = trips.map_or_else(|| Ok(database.worker()), |t| counted(&t, &database.worker())).map_err(|e| e.to_string())?;
        let worker = log_in(&seen, Role::Worker, clock, inline).await?;
        Ok::<_, String>((store, worker, database))
    })?
    .map_err(HouseError::Engine)?;
    let told = |store: PgStore| match engine {
        Engine::PostgresApart => store.apart(Arc::new(|| true)),
        Engine::PostgresDiesBetween => store.apart(dies_now_and_then()),
        _ => store,
    };
    Ok(Opened { store: Arc::new(told(store)), worker: Arc::new(told(worker)), base: Some(Base(Some(database))) })
}

async fn log_in(url: &str, role: Role, clock: Arc<dyn Clock>, inline: Handle) -> Result<PgStore, String> {
    let login = Login::parse(url).map_err(|e| e.to_string())?;
    let options = PgOptions { login, role, readers: 2, clock: Some(clock), inline: Some(inline), on_commit: Box::new(|_| {}) };
    PgStore::open(options).await.map_err(|e| e.to_string())
}

/// The URL by way of whoever counts.
fn counted(trips: &Trips, url: &str) -> Result<String, HouseError> {
    let host = url.rsplit_once('@').map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let server = host.to_socket_addrs().ok().and_then(|mut a| a.next());
    let server = server.ok_or_else(|| HouseError::Engine(format!("round trips are counted over TCP, not over {host}")))?;
    Ok(url.replacen(host, &trips.before(server)?.to_string(), 1))
}

/// Every third time nobody is told: the engine of steps learns of it when it next looks.
fn dies_now_and_then() -> Between {
    let n = AtomicU32::new(0);
    Arc::new(move || n.fetch_add(1, Ordering::Relaxed) % 3 != 2)
}
