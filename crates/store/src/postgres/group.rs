//! Group commits: many commands in one transaction, read in one round trip and written in another.
//!
//! Commands of one group, and of groups of other processes, meet only where they lock the same run, lane or key. Locks are taken first,
//! together and in one order, so that two groups never wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tollgate_core::graph::GraphPlan;
use tollgate_core::hash::Digest;
use tollgate_core::ports::{Clock, ConfigRev, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::backend::Committed;
use crate::error::{Result, damaged};
use crate::job::Pending;
use crate::needs::{Alone, Config, Lock, Needs};
use crate::postgres::connection::{Connection, Fault, Param, Purpose, Request, Tenants};
use crate::postgres::fetch;
use crate::postgres::flush;
use crate::postgres::listen::Wire;
use crate::postgres::options::{Login, Role};
use crate::postgres::statics::{Statics, expect_lock};
use crate::postgres::tx::PgTx;
use crate::row::Row;
use crate::tx::Tx;
use crate::value::values;

/// Most commands in one transaction.
const GROUP_MAX: usize = 256;
/// Most rounds of fetching for one group: a command that always wants one more row is at fault.
const ROUNDS_MAX: usize = 64;
/// Tries of a single command whose rows others change.
const TRIES_MAX: usize = 8;
/// What governs actions, among the locks.
const CONFIG_LOCK: i64 = 0x7467_6174_6366_6701;

/// A command in the queue.
pub(crate) trait Job: Send {
    /// What it is going to touch.
    fn needs(&self) -> &Needs;
    /// Runs it over the rows that are there. `false`: it failed.
    fn run(&mut self, tx: &mut PgTx) -> bool;
    /// Answers, after the commit or instead of it.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

pub(crate) type PgJob = Box<dyn Job>;

/// The command of a closure.
pub(crate) struct Command<F, T> {
    pub(crate) needs: Needs,
    pub(crate) run: F,
    pub(crate) pending: Pending<T>,
}

impl<F, T> Job for Command<F, T>
where
    F: Fn(&mut dyn Tx) -> Result<T> + Send,
    T: Send,
{
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn run(&mut self, tx: &mut PgTx) -> bool {
        let out = (self.run)(tx);
        self.pending.ran(out)
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        self.pending.answer(failure);
    }
}

/// What committers share.
pub(crate) struct Shared {
    pub(crate) login: Login,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) role: Role,
    pub(crate) statics: Statics,
    pub(crate) queue: Mutex<mpsc::UnboundedReceiver<PgJob>>,
    pub(crate) committed: Box<dyn Fn(Committed) + Send + Sync>,
    pub(crate) scopes: parking_lot::Mutex<BTreeSet<Scope>>,
    pub(crate) wire: Arc<Wire>,
    /// Specs of graphs that are stored.
    pub(crate) specs: parking_lot::Mutex<lru::LruCache<(Scope, Digest), ()>>,
}

impl Shared {
    /// Tells whoever waits, here and in other processes.
    pub(crate) fn announce(&self, news: Committed) {
        (self.committed)(news);
        self.wire.tell(news);
    }
}

/// Drains the queue with a connection of its own.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// A command that could not go with the group before.
    next: Option<PgJob>,
}

/// Which locks a group takes.
#[derive(Default)]
struct Locks {
    of: BTreeSet<Lock>,
    config: Config,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, connection: None, next: None }
    }

    /// Runs until the queue is closed.
    pub(crate) async fn serve(mut self) {
        while let Some(group) = self.gather().await {
            self.commit(group).await;
        }
    }

    /// The next group: whatever waits, up to the first that must not be in one with those before it.
    async fn gather(&mut self) -> Option<Vec<PgJob>> {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue.lock().await;
        let first = match self.next.take() {
            Some(job) => job,
            None => queue.recv().await?,
        };
        let mut alone: BTreeSet<Alone> = first.needs().alone.iter().copied().collect();
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(job) = queue.try_recv() else { break };
            if job.needs().alone.iter().any(|a| alone.contains(a)) {
                self.next = Some(job);
                break;
            }
            alone.extend(job.needs().alone.iter().copied());
            group.push(job);
        }
        Some(group)
    }

    /// Commits a group; one that cannot be committed together, in halves, until who cannot be committed is alone.
    async fn commit(&mut self, group: Vec<PgJob>) {
        let mut parts = vec![group];
        while let Some(mut group) = parts.pop() {
            match self.attempt(&mut group).await {
                Ok(()) => group.into_iter().for_each(|job| job.answer(None)),
                Err(Fault::Broken(e)) => {
                    self.connection = None;
                    // Whether it was stored must be read: nothing is tried again here.
                    let lost = if matches!(e, StoreError::AnswerLost) { e } else { StoreError::Unavailable(e.to_string()) };
                    group.into_iter().for_each(|job| job.answer(Some(lost.clone())));
                }
                Err(_) if group.len() > 1 => {
                    let behind = group.split_off(group.len() / 2);
                    parts.extend([behind, group]);
                }
                Err(Fault::Moved(_)) => {
                    for job in group {
                        self.commit_one(job).await;
                    }
                }
                Err(Fault::Said(e)) => group.into_iter().for_each(|job| job.answer(Some(e.clone()))),
            }
        }
    }

    async fn commit_one(&mut self, job: PgJob) {
        let mut group = vec![job];
        let mut outcome = self.attempt(&mut group).await;
        for _ in 1..TRIES_MAX {
            if !matches!(outcome, Err(Fault::Moved(_))) {
                break;
            }
            outcome = self.attempt(&mut group).await;
        }
        if matches!(outcome, Err(Fault::Broken(_))) {
            self.connection = None;
        }
        let failure = outcome.err().map(StoreError::from);
        group.into_iter().for_each(|job| job.answer(failure.clone()));
    }

    /// One transaction. An error means that nothing of it is stored, unless the connection broke.
    async fn attempt(&mut self, group: &mut [PgJob]) -> std::result::Result<(), Fault> {
        let mut locks = Locks::default();
        let mut scopes = BTreeSet::new();
        for job in group.iter() {
            let needs = job.needs();
            scopes.extend(needs.scope);
            locks.config = locks.config.max(needs.config);
            locks.of.extend(needs.locks.iter().copied());
        }
        let shared = Arc::clone(&self.shared);
        let mut connection = match self.connection.take().filter(|c| !c.is_broken()) {
            Some(c) => c,
            // Nothing was sent yet.
            None => Connection::open(&shared.login, Purpose::Commit).await.map_err(Fault::Said)?,
        };
        let tenants = Tenants::of(scopes.iter().copied());
        for _ in 0..ROUNDS_MAX {
            match transaction(&shared, &mut connection, &tenants, &scopes, &mut locks, group).await {
                Ok(Some(news)) => {
                    self.connection = Some(connection);
                    if news != Committed::default() {
                        shared.announce(news);
                    }
                    return Ok(());
                }
                // It began anew with more locks.
                Ok(None) => {}
                Err(fault) => {
                    if !matches!(fault, Fault::Broken(_)) && connection.send(&[Request::plain("ROLLBACK")]).await.is_ok() {
                        self.connection = Some(connection);
                    }
                    return Err(fault);
                }
            }
        }
        Err(Fault::Said(StoreError::Corrupt("a command never finds the locks that it needs".to_owned())))
    }
}

/// `None`: commands found that they need more locks; they stand in `locks` now, and nothing was written.
async fn transaction(
    shared: &Shared,
    connection: &mut Connection,
    tenants: &Tenants,
    scopes: &BTreeSet<Scope>,
    locks: &mut Locks,
    group: &mut [PgJob],
) -> std::result::Result<Option<Committed>, Fault> {
    let mut tx = PgTx::default();
    locks.of.iter().for_each(|l| expect_lock(*l, &mut tx));
    group.iter().for_each(|job| shared.statics.expect(job.needs(), &mut tx));
    begin(shared, connection, tenants, locks, &mut tx).await?;
    let mut open: Vec<usize> = (0..group.len()).collect();
    for _ in 0..ROUNDS_MAX {
        open.retain(|i| group.get_mut(*i).is_some_and(|job| !run(job, &mut tx)));
        if !tx.missing_locks.is_empty() {
            shared.statics.learn(&tx);
            locks.of.append(&mut tx.missing_locks);
            connection.send(&[Request::plain("ROLLBACK")]).await?;
            return Ok(None);
        }
        if open.is_empty() {
            return finish(shared, connection, scopes, locks.config, &tx).await.map(Some);
        }
        ask(connection, &mut tx, Vec::new()).await?;
    }
    Err(Fault::Said(StoreError::Corrupt("a command never has the rows that it wants".to_owned())))
}

/// Runs a command; `false` when it wants rows that are not here.
fn run(job: &mut PgJob, tx: &mut PgTx) -> bool {
    let ok = job.run(tx);
    if tx.is_missing() {
        tx.discard();
        return false;
    }
    if ok {
        tx.merge()
    } else {
        tx.discard()
    }
    true
}

/// The first round trip: begin, lock, look at the clock, fetch what is expected to be wanted.
async fn begin(
    shared: &Shared,
    connection: &mut Connection,
    tenants: &Tenants,
    locks: &Locks,
    tx: &mut PgTx,
) -> std::result::Result<(), Fault> {
    let mut first = vec![Request::plain("BEGIN")];
    first.extend(lock_requests(locks, &tx.locks));
    first.push(Request::plain(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, (SELECT v FROM meta WHERE k = 'config_rev') AS rev,
           (SELECT v FROM meta WHERE k = 'epoch_held') AS epoch",
    ));
    let before = first.len();
    let asked = fetch::wanted(tx);
    let (what, requests): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    first.extend(requests);
    let mut answers = connection.send_as(tenants, &first).await?.into_iter();
    let clock = answers.by_ref().take(before).last().unwrap_or_default();
    let row = clock.first().map(Row::Postgres).ok_or_else(|| Fault::Said(StoreError::Corrupt("no clock".to_owned())))?;
    let (now, rev) = (row.at::<Timestamp>(0).map_err(Fault::Said)?, row.at::<Option<u64>>(1).map_err(Fault::Said)?);
    tx.now = shared.clock.as_ref().map_or(now, |c| c.now());
    tx.rev = ConfigRev(rev.unwrap_or(0));
    tx.epoch = row.at::<Option<u64>>(2).map_err(Fault::Said)?.unwrap_or(0);
    for (what, rows) in what.into_iter().zip(answers) {
        fetch::fetched(tx, what, rows).map_err(Fault::Said)?;
    }
    Ok(())
}

/// Another round trip for rows that nobody foresaw.
async fn ask(connection: &mut Connection, tx: &mut PgTx, mut first: Vec<Request>) -> std::result::Result<(), Fault> {
    let (what, requests): (Vec<_>, Vec<_>) = fetch::wanted(tx).into_iter().unzip();
    first.extend(requests);
    let answers = connection.send(&first).await?;
    for (what, rows) in what.into_iter().zip(answers) {
        fetch::fetched(tx, what, rows).map_err(Fault::Said)?;
    }
    Ok(())
}

/// The last round trip: everything that changed, and COMMIT. Only here can an answer be lost for good.
async fn finish(
    shared: &Shared,
    connection: &mut Connection,
    scopes: &BTreeSet<Scope>,
    config: Config,
    tx: &PgTx,
) -> std::result::Result<Committed, Fault> {
    let mut last = flush::requests(tx).map_err(Fault::Said)?;
    let config = config == Config::Changed && !last.is_empty();
    // A worker finds work only in tenants that the control plane has written to.
    let told = last.is_empty() || shared.role == Role::Worker;
    let unknown: Vec<Scope> = if told { Vec::new() } else { scopes.difference(&shared.scopes.lock()).copied().collect() };
    for s in &unknown {
        let text = "INSERT INTO scopes (reseller_id, tenant_id, mode) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let ids = [s.reseller_id.as_bytes().into(), s.tenant_id.as_bytes().into(), s.mode.as_int().into()];
        last.push(Request::new(text, ids.into_iter().map(Param::One).collect()));
    }
    let mut specs = Vec::new();
    for ((scope, digest), plan) in tx.out.specs.iter().filter(|(name, _)| shared.specs.lock().get(name).is_none()) {
        last.push(spec_request(*scope, *digest, plan).map_err(Fault::Said)?);
        specs.push((*scope, *digest));
    }
    last.push(Request::plain("COMMIT"));
    connection.send(&last).await.map_err(|fault| match fault {
        Fault::Broken(_) if last.len() > 1 => Fault::Broken(StoreError::AnswerLost),
        other => other,
    })?;
    shared.scopes.lock().extend(unknown);
    for name in specs {
        shared.specs.lock().put(name, ());
    }
    shared.statics.learn(tx);
    Ok(Committed {
        steps: tx.out.wake,
        entries: !tx.out.entries.is_empty(),
        events: !tx.out.events.is_empty(),
        changes: !tx.out.notes.is_empty(),
        config,
    })
}

/// Stores a graph's spec, unless it is there.
fn spec_request(s: Scope, digest: Digest, plan: &GraphPlan) -> Result<Request> {
    let text = "INSERT INTO artifacts (tenant_id, mode, digest, kind, body, reseller_id) VALUES ($1, $2, $3, 'graph', $4, $5) ON CONFLICT DO NOTHING";
    let body = serde_json::to_vec(plan.spec()).map_err(|_| damaged("the spec of a graph"))?;
    let values = values![s.tenant_id.as_bytes(), s.mode.as_int(), digest, body, s.reseller_id.as_bytes()];
    Ok(Request::new(text, values.into_iter().map(Param::One).collect()))
}

fn lock_requests(locks: &Locks, of: &BTreeSet<Lock>) -> Vec<Request> {
    let mut out = Vec::new();
    match locks.config {
        Config::Untouched => {}
        Config::Read => out.push(Request::new("SELECT pg_advisory_xact_lock_shared($1)", vec![Param::One(CONFIG_LOCK.into())])),
        Config::Changed => out.push(Request::new("SELECT pg_advisory_xact_lock($1)", vec![Param::One(CONFIG_LOCK.into())])),
    }
    let numbers: BTreeMap<i64, ()> = of.iter().map(|l| (number(*l), ())).collect();
    if !numbers.is_empty() {
        let text = "SELECT count(pg_advisory_xact_lock(l)) FROM unnest($1::bigint[]) AS l";
        out.push(Request::new(text, vec![Param::Many(numbers.into_keys().map(Into::into).collect())]));
    }
    out
}

/// A lock's number: two that share one only wait for each other for nothing.
fn number(lock: Lock) -> i64 {
    let (kind, tail): (i64, [u8; 8]) = match lock {
        // The end of an id is random, its beginning is time.
        Lock::Run(id) => (1, tail(id.as_bytes())),
        Lock::Approval(id) => (2, tail(id.as_bytes())),
        Lock::Replay(id) => (3, tail(id.as_bytes())),
        Lock::Lane(d) => (4, tail(&d.0)),
        Lock::Key(d) => (5, tail(&d.0)),
        Lock::Request(d) => (6, tail(&d.0)),
    };
    i64::from_be_bytes(tail).rotate_left(8) ^ kind
}

fn tail(bytes: &[u8]) -> [u8; 8] {
    bytes.last_chunk::<8>().copied().unwrap_or_default()
}
