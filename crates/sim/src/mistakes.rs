//! The mistakes that a run must find, each a decorator over the right code: a check that cannot fail proves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::{
    BeginAttempt, BoxFuture, Claimed, Clock, Compensation, DurableExec, Effects, Lease, NewAction, PlanOutcome, Step, StoreError, StorePlan,
};
use tollgate_testkit::{Fates, SimClock, SkewedClock};

use crate::watch::row;

/// Between two looks at a lane that is not free.
const LANE_WAIT: Duration = Duration::from_secs(5);
/// A lease and a little.
const LANE_WAITS: u32 = 13;

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Nothing.
    None,
    /// The key is consumed after the call, and no intent is durable before it.
    NoIntent,
    /// A call that timed out is taken as one that did not happen.
    TimeoutIsFailure,
    /// Two actions may reserve one key.
    KeyNotUnique,
    /// A write is accepted from whoever held the step once.
    NoFence,
    /// Leases run by the clock of the worker.
    WorkersClock,
    /// The lane is passed on before the disposition is committed.
    LaneReleasedEarly,
    /// No mistake: lanes as in the last, kept outside the store, but passed on after the commit. What proves that the last is found for
    /// its order and not for its make.
    LaneReleasedInTime,
}

impl Mistake {
    /// Whether lanes are kept outside the store.
    pub(crate) const fn own_lanes(self) -> bool {
        matches!(self, Self::LaneReleasedEarly | Self::LaneReleasedInTime)
    }
}

pub(crate) type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What a mistaken store remembers.
#[derive(Default)]
pub(crate) struct Memory {
    /// Attempts begun without an intent.
    pub(crate) unwritten: BTreeMap<ActionId, BeginAttempt>,
    /// The newest lease of each step.
    newest: BTreeMap<([u8; 16], u32), Lease>,
    /// Lanes outside the store: of each action, and who holds each.
    lane_of: BTreeMap<ActionId, Digest>,
    lanes: BTreeMap<Digest, ActionId>,
    clocks: BTreeMap<SessionId, Arc<SkewedClock>>,
}

/// The store with a mistake.
pub struct Mistaken {
    pub(crate) effects: Arc<dyn Effects>,
    pub(crate) exec: Arc<dyn DurableExec>,
    pub(crate) fates: Arc<Fates>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) mistake: Mistake,
    pub(crate) memory: Mutex<Memory>,
}

impl Mistaken {
    /// Over the right ones.
    pub fn new(mistake: Mistake, effects: Arc<dyn Effects>, exec: Arc<dyn DurableExec>, fates: Arc<Fates>, clock: Arc<SimClock>) -> Self {
        Self { effects, exec, fates, clock, mistake, memory: Mutex::default() }
    }

    /// The clock of a session's worker.
    pub fn clock_of(&self, session: SessionId, clock: Arc<SkewedClock>) {
        self.memory.lock().clocks.insert(session, clock);
    }

    pub(crate) const fn own_lanes(&self) -> bool {
        self.mistake.own_lanes()
    }

    /// How long the lease is by the store's clock, if it ends by the worker's.
    pub(crate) fn ttl(&self, session: SessionId, ttl: Duration) -> Duration {
        if self.mistake != Mistake::WorkersClock {
            return ttl;
        }
        let theirs = self.memory.lock().clocks.get(&session).map(|c| c.now());
        theirs.map_or(ttl, |now| now.plus(ttl).since(self.clock.now()))
    }

    pub(crate) fn granted(&self, claimed: &[Claimed]) {
        let mut m = self.memory.lock();
        for c in claimed {
            m.newest.insert(row(c.run, c.step), c.lease);
        }
    }

    /// The lease that a write is judged by.
    pub(crate) fn lease(&self, run: RunId, step: Step, given: Lease) -> Lease {
        if self.mistake != Mistake::NoFence {
            return given;
        }
        self.memory.lock().newest.get(&row(run, step)).copied().unwrap_or(given)
    }

    pub(crate) fn change_plan(&self, c: &mut StorePlan) {
        if let PlanOutcome::Proposed(actions) = &mut c.outcome {
            actions.iter_mut().for_each(|a| self.change_action(a));
        }
    }

    pub(crate) fn change_compensation(&self, c: &mut Option<Box<Compensation>>) {
        if let Some(c) = c {
            self.change_action(&mut c.action);
        }
    }

    fn change_action(&self, a: &mut NewAction) {
        if let (Mistake::KeyNotUnique, Some(claim)) = (self.mistake, &mut a.key) {
            claim.key = Digest::of(a.id.as_bytes());
        }
        if self.own_lanes()
            && let Some(lane) = a.lane.take()
        {
            self.memory.lock().lane_of.insert(a.id, lane);
        }
    }

    pub(crate) fn lane_of(&self, action: ActionId) -> Option<Digest> {
        self.memory.lock().lane_of.get(&action).copied()
    }

    /// Waits in the worker until the lane is free, and takes it; answers whether it was not this action's already. Gives up when its
    /// lease must have lapsed, so that another may try.
    pub(crate) async fn take_lane(&self, action: ActionId) -> Result<bool, StoreError> {
        let Some(lane) = self.lane_of(action) else { return Ok(false) };
        for _ in 0..LANE_WAITS {
            let holder = self.memory.lock().lanes.get(&lane).copied();
            match holder {
                Some(by) if by == action => return Ok(false),
                Some(_) => self.fates.wait(LANE_WAIT).await,
                None => {
                    self.memory.lock().lanes.insert(lane, action);
                    return Ok(true);
                }
            }
        }
        Err(StoreError::Unavailable("the lane is not free".to_owned()))
    }

    pub(crate) fn leave_lane(&self, action: ActionId) {
        let m = &mut *self.memory.lock();
        if let Some(lane) = m.lane_of.get(&action)
            && m.lanes.get(lane) == Some(&action)
        {
            m.lanes.remove(lane);
        }
    }
}
