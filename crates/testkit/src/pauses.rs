//! The store's ports with an await before and after each call, where the fates have their say.

use std::sync::Arc;
use std::time::Duration;

use tollgate_core::gate::KeyLook;
use tollgate_core::graph::GraphSpec;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, RunId, SessionId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, BeginAttempt, Begun, Block, BoxFuture, Claimed, ClaimedOf, Defer,
    Dispose, Disposed, DurableExec, Effects, FinishNode, GraphExec, Lease, NewEntry, NodeRecord, ReasonRecord, Resolve, RunStands,
    StartGraph, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::Scope;
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;

use crate::fates::Fates;

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Effects and durable execution, interrupted.
pub struct PausedStore {
    effects: Arc<dyn Effects>,
    exec: Arc<dyn DurableExec>,
    fates: Arc<Fates>,
}

impl PausedStore {
    /// Over the real ones.
    pub fn new(effects: Arc<dyn Effects>, exec: Arc<dyn DurableExec>, fates: Arc<Fates>) -> Self {
        Self { effects, exec, fates }
    }

    /// A command: whether it was committed before its answer got lost, its caller cannot know.
    fn write<'a, T: Send + 'a>(&'a self, tag: &'static str, call: impl FnOnce() -> Out<'a, T> + Send + 'a) -> Out<'a, T> {
        Box::pin(async move {
            if !self.fates.point(tag).await {
                return Err(StoreError::AnswerLost);
            }
            let out = call().await;
            if self.fates.point(tag).await { out } else { out.and(Err(StoreError::AnswerLost)) }
        })
    }

    /// A query: a lost answer is the same as none.
    fn read<'a, T: Send + 'a>(&'a self, tag: &'static str, call: impl FnOnce() -> Out<'a, T> + Send + 'a) -> Out<'a, T> {
        Box::pin(async move {
            let lost = || StoreError::Unavailable("the store did not answer".to_owned());
            if !self.fates.point(tag).await {
                return Err(lost());
            }
            let out = call().await;
            if self.fates.point(tag).await { out } else { Err(lost()) }
        })
    }
}

impl Effects for PausedStore {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        self.write("store_plan", move || self.effects.store_plan(c))
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.write("submit", move || self.effects.submit(c))
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        self.write("look_at_key", move || self.effects.look_at_key(scope, action, lease))
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        self.write("begin", move || self.effects.begin(c))
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        self.write("defer", move || self.effects.defer(c))
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        self.write("block", move || self.effects.block(c))
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.write("wake_blocked", move || self.effects.wake_blocked())
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        self.write("dispose", move || self.effects.dispose(c))
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        self.write("ask_approval", move || self.effects.ask_approval(c))
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.write("approve", move || self.effects.approve(c))
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        self.write("resolve", move || self.effects.resolve(c))
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.write("append", move || self.effects.append(scope, entry))
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        self.write("cancel_run", move || self.effects.cancel_run(scope, run, at))
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.write("lift_denial", move || self.effects.lift_denial(scope, action, entry))
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.read("action", move || self.effects.action(scope, id))
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        self.read("approval", move || self.effects.approval(scope, id))
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        self.read("lapsed_approvals", move || self.effects.lapsed_approvals(limit))
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.read("consumed_output", move || self.effects.consumed_output(scope, by))
    }
}

impl DurableExec for PausedStore {
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> Out<'_, ()> {
        self.write("open_session", move || self.exec.open_session(session, ttl, labels))
    }
    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.write("renew", move || self.exec.renew(session, ttl))
    }
    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        self.write("close_session", move || self.exec.close_session(session))
    }
    fn claim(&self, session: SessionId, limit: u32) -> Out<'_, Vec<Claimed>> {
        self.write("claim", move || self.exec.claim(session, limit))
    }
    fn claim_of(&self, session: SessionId, scope: Scope, run: RunId, limit: u32) -> Out<'_, ClaimedOf> {
        self.write("claim_of", move || self.exec.claim_of(session, scope, run, limit))
    }
    fn scope_of(&self, run: RunId) -> Out<'_, Option<Scope>> {
        self.read("scope_of", move || self.exec.scope_of(run))
    }
    fn stands(&self, scope: Scope, run: RunId) -> Out<'_, Option<RunStands>> {
        self.read("stands", move || self.exec.stands(scope, run))
    }
    fn pending(&self) -> Out<'_, bool> {
        self.read("pending", move || self.exec.pending())
    }
    fn fire_timers(&self, limit: u32) -> Out<'_, (u32, Option<Timestamp>)> {
        self.write("fire_timers", move || self.exec.fire_timers(limit))
    }
    fn reap(&self) -> Out<'_, u32> {
        self.write("reap", move || self.exec.reap())
    }
    fn reason_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<ReasonRecord>> {
        self.read("reason_step", move || self.exec.reason_step(scope, run))
    }
}

impl GraphExec for PausedStore {
    fn start_graph(&self, c: StartGraph) -> Out<'_, Disposed> {
        self.write("start_graph", move || self.exec.start_graph(c))
    }
    fn finish_node(&self, c: FinishNode) -> Out<'_, Disposed> {
        self.write("finish_node", move || self.exec.finish_node(c))
    }
    fn node_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<NodeRecord>> {
        self.read("node_step", move || self.exec.node_step(scope, run))
    }
    fn graph_spec(&self, scope: Scope, digest: Digest) -> Out<'_, Option<GraphSpec>> {
        self.read("graph_spec", move || self.exec.graph_spec(scope, digest))
    }
    fn blob(&self, scope: Scope, digest: Digest) -> Out<'_, Option<Vec<u8>>> {
        self.read("blob", move || self.exec.blob(scope, digest))
    }
    fn nodes_of(&self, scope: Scope, run: RunId, session: SessionId) -> Out<'_, Vec<Claimed>> {
        self.read("nodes_of", move || self.exec.nodes_of(scope, run, session))
    }
    fn stop_graph(&self, scope: Scope, run: RunId, node: u32, lease: Lease, why: String) -> Out<'_, ()> {
        self.write("stop_graph", move || self.exec.stop_graph(scope, run, node, lease, why))
    }
    fn resume_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Disposed> {
        self.write("resume_run", move || self.exec.resume_run(scope, run, at))
    }
}
