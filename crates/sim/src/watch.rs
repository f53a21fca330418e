//! Looks at every command as the store answers it, and notes what no store may do: take a step from a lease that stands, or accept a
//! write of one that does not. It knows who holds what by the world's clock, whatever the store believes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollgate_core::gate::KeyLook;
use tollgate_core::graph::GraphSpec;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, RunId, SessionId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, Authority, BeginAttempt, Begun, Block, BoxFuture, Claimed, ClaimedOf,
    Clock, Defer, Dispose, Disposed, DurableExec, Effects, FinishNode, GraphExec, Lease, NewEntry, NodeRecord, ReasonRecord, Resolve,
    RunStands, StartGraph, Step, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::Scope;
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;
use tollgate_testkit::{Loss, SimClock};

use crate::checks::{Fault, Law};

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

#[derive(Default)]
struct Truth {
    until: BTreeMap<SessionId, Timestamp>,
    holds: BTreeMap<([u8; 16], u32), Lease>,
    faults: Vec<Fault>,
}

/// The watch.
pub struct Watch {
    effects: Arc<dyn Effects>,
    exec: Arc<dyn DurableExec>,
    clock: Arc<SimClock>,
    truth: Mutex<Truth>,
    losses: Mutex<VecDeque<Loss>>,
}

/// What a step is of, and its node from 1 in a graph.
pub(crate) fn row(run: RunId, step: Step) -> ([u8; 16], u32) {
    match step {
        Step::Reason => (*run.as_bytes(), 0),
        Step::Action(a) => (*a.as_bytes(), 0),
        Step::Node(n) => (*run.as_bytes(), n + 1),
    }
}

impl Watch {
    /// Over the real ones, or the mistaken ones.
    pub fn new(effects: Arc<dyn Effects>, exec: Arc<dyn DurableExec>, clock: Arc<SimClock>) -> Self {
        Self { effects, exec, clock, truth: Mutex::default(), losses: Mutex::default() }
    }

    /// The answer to the next commit of a node is lost.
    pub fn lose(&self, loss: Loss) {
        self.losses.lock().push_back(loss);
    }

    /// What was seen that may not be.
    pub fn faults(&self) -> Vec<Fault> {
        self.truth.lock().faults.clone()
    }

    fn stands(&self, t: &Truth, session: SessionId) -> bool {
        t.until.get(&session).is_some_and(|u| *u > self.clock.now())
    }

    /// What a commit handed to sessions.
    pub(crate) fn granted(&self, claimed: &[Claimed]) {
        let t = &mut *self.truth.lock();
        for c in claimed {
            let before = t.holds.insert(row(c.run, c.step), c.lease);
            if let Some(b) = before.filter(|b| self.stands(t, b.session)) {
                t.faults.push(Fault::new(Law::Lease, format!("{:?} was taken from {} while its lease stood", c.step, b.session)));
            }
        }
    }

    /// A write that the store accepted: its lease must be the step's, and stand.
    fn accepted(&self, what: &str, run: RunId, step: Step, lease: Lease) {
        let t = &mut *self.truth.lock();
        if t.holds.get(&row(run, step)) != Some(&lease) {
            t.faults.push(Fault::new(Law::Fence, format!("`{what}` of {step:?} was accepted from {}, which lost the step", lease.session)));
        } else if !self.stands(t, lease.session) {
            t.faults.push(Fault::new(Law::Lease, format!("`{what}` of {step:?} was accepted under a lease that had lapsed")));
        }
    }

    fn released(&self, run: RunId, step: Step) {
        self.truth.lock().holds.remove(&row(run, step));
    }

    fn ended(&self, what: &str, run: RunId, step: Step, lease: Lease) {
        self.accepted(what, run, step, lease);
        self.released(run, step);
    }

    fn session(&self, session: SessionId, ttl: Duration) {
        self.truth.lock().until.insert(session, self.clock.now().plus(ttl));
    }
}

impl Effects for Watch {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        let (run, lease) = (c.run, c.lease);
        Box::pin(async move {
            let out = self.effects.store_plan(c).await?;
            self.ended("store_plan", run, Step::Reason, lease);
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.effects.submit(c)
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        Box::pin(async move {
            let out = self.effects.look_at_key(scope, action, lease).await?;
            if matches!(out, KeyLook::Held { .. }) {
                // The row is the action's, whatever its run.
                self.ended("look_at_key", RunId::from_bytes([0; 16]), Step::Action(action), lease);
            }
            Ok(out)
        })
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        let (run, step, lease) = (c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            let out = self.effects.begin(c).await?;
            match out {
                Begun::Intent => self.accepted("begin", run, step, lease),
                Begun::LaneBusy | Begun::Key(KeyLook::Held { .. }) => self.ended("begin", run, step, lease),
                _ => {}
            }
            Ok(out)
        })
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        let (run, step, lease) = (c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            self.effects.defer(c).await?;
            self.ended("defer", run, step, lease);
            Ok(())
        })
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        let (run, step, lease) = (c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            self.effects.block(c).await?;
            self.ended("block", run, step, lease);
            Ok(())
        })
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.effects.wake_blocked()
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        let (run, step, authority) = (c.run, Step::Action(c.action), c.authority);
        Box::pin(async move {
            let out = self.effects.dispose(c).await?;
            match authority {
                Authority::Lease(lease) => self.ended("dispose", run, step, lease),
                Authority::Parked(_) | Authority::Approval(..) | Authority::Epoch => self.released(run, step),
            }
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        let (run, step, lease) = (c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            self.effects.ask_approval(c).await?;
            self.ended("ask_approval", run, step, lease);
            Ok(())
        })
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.effects.approve(c)
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        self.effects.resolve(c)
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.effects.append(scope, entry)
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        self.effects.cancel_run(scope, run, at)
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.effects.lift_denial(scope, action, entry)
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.effects.action(scope, id)
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        self.effects.approval(scope, id)
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        self.effects.lapsed_approvals(limit)
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.effects.consumed_output(scope, by)
    }
}

impl DurableExec for Watch {
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> Out<'_, ()> {
        Box::pin(async move {
            self.exec.open_session(session, ttl, labels).await?;
            self.session(session, ttl);
            Ok(())
        })
    }
    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        Box::pin(async move {
            self.exec.renew(session, ttl).await?;
            self.session(session, ttl);
            Ok(())
        })
    }
    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        Box::pin(async move {
            let n = self.exec.close_session(session).await?;
            let mut t = self.truth.lock();
            t.until.remove(&session);
            t.holds.retain(|_, l| l.session != session);
            Ok(n)
        })
    }
    fn claim(&self, session: SessionId, limit: u32) -> Out<'_, Vec<Claimed>> {
        Box::pin(async move {
            let out = self.exec.claim(session, limit).await?;
            self.granted(&out);
            Ok(out)
        })
    }
    fn claim_of(&self, session: SessionId, scope: Scope, run: RunId, limit: u32) -> Out<'_, ClaimedOf> {
        Box::pin(async move {
            let out = self.exec.claim_of(session, scope, run, limit).await?;
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn scope_of(&self, run: RunId) -> Out<'_, Option<Scope>> {
        self.exec.scope_of(run)
    }
    fn stands(&self, scope: Scope, run: RunId) -> Out<'_, Option<RunStands>> {
        self.exec.stands(scope, run)
    }
    fn pending(&self) -> Out<'_, bool> {
        self.exec.pending()
    }
    fn fire_timers(&self, limit: u32) -> Out<'_, (u32, Option<Timestamp>)> {
        self.exec.fire_timers(limit)
    }
    fn reap(&self) -> Out<'_, u32> {
        self.exec.reap()
    }
    fn reason_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<ReasonRecord>> {
        self.exec.reason_step(scope, run)
    }
}

impl GraphExec for Watch {
    fn start_graph(&self, c: StartGraph) -> Out<'_, Disposed> {
        Box::pin(async move {
            let out = self.exec.start_graph(c).await?;
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn finish_node(&self, c: FinishNode) -> Out<'_, Disposed> {
        let (run, step, lease) = (c.run, Step::Node(c.node), c.lease);
        let loss = self.losses.lock().pop_front();
        Box::pin(async move {
            if loss == Some(Loss::BeforeCommit) {
                return Err(StoreError::AnswerLost);
            }
            let out = self.exec.finish_node(c).await?;
            self.ended("finish_node", run, step, lease);
            self.granted(&out.claimed);
            if loss.is_some() { Err(StoreError::AnswerLost) } else { Ok(out) }
        })
    }
    fn node_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<NodeRecord>> {
        self.exec.node_step(scope, run)
    }
    fn graph_spec(&self, scope: Scope, digest: Digest) -> Out<'_, Option<GraphSpec>> {
        self.exec.graph_spec(scope, digest)
    }
    fn blob(&self, scope: Scope, digest: Digest) -> Out<'_, Option<Vec<u8>>> {
        self.exec.blob(scope, digest)
    }
    fn nodes_of(&self, scope: Scope, run: RunId, session: SessionId) -> Out<'_, Vec<Claimed>> {
        self.exec.nodes_of(scope, run, session)
    }
    fn stop_graph(&self, scope: Scope, run: RunId, node: u32, lease: Lease, why: String) -> Out<'_, ()> {
        Box::pin(async move {
            self.exec.stop_graph(scope, run, node, lease, why).await?;
            self.ended("stop_graph", run, Step::Node(node), lease);
            Ok(())
        })
    }
    fn resume_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Disposed> {
        self.exec.resume_run(scope, run, at)
    }
}
