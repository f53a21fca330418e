//! Two stores, and what a client of them would know: ids, claims, requests. Every command goes to both, and both must answer alike.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollgate_core::action::ActionState;
use tollgate_core::graph::GraphPlan;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, KeyId, ReplayId, ResellerId, RunId, SessionId, TenantId};
use tollgate_core::ledger::{Kind, leaf_hash};
use tollgate_core::ports::{ActionRecord, Claimed, Clock, ConfigRev, KeyClaim, NewAction, NewEntry, Step, StoreError};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::spec::Effect;
use tollgate_core::time::Timestamp;
use tollgate_sim::{Bare, Stands};
use tollgate_testkit::{SimClock, SkewedClock};

use crate::ops::{Act, Op};

/// What was asked of both stores, and their answers.
macro_rules! both {
    ($world:expr, |$store:ident| $call:expr) => {{
        let one = {
            let $store = std::sync::Arc::clone(&$world.sqlite.store);
            $call.await
        };
        let other = {
            let $store = std::sync::Arc::clone(&$world.postgres.store);
            $call.await
        };
        $world.same(stringify!($call), one, other)
    }};
}
pub(crate) use both;

/// The stores and what is known of them.
pub struct World {
    pub sqlite: Bare,
    pub postgres: Bare,
    pub clock: Arc<SimClock>,
    n: u64,
    pub sessions: [SessionId; 3],
    pub runs: Vec<(Scope, RunId)>,
    pub actions: Vec<(Scope, RunId, ActionId)>,
    /// Claims that were handed out, live or lost.
    pub held: Vec<Claimed>,
    pub approvals: Vec<(Scope, ApprovalId, ActionId)>,
    pub events: Vec<(Scope, tollgate_core::id::EventId)>,
    pub graphs: BTreeMap<RunId, Arc<GraphPlan>>,
    pub keys: Vec<(Scope, KeyId)>,
    pub replays: Vec<(Scope, ReplayId)>,
    pub differences: Vec<String>,
}

/// Two modes of one tenant, and another tenant.
pub fn scopes() -> [Scope; 3] {
    let of = |tenant, mode| Scope { reseller_id: ResellerId::from_bytes([1; 16]), tenant_id: TenantId::from_bytes([tenant; 16]), mode };
    [of(2, Mode::Live), of(2, Mode::Test), of(3, Mode::Live)]
}

pub fn scope_of(n: u8) -> Scope {
    scopes()[usize::from(n) % 3]
}

impl World {
    /// Both by the same clock.
    pub fn open() -> Self {
        Self::with(|clock| clock as Arc<dyn Clock>)
    }

    /// One by a clock that is a second ahead: the two differ.
    pub fn skewed() -> Self {
        Self::with(|clock| {
            let ahead = SkewedClock::new(clock);
            ahead.set_ahead(1_000_000);
            Arc::new(ahead) as Arc<dyn Clock>
        })
    }

    fn with(of_postgres: impl Fn(Arc<SimClock>) -> Arc<dyn Clock>) -> Self {
        let clock = Arc::new(SimClock::default());
        let of_postgres = of_postgres(Arc::clone(&clock));
        let session = |n| SessionId::from_bytes([n; 16]);
        Self {
            sqlite: Bare::open(&Stands::Sqlite, Arc::clone(&clock) as Arc<dyn Clock>).unwrap(),
            postgres: Bare::open(&Stands::Postgres, of_postgres).unwrap(),
            clock,
            n: 0,
            sessions: [session(0xa0), session(0xa1), session(0xa2)],
            runs: Vec::new(),
            actions: Vec::new(),
            held: Vec::new(),
            approvals: Vec::new(),
            events: Vec::new(),
            graphs: BTreeMap::new(),
            keys: Vec::new(),
            replays: Vec::new(),
            differences: Vec::new(),
        }
    }

    /// The answer, once it is known to be that of both.
    pub fn same<T: Debug>(&mut self, what: &str, one: T, other: T) -> T {
        let (left, right) = (format!("{one:?}"), format!("{other:?}"));
        if left != right {
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            self.differences.push(format!("{what}\n  SQLite:   {left}\n  Postgres: {right}"));
        }
        one
    }

    /// A new id: those of later things are higher.
    pub fn id(&mut self) -> [u8; 16] {
        self.n += 1;
        let mut out = [0x11; 16];
        out[..8].copy_from_slice(&self.n.to_be_bytes());
        out
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn entry(&mut self, kind: Kind, action: Option<ActionId>) -> NewEntry {
        let id = self.id();
        let leaf = json!({"n": self.n}).to_string().into_bytes();
        let leaf_hash = leaf_hash(&leaf);
        NewEntry { id: EntryId::from_bytes(id), kind, at: self.now(), action, leaf, leaf_hash, sealed: None }
    }

    pub fn spare(&mut self, n: u32) -> Vec<EntryId> {
        (0..n).map(|_| EntryId::from_bytes(self.id())).collect()
    }

    pub fn action(&mut self, scope: Scope, act: &Act) -> NewAction {
        let id = self.id();
        let of = |what: &str, n: u8| Digest::of(format!("{what}{n}{}{}", scope.tenant_id, scope.mode).as_bytes());
        let proposal = json!({"tool": "t.x", "args": {"n": self.n}, "entity_key": format!("e{}", act.lane), "idempotency_key": act.key.map(|k| format!("k{k}")),
            "value": null, "independent": act.independent, "continue_on_failure": act.goes_on});
        NewAction {
            terms: crate::terms::terms(&scope, act.terms),
            id: ActionId::from_bytes(id),
            proposal: serde_json::from_value(proposal).unwrap(),
            tool_digest: None,
            effect: Effect::Write,
            salt: [5; 32],
            lane: Some(of("lane", act.lane)),
            key: act.key.map(|k| KeyClaim { key: of("key", k), fingerprint: of("fingerprint", act.fingerprint) }),
        }
    }

    pub fn session(&self, claim: Option<u8>) -> Option<SessionId> {
        claim.map(|c| self.sessions[usize::from(c) % 3])
    }

    pub fn pick<T: Clone>(all: &[T], pick: u8) -> Option<T> {
        // The newest are the liveliest: a small number picks one of them.
        let last = all.len().checked_sub(1)?;
        all.get(last - usize::from(pick) % all.len()).cloned()
    }

    /// An action in a state that something can be done about, if one of the newest is; else any.
    pub async fn pick_in(&mut self, pick: u8, fits: impl Fn(ActionState) -> bool) -> Option<(Scope, RunId, ActionId)> {
        let mut found = Vec::new();
        for (scope, run, id) in self.actions.iter().rev().take(16).copied().collect::<Vec<_>>() {
            if self.record(scope, id).await.is_some_and(|a| fits(a.state)) {
                found.push((scope, run, id));
            }
        }
        Self::pick(if found.is_empty() { &self.actions } else { &found }, pick)
    }

    /// A claim on a step of this kind.
    pub fn pick_held(&self, pick: u8, fits: impl Fn(&Claimed) -> bool) -> Option<Claimed> {
        let all: Vec<Claimed> = self.held.iter().filter(|c| fits(c)).copied().collect();
        Self::pick(&all, pick)
    }

    /// Keeps claims, and drops those that a command ended.
    pub fn take(&mut self, claimed: &[Claimed]) {
        self.held.extend(claimed.iter().copied());
        if self.held.len() > 24 {
            self.held.drain(..self.held.len() - 24);
        }
    }

    pub fn ended(&mut self, c: &Claimed) {
        self.held.retain(|h| h != c);
    }

    pub async fn rev(&mut self, stale: bool) -> ConfigRev {
        let rev = both!(self, |s| s.config_rev()).unwrap();
        if stale { ConfigRev(rev.0 + 1) } else { rev }
    }

    pub async fn record(&mut self, scope: Scope, id: ActionId) -> Option<ActionRecord> {
        both!(self, |s| s.action(scope, id)).unwrap()
    }

    /// Runs a command on both; answers what it was and what came of it, for the report.
    pub async fn run(&mut self, op: &Op) -> String {
        let out = match op {
            Op::Ingest { .. } | Op::Submit { .. } | Op::Session { .. } | Op::Claim { .. } | Op::Plan { .. } => self.step(op).await,
            Op::Begin { .. } | Op::Dispose { .. } | Op::Defer { .. } | Op::Look { .. } | Op::GiveUp { .. } | Op::Block { .. } => {
                self.act(op).await
            }
            Op::Ask { .. } | Op::Approve { .. } | Op::End { .. } | Op::Resolve { .. } | Op::Cancel { .. } | Op::Lift { .. } => {
                self.person(op).await
            }
            Op::Start { .. } | Op::Node { .. } | Op::Stop { .. } | Op::Resume { .. } => self.graph(op).await,
            Op::Tick { seconds } => {
                self.clock.advance(Duration::from_secs(u64::from(*seconds)));
                String::new()
            }
            Op::Wake => shown(&both!(self, |s| s.wake_blocked())),
            Op::Fire => shown(&both!(self, |s| s.fire_timers(1000))),
            Op::Reap => shown(&both!(self, |s| s.reap())),
            Op::Forget => shown(&both!(self, |s| s.forget_keys(1000))),
            _ => self.configure(op).await,
        };
        // No two commands at the same instant.
        self.clock.advance(Duration::from_millis(1));
        format!("  {op:?} -> {out}")
    }
}

/// Which step.
pub fn action_of(c: &Claimed) -> Option<ActionId> {
    if let Step::Action(a) = c.step { Some(a) } else { None }
}

/// An answer in short.
pub fn shown<T: Debug>(answer: &Result<T, StoreError>) -> String {
    let text = format!("{answer:?}");
    text.chars().take(160).collect()
}
