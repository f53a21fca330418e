//! What the server is given, and the state that its handlers share.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};
use tollgate_core::ports::{Bundles, ChangeLog, Desk, Effects, EventLog, IdSource, LedgerLog, Lists, Registry, Sealer};
use tollgate_core::scope::Scope;

use crate::auth::Keys;
use crate::layers::Meters;
use crate::routes::Gauged;

/// Whether this process may take work.
pub trait Health: Send + Sync {
    /// Ready, or why not, in words for the operator of the service.
    fn ready(&self) -> Result<(), String>;
}

/// The ports behind the routes.
pub struct Deps {
    /// Events in and out.
    pub events: Arc<dyn EventLog>,
    /// Changes of state out.
    pub changes: Arc<dyn ChangeLog>,
    /// Lists.
    pub lists: Arc<dyn Lists>,
    /// Everything that people and programs do.
    pub desk: Arc<dyn Desk>,
    /// Receipts.
    pub ledger: Arc<dyn LedgerLog>,
    /// API keys, revisions, statuses.
    pub registry: Arc<dyn Registry>,
    /// Single actions and approvals.
    pub effects: Arc<dyn Effects>,
    /// What is active.
    pub bundles: Arc<dyn Bundles>,
    /// Leases webhook secrets.
    pub sealer: Arc<dyn Sealer>,
    /// Ids, time and randomness.
    pub ids: IdSource,
    /// Readiness.
    pub health: Arc<dyn Health>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

/// What can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose events the webhooks at `/v1/hooks/{connector}` are; none: webhooks are refused.
    pub hooks: Option<Scope>,
    /// Longest body of one request, in bytes.
    pub max_body: usize,
    /// Longest body of a batch of events, in bytes.
    pub max_batch: usize,
    /// Most events in one batch.
    pub max_batch_events: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Pause between the comments that keep an idle stream open.
    pub heartbeat: Duration,
    /// Counts how often positions were given to what any process stored: wakes streams. None: they look at intervals.
    pub positions: Option<watch::Receiver<u64>>,
    /// Pause between looks at the event log of an idle stream that is not woken: what other processes stored is seen this late.
    pub stream_poll: Duration,
    /// Most streams at once, each holding one page of events in memory.
    pub max_streams: usize,
    /// Counts changes of keys and of what governs actions, by any process: the table of API keys is read again after each.
    pub changes: Option<watch::Receiver<u64>>,
    /// How old the table of API keys may be before it is read again: how late a key revoked elsewhere stops working.
    pub keys_max_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hooks: None,
            max_body: 1 << 20,
            max_batch: 16 << 20,
            max_batch_events: 10_000,
            body_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            positions: None,
            stream_poll: Duration::from_millis(500),
            max_streams: 256,
            changes: None,
            keys_max_age: Duration::from_secs(5),
        }
    }
}

/// What handlers share.
pub(crate) struct State {
    pub deps: Deps,
    pub options: Options,
    pub keys: Keys,
    pub meters: Meters,
    pub gauged: Gauged,
    /// Counts the ingests of this process: wakes its streams.
    pub stored: watch::Sender<u64>,
    /// One permit per open stream.
    pub streams: Arc<Semaphore>,
}

/// The shared state as handlers extract it.
pub(crate) type App = Arc<State>;

impl State {
    pub fn new(deps: Deps, options: Options) -> App {
        let streams = Arc::new(Semaphore::new(options.max_streams));
        Arc::new(Self {
            deps,
            options,
            keys: Keys::default(),
            meters: Meters::default(),
            gauged: Gauged::default(),
            stored: watch::Sender::new(0),
            streams,
        })
    }
}
