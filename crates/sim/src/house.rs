//! One store, one remote, and worker sessions that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, DeploymentId, EventId, RunId, SessionId};
use tollgate_core::ledger::{Body, Entry};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, Bundles, Claimed, Clock, ConfigRev, Deploy, DurableExec, Effects, Entropy, IdSource, IngestEvent, NewRun,
    Page, Ports, Registry, Sealer, StoreError, ToolCaller,
};
use tollgate_core::spec::{BundleSpec, ConcurrencySpec, Ordering};
use tollgate_core::terms::{Governed, Labels, Part, Rules, Terms};
use tollgate_store::OpenError;
use tollgate_testkit::{
    FakeBundles, FakeCompute, FakePolicy, Fates, LossyEffects, PausedSealer, PausedStore, PausedTools, PlainSealer, Remote, SeededEntropy,
    SimClock, SkewedClock, event, scope, spec,
};
use tollgate_worker::{Deps, Engine, Graphs};

use crate::checks::{Checks, Fault};
use crate::engine::{Base, Engine as Stands, Opened, open};
use crate::mistaken::MistakenTools;
use crate::mistakes::{Mistake, Mistaken};
use crate::planes::Planes;
use crate::watch::Watch;

/// How long a session's lease lasts.
pub const LEASE: Duration = Duration::from_secs(60);
/// Rounds after which a world that still moves is stuck in a loop.
const ROUNDS_MAX: u32 = 10_000;
/// More than any history has.
const ACTIONS_MAX: u32 = 1_000_000;

/// What can go wrong in a test world.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no database for it.
    #[error("no engine under the world: {0}")]
    Engine(String),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The desk said no.
    #[error(transparent)]
    Desk(#[from] tollgate_core::ports::DeskError),
    /// The world never came to rest.
    #[error("the world never came to rest")]
    Restless,
    /// An entry does not read back.
    #[error(transparent)]
    Leaf(#[from] tollgate_core::ledger::LeafError),
}

/// A world.
pub struct House {
    /// The clock of the world and of the store.
    pub clock: Arc<SimClock>,
    /// The store.
    pub store: Arc<dyn Ports>,
    /// What workers see of it: answers may be lost, commands may be interrupted.
    pub effects: Arc<LossyEffects>,
    /// What sees each command as the store answers it.
    pub watch: Arc<Watch>,
    /// What befalls workers at their awaits.
    pub fates: Arc<Fates>,
    /// The outside system.
    pub remote: Remote,
    /// The policy.
    pub policy: Arc<FakePolicy>,
    /// The vault.
    pub sealer: Arc<PlainSealer>,
    /// Ids of everyone.
    pub ids: IdSource,
    /// What the steps of graphs come to.
    pub compute: FakeCompute,
    pub(crate) graphs: Graphs,
    pub(crate) bundles: Arc<FakeBundles>,
    mistaken: Arc<Mistaken>,
    entropy: Arc<dyn Entropy>,
    _base: Option<Base>,
}

impl House {
    /// An empty world from a seed.
    ///
    /// # Errors
    /// When the store does not open.
    pub fn new(seed: u64, ordering: Ordering) -> Result<Self, HouseError> {
        Self::with(seed, ordering, Mistake::None)
    }

    /// An empty world with a mistake in it.
    ///
    /// # Errors
    /// When the store does not open.
    pub fn with(seed: u64, ordering: Ordering, mistake: Mistake) -> Result<Self, HouseError> {
        Self::on(Stands::Sqlite, seed, ordering, mistake)
    }

    /// An empty world on an engine.
    ///
    /// # Errors
    /// When the store does not open.
    pub fn on(engine: Stands, seed: u64, ordering: Ordering, mistake: Mistake) -> Result<Self, HouseError> {
        let clock = Arc::new(SimClock::default());
        let Opened { store, worker, base } = open(&engine, Arc::clone(&clock) as Arc<dyn Clock>)?;
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        let ids = IdSource::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&entropy));
        let fates = Arc::new(Fates::new(seed));
        let (remote, policy) = (Remote::default(), Arc::new(FakePolicy::default()));
        remote.set_clock(Arc::clone(&clock));
        let outside: Arc<dyn ToolCaller> = Arc::new(PausedTools::new(Arc::new(remote.clone()), Arc::clone(&fates), Arc::clone(&clock)));
        let tools = if mistake == Mistake::TimeoutIsFailure { Arc::new(MistakenTools(outside)) } else { outside };
        let bundles = Arc::new(FakeBundles::new(spec(ordering), tools, Arc::clone(&policy), Arc::clone(&store) as Arc<dyn Registry>));
        let effects = Arc::new(Planes { control: Arc::clone(&store), worker: Arc::clone(&worker) }) as Arc<dyn Effects>;
        let exec = worker as Arc<dyn DurableExec>;
        let mistaken = Arc::new(Mistaken::new(mistake, effects, exec, Arc::clone(&fates), Arc::clone(&clock)));
        let watch = Arc::new(Watch::new(Arc::clone(&mistaken) as _, Arc::clone(&mistaken) as _, Arc::clone(&clock)));
        let paused = Arc::new(PausedStore::new(Arc::clone(&watch) as _, Arc::clone(&watch) as _, Arc::clone(&fates)));
        let effects = Arc::new(LossyEffects::new(paused));
        let compute = FakeCompute::default();
        Ok(Self {
            clock,
            store,
            effects,
            watch,
            fates,
            remote,
            policy,
            sealer: Arc::default(),
            ids,
            graphs: Graphs::new(Arc::new(compute.clone())),
            compute,
            bundles,
            mistaken,
            entropy,
            _base: base,
        })
    }

    /// Pauses the connector of every tool.
    pub fn pause(&self) {
        self.bundles.pause("remote");
    }

    /// A worker with a session of its own.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn worker(&self) -> Result<Engine, HouseError> {
        self.worker_at(Arc::new(SkewedClock::new(Arc::clone(&self.clock)))).await
    }

    /// A worker with a session and a clock of its own.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn worker_at(&self, clock: Arc<SkewedClock>) -> Result<Engine, HouseError> {
        let session = SessionId::from_bytes(self.ids.uuid());
        self.mistaken.clock_of(session, Arc::clone(&clock));
        self.watch.open_session(session, LEASE, Labels::default()).await?;
        let exec = PausedStore::new(Arc::clone(&self.watch) as _, Arc::clone(&self.watch) as _, Arc::clone(&self.fates));
        let deps = Deps {
            effects: Arc::clone(&self.effects) as Arc<dyn Effects>,
            exec: Arc::new(exec),
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            graphs: self.graphs.clone(),
            sealer: Arc::new(PausedSealer::new(Arc::clone(&self.sealer) as Arc<dyn Sealer>, Arc::clone(&self.fates))),
            ids: IdSource::new(clock, Arc::clone(&self.entropy)),
        };
        Ok(Engine::new(deps, session))
    }

    /// An action of `tool` on `id`, under a key of the same name.
    pub fn action(tool: &str, id: &str) -> Value {
        json!({"tool": tool, "args": {"id": id}, "entity_key": format!("e:{id}"), "idempotency_key": format!("k:{id}"), "value": null})
    }

    /// Stores an event that proposes these actions.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn send(&self, actions: &[Value]) -> Result<(EventId, RunId), HouseError> {
        self.send_on(self.asking(), actions).await
    }

    /// The terms on which the operator is asked.
    fn asking(&self) -> Terms {
        let spec = self.bundles.spec();
        let operator = spec.operators.get("op").map(|o| Part { name: &o.name, dispatch: &o.dispatch, key: None });
        operator.map_or_else(Terms::default, |o| Governed { scope: scope(), spec: &spec }.asking(o))
    }

    /// The terms of a step that is of nothing but its tenant.
    pub(crate) fn plain(&self) -> Terms {
        Governed { scope: scope(), spec: &self.bundles.spec() }.plain()
    }

    /// A deployment after which at most so many steps are held at once: of one tool or operator, and of all.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn limit(&self, of_one: u32, of_all: u32) -> Result<(), HouseError> {
        let mut spec = BundleSpec::clone(&self.bundles.spec());
        spec.concurrency = Some(of_all);
        let parts = spec.tools.values_mut().map(|t| &mut t.dispatch).chain(spec.operators.values_mut().map(|o| &mut o.dispatch));
        parts.for_each(|d| d.concurrency = Some(ConcurrencySpec { limit: of_one, key: None }));
        let rules = Rules::of(&scope(), &spec);
        self.bundles.change(spec);
        let (id, bundle, at) = (DeploymentId::from_bytes(self.ids.uuid()), self.bundles.digest(), self.clock.now());
        self.store.deploy(scope(), Deploy { id, bundle, artifacts: Vec::new(), rules, entries: Vec::new(), at }).await?;
        Ok(())
    }

    /// The same; its operator is asked on these terms.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn send_on(&self, terms: Terms, actions: &[Value]) -> Result<(EventId, RunId), HouseError> {
        let event = event(self.ids.uuid(), self.clock.now(), &json!(actions));
        let run = NewRun {
            terms,
            id: RunId::from_bytes(self.ids.uuid()),
            operator: "op".to_owned(),
            bundle: self.bundles.digest(),
            strict: self.strict(),
        };
        let (id, run_id) = (event.id, run.id);
        let new = IngestEvent { event, dedupe: None, runs: vec![run] };
        let rev = self.store.config_rev().await?;
        self.store.ingest(scope(), rev, vec![new], None).await?;
        Ok((id, run_id))
    }

    fn strict(&self) -> bool {
        let active = self.bundles.active(scope());
        active.is_some_and(|a| a.bundle.spec.operators.values().any(|o| o.ordering == Ordering::Strict))
    }

    /// Claims what is ready.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn claim(&self, worker: &Engine) -> Result<Vec<Claimed>, HouseError> {
        Ok(self.watch.claim(worker.session(), 64).await?)
    }

    /// Lets a worker work until nothing is ready and no timer is left, moving the clock from timer to timer.
    ///
    /// # Errors
    /// When the store says no, or the world never comes to rest.
    pub async fn settle(&self, worker: &Engine) -> Result<(), HouseError> {
        for _ in 0..ROUNDS_MAX {
            let (_, next) = self.watch.fire_timers(64).await?;
            self.watch.open_session(worker.session(), LEASE, Labels::default()).await?;
            let claimed = self.claim(worker).await?;
            if claimed.is_empty() {
                match next {
                    Some(at) => self.clock.advance_to(at),
                    None => return Ok(()),
                }
            }
            for step in claimed {
                worker.drive(step).await?;
            }
        }
        Err(HouseError::Restless)
    }

    /// Everyone's lease lapses; what was held is handed back.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn lapse(&self) -> Result<u32, HouseError> {
        self.clock.advance(LEASE);
        Ok(self.watch.reap().await?)
    }

    /// All actions in the order of the ledger, by what it says of them.
    ///
    /// # Errors
    /// When an entry does not read back.
    pub async fn ledger(&self) -> Result<Vec<Entry>, HouseError> {
        self.store.sequence().await?;
        let stored = self.store.entries(scope(), 0, 100_000).await?;
        stored.iter().map(|e| Entry::from_leaf(&e.leaf).map_err(HouseError::from)).collect()
    }

    /// Every action that has a disposition receipt, in the ledger's order.
    ///
    /// # Errors
    /// When an entry does not read back.
    pub async fn disposed(&self) -> Result<Vec<ActionRecord>, HouseError> {
        let mut out = Vec::new();
        for entry in self.ledger().await? {
            if let Body::Receipt(r) = &entry.body
                && let Some(a) = self.record(r.of.action).await?
            {
                out.push(a);
            }
        }
        Ok(out)
    }

    /// One action.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn record(&self, id: ActionId) -> Result<Option<ActionRecord>, HouseError> {
        Ok(self.store.action(scope(), id).await?)
    }

    /// Every action there is, with its record.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn actions(&self) -> Result<BTreeMap<ActionId, ActionRecord>, HouseError> {
        let page = Page { before: None, limit: ACTIONS_MAX };
        let all = self.store.list_actions(scope(), ActionFilter::default(), page).await?;
        Ok(all.into_iter().map(|l| (l.item.id, l.item)).collect())
    }

    /// What must hold in every state: one intent per attempt closed by at most one result, one receipt per action, none missing, lanes
    /// that do not interleave, a whole ledger, and no write of a lost lease.
    ///
    /// # Errors
    /// When an entry does not read back.
    pub async fn faults(&self) -> Result<Vec<Fault>, HouseError> {
        let (ledger, actions) = (self.ledger().await?, self.actions().await?);
        let mut checks = Checks { ledger: &ledger, actions: &actions, faults: self.watch.faults() };
        checks.entries();
        checks.lanes();
        let mut faults = checks.faults;
        faults.extend(crate::checks::ledger(self).await?);
        faults.extend(crate::told::told(self, &actions).await?);
        Ok(faults)
    }

    /// Whether an action waits for a person.
    pub fn waits_for_person(record: &ActionRecord) -> bool {
        matches!(record.state, ActionState::WaitingApproval | ActionState::Unknown)
    }

    /// The store's revision, as the engine would read it.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn rev(&self) -> Result<ConfigRev, HouseError> {
        Ok(self.store.config_rev().await?)
    }
}
