//! One store, one remote, and worker sessions that come and go.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, EventId, RunId, SessionId};
use tollgate_core::ledger::{Body, Entry};
use tollgate_core::ports::{
    ActionRecord, Bundles, Claimed, Clock, ConfigRev, DurableExec, Effects, EventLog, IdSource, IngestEvent, LedgerLog, NewRun, Registry,
    StoreError,
};
use tollgate_core::spec::Ordering;
use tollgate_store::{OpenError, Options, SqliteStore};
use tollgate_testkit::{FakeBundles, FakePolicy, LossyEffects, PlainSealer, Remote, SeededEntropy, SimClock, event, scope, spec};
use tollgate_worker::{Deps, Engine};

/// How long a session's lease lasts.
const LEASE: Duration = Duration::from_secs(60);
/// Rounds after which a world that still moves is stuck in a loop.
const ROUNDS_MAX: u32 = 10_000;

/// What can go wrong in a test world.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The world never came to rest.
    #[error("the world never came to rest")]
    Restless,
    /// An entry does not read back.
    #[error(transparent)]
    Leaf(#[from] tollgate_core::ledger::LeafError),
}

/// A world.
pub struct House {
    /// The clock of everyone.
    pub clock: Arc<SimClock>,
    /// The store.
    pub store: Arc<SqliteStore>,
    /// The store, with answers that may be lost.
    pub effects: Arc<LossyEffects>,
    /// The outside system.
    pub remote: Remote,
    /// The policy.
    pub policy: Arc<FakePolicy>,
    /// The vault.
    pub sealer: Arc<PlainSealer>,
    /// Ids of everyone.
    pub ids: IdSource,
    bundles: Arc<FakeBundles>,
}

impl House {
    /// An empty world from a seed.
    ///
    /// # Errors
    /// When the store does not open.
    pub fn new(seed: u64, ordering: Ordering) -> Result<Self, HouseError> {
        let clock = Arc::new(SimClock::default());
        let options = Options { path: None, clock: Arc::clone(&clock) as Arc<dyn Clock>, inline: true, on_commit: Box::new(|_| {}) };
        let store = Arc::new(SqliteStore::open(options)?);
        let ids = IdSource::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededEntropy::new(seed)));
        let (remote, policy) = (Remote::default(), Arc::new(FakePolicy::default()));
        remote.set_clock(Arc::clone(&clock));
        let registry = Arc::clone(&store) as Arc<dyn Registry>;
        let bundles = Arc::new(FakeBundles::new(spec(ordering), Arc::new(remote.clone()), Arc::clone(&policy), registry));
        let effects = Arc::new(LossyEffects::new(Arc::clone(&store) as Arc<dyn Effects>));
        Ok(Self { clock, store, effects, remote, policy, sealer: Arc::default(), ids, bundles })
    }

    /// A worker with a session of its own.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn worker(&self) -> Result<Engine, HouseError> {
        let session = SessionId::from_bytes(self.ids.uuid());
        self.store.open_session(session, LEASE).await?;
        let deps = Deps {
            effects: Arc::clone(&self.effects) as Arc<dyn Effects>,
            exec: Arc::clone(&self.store) as Arc<dyn DurableExec>,
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            sealer: Arc::clone(&self.sealer) as Arc<dyn tollgate_core::ports::Sealer>,
            ids: self.ids.clone(),
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
        let event = event(self.ids.uuid(), self.clock.now(), &json!(actions));
        let run = NewRun {
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
        Ok(self.store.claim(worker.session(), 64).await?)
    }

    /// Lets a worker work until nothing is ready and no timer is left, moving the clock from timer to timer.
    ///
    /// # Errors
    /// When the store says no, or the world never comes to rest.
    pub async fn settle(&self, worker: &Engine) -> Result<(), HouseError> {
        for _ in 0..ROUNDS_MAX {
            let (_, next) = self.store.fire_timers(64).await?;
            self.store.open_session(worker.session(), LEASE).await?;
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
        Ok(self.store.reap().await?)
    }

    /// All actions in the order of the ledger, by what it says of them.
    ///
    /// # Errors
    /// When an entry does not read back.
    pub async fn ledger(&self) -> Result<Vec<Entry>, HouseError> {
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

    /// What must hold in every state: one intent per attempt closed by at most one result, one receipt per action, and none missing.
    ///
    /// # Errors
    /// When an entry does not read back.
    pub async fn faults(&self) -> Result<Vec<String>, HouseError> {
        use std::collections::BTreeMap;
        let mut faults = Vec::new();
        let (mut intents, mut ends, mut receipts): (BTreeMap<_, u32>, BTreeMap<_, u32>, BTreeMap<ActionId, u32>) = Default::default();
        for entry in self.ledger().await? {
            match &entry.body {
                Body::Intent(i) => *intents.entry((i.of.action, i.attempt)).or_default() += 1,
                Body::Attempt(a) => *ends.entry((a.of.action, a.attempt)).or_default() += 1,
                Body::Receipt(r) => *receipts.entry(r.of.action).or_default() += 1,
                _ => {}
            }
        }
        faults.extend(intents.iter().filter(|(_, n)| **n != 1).map(|(k, n)| format!("{n} intents of {k:?}")));
        faults.extend(ends.iter().filter(|(_, n)| **n != 1).map(|(k, n)| format!("{n} results of {k:?}")));
        faults.extend(ends.keys().filter(|k| !intents.contains_key(*k)).map(|k| format!("a result without an intent: {k:?}")));
        faults.extend(receipts.iter().filter(|(_, n)| **n != 1).map(|(k, n)| format!("{n} receipts of {k}")));
        for action in intents.keys().map(|(a, _)| *a) {
            let Some(record) = self.record(action).await? else { continue };
            let open = intents.keys().filter(|(a, n)| *a == action && !ends.contains_key(&(*a, *n))).count();
            if open != usize::from(record.open.is_some()) {
                faults.push(format!("{open} open intents of {action}, which is {}", record.state));
            }
            if record.state.is_disposed() != receipts.contains_key(&action) {
                faults.push(format!("{action} is {} and has {:?} receipts", record.state, receipts.get(&action)));
            }
        }
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
