//! The engine: a queue of commands, two committers that drain it, and connections for reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::{ActionRecord, BoxFuture, ReasonRecord, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::apart::{Between, learn, waiting};
use crate::backend::{Backend, Reach, Store};
use crate::error::Result;
use crate::job::Pending;
use crate::needs::{Alone, Needs};
use crate::postgres::connection::{Connection, Param, Purpose, Request, Tenants};
use crate::postgres::group::{Command, Committer, PgJob, Shared};
use crate::postgres::inline::settle;
use crate::postgres::listen::Line;
use crate::postgres::lookup::Lookup;
use crate::postgres::migrate::{self, VERSION};
use crate::postgres::options::{Login, PgOptions, Role, SetupError};
use crate::postgres::pool::Pool;
use crate::postgres::statics::Statics;
use crate::query;
use crate::row::Row;
use crate::tx::{Query, Tx};

/// More of them make smaller groups, and so slower ones.
const COMMITTERS: usize = 2;
/// Specs of graphs that a process remembers to be stored.
const SPECS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN.saturating_add(4095);

/// The engine over Postgres.
pub struct Postgres {
    pub(crate) shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<PgJob>,
    pub(crate) pool: Arc<Pool>,
    actions: Lookup<ActionRecord>,
    reason_steps: Lookup<ReasonRecord>,
    pub(crate) hand: Mutex<Option<Connection>>,
    /// Gives positions to entries and events.
    pub(crate) positions: Mutex<Option<Connection>>,
    /// To the other processes, once somebody listens.
    pub(crate) line: parking_lot::Mutex<Option<Line>>,
    committers: Vec<tokio::task::JoinHandle<()>>,
    pub(crate) admin: Option<Login>,
    inline: Option<tokio::runtime::Handle>,
    pub(crate) apart: Option<Between>,
}

/// The ports over Postgres.
pub type PgStore = Store<Postgres>;

impl PgStore {
    /// Opens a store on a migrated database, as a login that row security binds.
    ///
    /// # Errors
    /// When the database cannot be reached or used, or the login could see more than it should; says what to do.
    pub async fn open(options: PgOptions) -> std::result::Result<Self, SetupError> {
        Postgres::open(options).await.map(|engine| Self { engine })
    }

    /// With the login that owns the tables, for retention alone.
    pub fn with_admin(mut self, admin: Login) -> Self {
        self.engine.admin = Some(admin);
        self
    }

    /// The same store with effects and steps in transactions of their own.
    #[must_use]
    pub fn apart(mut self, between: Between) -> Self {
        self.engine.apart = Some(between);
        self
    }
}

impl Postgres {
    async fn open(options: PgOptions) -> std::result::Result<Self, SetupError> {
        let PgOptions { login, role, readers, clock, inline, on_commit } = options;
        check(&login, role).await?;
        let (queue, commands) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            login: login.clone(),
            clock,
            role,
            statics: Statics::default(),
            queue: Mutex::new(commands),
            committed: on_commit,
            scopes: parking_lot::Mutex::new(BTreeSet::new()),
            wire: Arc::default(),
            specs: parking_lot::Mutex::new(lru::LruCache::new(SPECS)),
        });
        let committers = (0..COMMITTERS).map(|_| tokio::spawn(Committer::new(Arc::clone(&shared)).serve())).collect();
        let pool = Arc::new(Pool::new(login, readers.max(1)));
        let actions = Lookup::start(Arc::clone(&pool), query::actions::together());
        let reason_steps = Lookup::start(Arc::clone(&pool), query::events::reason_steps_together());
        let (hand, positions) = (Mutex::new(None), Mutex::new(None));
        let engine = Self {
            shared,
            queue,
            pool,
            actions,
            reason_steps,
            hand,
            positions,
            line: parking_lot::Mutex::new(None),
            committers,
            admin: None,
            inline,
            apart: None,
        };
        engine.learn_scopes().await.map_err(|e| SetupError::Unreachable { shown: engine.shared.login.shown(), message: e.to_string() })?;
        Ok(engine)
    }

    /// Every tenant and mode that the database knows.
    pub(crate) async fn learn_scopes(&self) -> Result<BTreeSet<Scope>> {
        let answers = self.pool.read(&Tenants::default(), &[Request::plain("SELECT reseller_id, tenant_id, mode FROM scopes")]).await?;
        let scopes: BTreeSet<Scope> = answers.iter().flatten().map(|r| Row::Postgres(r).scope()).collect::<Result<_>>()?;
        self.shared.scopes.lock().extend(scopes.iter().copied());
        Ok(scopes)
    }

    async fn tenants(&self, of: Reach) -> Result<Tenants> {
        Ok(match of {
            Reach::Scope(s) => Tenants::of([s]),
            Reach::Everywhere => Tenants::of(self.learn_scopes().await?),
        })
    }

    /// Reads on a connection out of the pool.
    pub(crate) async fn read(&self, of: Reach, requests: Vec<Request>) -> Result<Vec<Vec<tokio_postgres::Row>>> {
        let tenants = self.tenants(of).await?;
        self.pool.read(&tenants, &requests).await
    }

    /// Runs one request of its own transaction, beside the groups: claims, timers, sessions.
    pub(crate) async fn now_or_never(&self, tenants: Tenants, requests: Vec<Request>) -> Result<Vec<Vec<tokio_postgres::Row>>> {
        let mut hand = self.hand.lock().await;
        let mut connection = match hand.take().filter(|c| !c.is_broken()) {
            Some(c) => c,
            None => Connection::open(&self.shared.login, Purpose::Commit).await?,
        };
        let answers = connection.send_as(&tenants, &requests).await;
        *hand = Some(connection);
        Ok(answers?)
    }

    /// The connection that gives positions. Whoever stops half-way must drop it, and with it the transaction: it is put back when all went
    /// well.
    pub(crate) async fn position_giver(&self) -> Result<(tokio::sync::MutexGuard<'_, Option<Connection>>, Connection)> {
        let mut place = self.positions.lock().await;
        let connection = match place.take().filter(|c| !c.is_broken()) {
            Some(c) => c,
            None => Connection::open(&self.shared.login, Purpose::Commit).await?,
        };
        Ok((place, connection))
    }

    /// A future as it is, or its outcome when everything runs in the caller's thread.
    pub(crate) fn settle<'a, T: Send + 'a>(&'a self, future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        settle(self.inline.as_ref(), future)
    }

    /// A command in the queue.
    fn command<T: Send + 'static>(
        &self,
        needs: Needs,
        run: impl Fn(&mut dyn Tx) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (pending, answer) = Pending::new();
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let sent = self.queue.send(Box::new(Command { needs, run, pending }));
        Box::pin(async move {
            sent.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        })
    }

    /// Tells the engine of steps what waits for it.
    pub(crate) async fn learn(&self) -> Result<()> {
        for scope in gather(self, waiting(), Reach::Everywhere).await? {
            while self.command(Needs::of(scope).alone(Alone::Config), move |tx| learn(tx, scope)).await? > 0 {}
        }
        Ok(())
    }

    /// One action, read together with those that others ask for at the time.
    pub(crate) fn action(&self, scope: Scope, id: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>>> {
        match self.inline {
            Some(_) => self.one(query::actions::one(scope, id), scope),
            None => Box::pin(self.actions.get(scope, *id.as_bytes())),
        }
    }

    /// What asking an operator needs, read together with what others ask for at the time.
    pub(crate) fn reason_step(&self, scope: Scope, run: RunId) -> BoxFuture<'_, Result<Option<ReasonRecord>>> {
        match self.inline {
            Some(_) => self.one(query::events::reason_step(scope, run), scope),
            None => Box::pin(self.reason_steps.get(scope, *run.as_bytes())),
        }
    }

    /// The injected clock's time; the database's where there is none.
    pub(crate) fn clock_param(&self) -> Param {
        let injected = self.shared.clock.as_ref().map(|c| c.now());
        Param::One(injected.into())
    }
}

/// Row security must bind this login, and the schema must be this program's.
async fn check(login: &Login, role: Role) -> std::result::Result<(), SetupError> {
    let client = migrate::connect(login).await?;
    migrate::check_server(&client).await?;
    let found = migrate::version(&client).await;
    let broken = |e: tokio_postgres::Error| SetupError::Unreachable { shown: login.shown(), message: migrate::said(&e) };
    // Whoever may make itself a member of other roles, or read the files behind the tables, is bound by nothing either.
    let sql = "SELECT session_user::text, CASE
           WHEN r.rolsuper THEN 'is a superuser'
           WHEN r.rolbypassrls THEN 'has BYPASSRLS'
           WHEN r.rolcreaterole THEN 'has CREATEROLE'
           WHEN r.rolreplication THEN 'has REPLICATION'
           WHEN EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'tollgate' AND pg_has_role(session_user, c.relowner, 'MEMBER')) THEN 'owns Tollgate''s tables'
           WHEN EXISTS (SELECT FROM pg_roles p WHERE (p.rolsuper OR p.rolbypassrls OR p.rolcreaterole OR p.rolreplication)
             AND pg_has_role(session_user, p.oid, 'MEMBER')) THEN 'is a member of a role that may bypass it'
           WHEN EXISTS (SELECT FROM pg_roles p WHERE p.rolname = 'tollgate_dispatch' AND pg_has_role(session_user, p.oid, 'MEMBER'))
             THEN 'is a member of the dispatch role' END,
         (SELECT pg_has_role(session_user, p.oid, 'MEMBER') FROM pg_roles p WHERE p.rolname = $1)
       FROM pg_roles r WHERE r.rolname = session_user";
    let row = client.query_one(sql, &[&role.as_str()]).await.map_err(broken)?;
    let user: String = row.get(0);
    if let Some(why) = row.get::<_, Option<String>>(1) {
        return Err(SetupError::Unbound { user, why, role: role.as_str() });
    }
    match row.get::<_, Option<bool>>(2) {
        Some(true) => {}
        Some(false) => return Err(SetupError::NotAMember { user, role: role.as_str() }),
        None => return Err(SetupError::NotMigrated { found: 0, needed: VERSION }),
    }
    match found? {
        VERSION => Ok(()),
        found if found > VERSION => Err(SetupError::Newer { found, needed: VERSION }),
        found => Err(SetupError::NotMigrated { found, needed: VERSION }),
    }
}

async fn gather<T>(engine: &Postgres, query: Query<T>, of: Reach) -> Result<Vec<T>> {
    let params = query.values.into_iter().map(Param::One).collect();
    let answers = engine.read(of, vec![Request::new(query.text, params)]).await?;
    answers.iter().flatten().map(|r| (query.read)(Row::Postgres(r))).collect()
}

impl Backend for Postgres {
    fn write<T: Send + 'static>(&self, needs: Needs, run: impl Fn(&mut dyn Tx) -> Result<T> + Send + 'static) -> BoxFuture<'_, Result<T>> {
        let Some(between) = &self.apart else { return self.settle(self.command(needs, run)) };
        let effect = self.command(needs, move |tx: &mut dyn Tx| {
            tx.leave_word(true);
            let out = run(tx);
            tx.leave_word(false);
            out
        });
        let between = Arc::clone(between);
        self.settle(async move {
            let out = effect.await?;
            if between() {
                self.learn().await?;
            }
            Ok(out)
        })
    }

    fn all<T: Send + 'static>(&self, query: Query<T>, of: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>> {
        self.settle(gather(self, query, of.into()))
    }

    fn walk<T: Send + 'static>(&self, query: Query<T>, of: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>> {
        self.settle(gather(self, query, of.into()))
    }

    fn now(&self) -> BoxFuture<'_, Result<Timestamp>> {
        self.settle(async move {
            if let Some(clock) = &self.shared.clock {
                return Ok(clock.now());
            }
            let text = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
            let answers = self.pool.read(&Tenants::default(), &[Request::plain(text)]).await?;
            let row = answers.iter().flatten().next();
            Row::Postgres(row.ok_or_else(|| StoreError::Corrupt("no clock".to_owned()))?).at(0)
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What waits in the queue has callers that wait for its answer; who dropped the store has none.
        self.committers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
