//! The ports over a mistaken store: each command is right but for the one thing that its mistake changes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::gate::KeyLook;
use tollgate_core::graph::GraphSpec;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, Authority, BeginAttempt, Begun, Block, BoxFuture, CallRequest, Claimed,
    ClaimedOf, Defer, Dispose, Disposed, DurableExec, Effects, FinishNode, GraphExec, Lease, NewEntry, NodeRecord, ReasonRecord,
    RenderError, Rendered, Resolve, RunStands, SecretLease, StartGraph, Step, StoreError, StorePlan, SubmitAction, Submitted, ToolCaller,
    VerifyAnswer,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;

use crate::mistakes::{Mistake, Mistaken, Out};

impl Mistaken {
    /// The intent that was not written before the call, if it was not.
    async fn write_late(&self, action: ActionId) -> Result<(), StoreError> {
        let late = self.memory.lock().unwritten.remove(&action);
        match late {
            None => Ok(()),
            Some(c) => match self.effects.begin(c).await? {
                Begun::Intent => Ok(()),
                _ => Err(StoreError::LeaseLost),
            },
        }
    }
}

impl Effects for Mistaken {
    fn store_plan(&self, mut c: StorePlan) -> Out<'_, Disposed> {
        self.change_plan(&mut c);
        c.lease = self.lease(c.run, Step::Reason, c.lease);
        Box::pin(async move {
            let out = self.effects.store_plan(c).await?;
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.effects.submit(c)
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        // The row is the action's, whatever its run.
        let lease = self.lease(RunId::from_bytes([0; 16]), Step::Action(action), lease);
        Box::pin(async move {
            let out = self.effects.look_at_key(scope, action, lease).await?;
            if matches!(out, KeyLook::Held { .. }) {
                self.leave_lane(action);
            }
            Ok(out)
        })
    }
    fn begin(&self, mut c: BeginAttempt) -> Out<'_, Begun> {
        c.lease = self.lease(c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            if self.mistake == Mistake::NoIntent {
                self.memory.lock().unwritten.insert(c.action, c);
                return Ok(Begun::Intent);
            }
            let action = c.action;
            let taken = self.take_lane(action).await?;
            let out = self.effects.begin(c).await;
            // Nothing holds a lane that is refused or waits for a key, and a zombie takes none.
            if matches!(out, Ok(Begun::Key(KeyLook::Held { .. }))) || (taken && !matches!(out, Ok(Begun::Intent))) {
                self.leave_lane(action);
            }
            out
        })
    }
    fn defer(&self, mut c: Defer) -> Out<'_, ()> {
        c.lease = self.lease(c.run, Step::Action(c.action), c.lease);
        Box::pin(async move {
            self.write_late(c.action).await?;
            self.effects.defer(c).await
        })
    }
    fn block(&self, mut c: Block) -> Out<'_, ()> {
        c.lease = self.lease(c.run, Step::Action(c.action), c.lease);
        let action = c.action;
        Box::pin(async move {
            self.effects.block(c).await?;
            self.leave_lane(action);
            Ok(())
        })
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.effects.wake_blocked()
    }
    fn dispose(&self, mut c: Dispose) -> Out<'_, Disposed> {
        self.change_compensation(&mut c.compensation);
        if let Authority::Lease(lease) = c.authority {
            c.authority = Authority::Lease(self.lease(c.run, Step::Action(c.action), lease));
        }
        Box::pin(async move {
            self.write_late(c.action).await?;
            let (action, leaves) = (c.action, c.disposal.disposition != Disposition::Unknown);
            if self.mistake == Mistake::LaneReleasedEarly && leaves {
                self.leave_lane(action);
                self.fates.point("early").await;
            }
            let out = self.effects.dispose(c).await?;
            if leaves {
                self.leave_lane(action);
            }
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn ask_approval(&self, mut c: AskApproval) -> Out<'_, ()> {
        c.lease = self.lease(c.run, Step::Action(c.action), c.lease);
        let action = c.action;
        Box::pin(async move {
            self.effects.ask_approval(c).await?;
            self.leave_lane(action);
            Ok(())
        })
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.effects.approve(c)
    }
    fn resolve(&self, mut c: Resolve) -> Out<'_, Disposed> {
        self.change_compensation(&mut c.compensation);
        let action = c.action;
        Box::pin(async move {
            let out = self.effects.resolve(c).await?;
            self.leave_lane(action);
            Ok(out)
        })
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
        Box::pin(async move {
            let mut found = self.effects.action(scope, id).await?;
            if let (Some(a), Some(lane)) = (&mut found, self.lane_of(id)) {
                a.lane = Some(lane);
            }
            Ok(found)
        })
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

impl DurableExec for Mistaken {
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> Out<'_, ()> {
        self.exec.open_session(session, self.ttl(session, ttl), labels)
    }
    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.exec.renew(session, self.ttl(session, ttl))
    }
    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        self.exec.close_session(session)
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

impl GraphExec for Mistaken {
    fn start_graph(&self, c: StartGraph) -> Out<'_, Disposed> {
        Box::pin(async move {
            let out = self.exec.start_graph(c).await?;
            self.granted(&out.claimed);
            Ok(out)
        })
    }
    fn finish_node(&self, mut c: FinishNode) -> Out<'_, Disposed> {
        c.lease = self.lease(c.run, Step::Node(c.node), c.lease);
        Box::pin(async move {
            let out = self.exec.finish_node(c).await?;
            self.granted(&out.claimed);
            Ok(out)
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
        let lease = self.lease(run, Step::Node(node), lease);
        self.exec.stop_graph(scope, run, node, lease, why)
    }
    fn resume_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Disposed> {
        self.exec.resume_run(scope, run, at)
    }
}

/// Tools whose timeouts are taken for refusals.
pub struct MistakenTools(pub Arc<dyn ToolCaller>);

impl ToolCaller for MistakenTools {
    fn validate(&self, tool: &str, args: &Value) -> Result<(), Vec<String>> {
        self.0.validate(tool, args)
    }
    fn render(&self, tool: &str, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        self.0.render(tool, mode, args)
    }
    fn secret_of(&self, tool: &str) -> Option<&str> {
        self.0.secret_of(tool)
    }
    fn undo_tool(&self, tool: &str) -> Option<&str> {
        self.0.undo_tool(tool)
    }
    fn undo_args(&self, tool: &str, args: &Value, output: &Value) -> Result<Value, RenderError> {
        self.0.undo_args(tool, args, output)
    }
    fn verify_secret_of(&self, tool: &str) -> Option<&str> {
        self.0.verify_secret_of(tool)
    }
    fn call<'a>(&'a self, request: CallRequest<'a>) -> BoxFuture<'a, AttemptOutcome> {
        Box::pin(async move {
            match self.0.call(request).await {
                AttemptOutcome::Ambiguous { message, status } => {
                    AttemptOutcome::Rejected { status, message, retryable: true, retry_after: None, settles_doubt: true }
                }
                other => other,
            }
        })
    }
    fn verify<'a>(
        &'a self,
        tool: &'a str,
        mode: Mode,
        args: &'a Value,
        secret: Option<SecretLease>,
        now: Timestamp,
    ) -> BoxFuture<'a, VerifyAnswer> {
        self.0.verify(tool, mode, args, secret, now)
    }
}
