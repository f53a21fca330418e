//! Commands as the planes of a deployment have them: what a worker does goes by its login, which may do less than the control plane's.
//! What people and sweeps do goes by the control plane's.

use std::sync::Arc;

use tollgate_core::gate::KeyLook;
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, Authority, BeginAttempt, Begun, Block, BoxFuture, Defer, Dispose,
    Disposed, Effects, Lease, NewEntry, Ports, Resolve, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Both planes over one database.
pub(crate) struct Planes {
    pub(crate) control: Arc<dyn Ports>,
    pub(crate) worker: Arc<dyn Ports>,
}

impl Effects for Planes {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        self.worker.store_plan(c)
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.control.submit(c)
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        self.worker.look_at_key(scope, action, lease)
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        self.worker.begin(c)
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        self.worker.defer(c)
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        self.worker.block(c)
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.control.wake_blocked()
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        match c.authority {
            Authority::Lease(_) => self.worker.dispose(c),
            Authority::Parked(_) | Authority::Approval(..) | Authority::Epoch => self.control.dispose(c),
        }
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        self.worker.ask_approval(c)
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.control.approve(c)
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        self.control.resolve(c)
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.worker.append(scope, entry)
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        self.control.cancel_run(scope, run, at)
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.control.lift_denial(scope, action, entry)
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.worker.action(scope, id)
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        self.worker.approval(scope, id)
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        self.control.lapsed_approvals(limit)
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.worker.consumed_output(scope, by)
    }
}
