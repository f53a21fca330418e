//! A decorator that loses answers to commits: the command was applied, or it was not, and the caller cannot know.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_core::gate::KeyLook;
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, BeginAttempt, Begun, Block, BoxFuture, Defer, Dispose, Disposed, Effects,
    Lease, NewEntry, Resolve, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

/// Which command's next answer is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// `store_plan`.
    Plan,
    /// `begin`.
    Begin,
    /// `defer`.
    Defer,
    /// `dispose`.
    Dispose,
    /// `block`.
    Block,
}

/// What happens to the command whose answer is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It was committed.
    AfterCommit,
    /// It never reached the store.
    BeforeCommit,
}

/// Effects whose answers may be lost.
pub struct LossyEffects {
    inner: Arc<dyn Effects>,
    plan: Mutex<VecDeque<(Point, Loss)>>,
}

impl LossyEffects {
    /// Over the real one.
    pub fn new(inner: Arc<dyn Effects>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// The next command of this kind loses its answer.
    pub fn lose(&self, point: Point, loss: Loss) {
        self.plan.lock().push_back((point, loss));
    }

    fn due(&self, point: Point) -> Option<Loss> {
        let mut plan = self.plan.lock();
        let i = plan.iter().position(|(p, _)| *p == point)?;
        plan.remove(i).map(|(_, loss)| loss)
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        point: Point,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        match self.due(point) {
            None => call(),
            Some(Loss::BeforeCommit) => Box::pin(std::future::ready(Err(StoreError::AnswerLost))),
            Some(Loss::AfterCommit) => {
                let answer = call();
                Box::pin(async {
                    answer.await?;
                    Err(StoreError::AnswerLost)
                })
            }
        }
    }
}

impl Effects for LossyEffects {
    fn store_plan(&self, c: StorePlan) -> BoxFuture<'_, Result<Disposed, StoreError>> {
        self.pass(Point::Plan, || self.inner.store_plan(c))
    }
    fn submit(&self, c: SubmitAction) -> BoxFuture<'_, Result<Submitted, StoreError>> {
        self.inner.submit(c)
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> BoxFuture<'_, Result<KeyLook, StoreError>> {
        self.inner.look_at_key(scope, action, lease)
    }
    fn begin(&self, c: BeginAttempt) -> BoxFuture<'_, Result<Begun, StoreError>> {
        self.pass(Point::Begin, || self.inner.begin(c))
    }
    fn defer(&self, c: Defer) -> BoxFuture<'_, Result<(), StoreError>> {
        self.pass(Point::Defer, || self.inner.defer(c))
    }
    fn block(&self, c: Block) -> BoxFuture<'_, Result<(), StoreError>> {
        self.pass(Point::Block, || self.inner.block(c))
    }
    fn wake_blocked(&self) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.wake_blocked()
    }
    fn dispose(&self, c: Dispose) -> BoxFuture<'_, Result<Disposed, StoreError>> {
        self.pass(Point::Dispose, || self.inner.dispose(c))
    }
    fn ask_approval(&self, c: AskApproval) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.ask_approval(c)
    }
    fn approve(&self, c: Approve) -> BoxFuture<'_, Result<Answered, StoreError>> {
        self.inner.approve(c)
    }
    fn resolve(&self, c: Resolve) -> BoxFuture<'_, Result<Disposed, StoreError>> {
        self.inner.resolve(c)
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.append(scope, entry)
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> BoxFuture<'_, Result<Vec<ActionId>, StoreError>> {
        self.inner.cancel_run(scope, run, at)
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.inner.lift_denial(scope, action, entry)
    }
    fn action(&self, scope: Scope, id: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>, StoreError>> {
        self.inner.action(scope, id)
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> BoxFuture<'_, Result<Option<ApprovalRecord>, StoreError>> {
        self.inner.approval(scope, id)
    }
    fn lapsed_approvals(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(Scope, ApprovalId)>, StoreError>> {
        self.inner.lapsed_approvals(limit)
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>, StoreError>> {
        self.inner.consumed_output(scope, by)
    }
}
