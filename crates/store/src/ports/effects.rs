//! The effect protocol.

use tollgate_core::gate::KeyLook;
use tollgate_core::id::{ActionId, ApprovalId, RunId, SessionId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, Authority, BeginAttempt, Begun, Block, Compensation, Defer, Dispose,
    Disposed, Effects, Lease, NewAction, NewEntry, PlanOutcome, Resolve, Step, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::Out;
use crate::backend::{Ordered, Reach, Store};
use crate::command::{approval, begin, compensate, defer, dispose, plan, resolve};
use crate::needs::{Alone, Needs};
use crate::query;

/// A held action's step.
fn held(scope: Scope, run: RunId, action: ActionId, lease: Lease) -> Needs {
    Needs::of(scope).run(run).action(action).step(run, Step::Action(action)).session(lease.session)
}

fn with_new(needs: Needs, action: &NewAction) -> Needs {
    needs.lane(action.lane).key(action.key.map(|k| k.key))
}

fn with_undo(needs: Needs, undo: Option<&Compensation>) -> Needs {
    undo.map_or_else(|| needs.clone(), |u| with_new(needs.clone(), &u.action))
}

fn needs_of_plan(c: &StorePlan) -> Needs {
    let needs = Needs::of(c.scope).run(c.run).step(c.run, Step::Reason).session(c.lease.session).session(c.claim);
    match &c.outcome {
        PlanOutcome::Proposed(actions) => actions.iter().fold(needs, |n, a| n.lane(a.lane)),
        _ => needs,
    }
}

fn needs_of_dispose(c: &Dispose) -> Needs {
    let needs = match c.authority {
        Authority::Lease(lease) => held(c.scope, c.run, c.action, lease),
        // What waits may be waiting for any of them.
        Authority::Parked(_) => Needs::of(c.scope).run(c.run).action(c.action).alone(Alone::Config),
        Authority::Epoch => Needs::of(c.scope).run(c.run).action(c.action).step(c.run, Step::Action(c.action)).alone(Alone::Config),
        Authority::Approval(id, _) => Needs::of(c.scope).run(c.run).action(c.action).alone(Alone::Approval(id)),
    };
    with_undo(needs.session(c.claim).views(c.run), c.compensation.as_deref())
}

/// Where effects and steps are apart, nothing was handed on in the commit: it is claimed after. Of the same run, as in one commit.
pub(super) async fn handed_on(
    engine: &impl Ordered,
    to: Option<SessionId>,
    of: (Scope, RunId),
    done: Disposed,
) -> Result<Disposed, StoreError> {
    let Some(session) = to.filter(|_| done.claimed.is_empty() && done.woken > 0) else { return Ok(done) };
    let claimed = engine.claim_after(session, of, done.woken).await?;
    let woken = done.woken.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
    Ok(Disposed { claimed, woken, run: done.run })
}

impl<B: Ordered> Effects for Store<B> {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        let (to, of) = (c.claim, (c.scope, c.run));
        let done = self.engine.write(needs_of_plan(&c), move |tx| plan::store_plan(tx, &c));
        Box::pin(async move { handed_on(&self.engine, to, of, done.await?).await })
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        let needs = Needs::of(c.scope).request(c.scope, c.dedupe.as_ref()).session(c.claim);
        self.engine.write(needs, move |tx| plan::submit(tx, &c))
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        let needs = Needs::of(scope).action(action).session(lease.session);
        self.engine.write(needs, move |tx| begin::look_at_key(tx, scope, action, lease))
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        self.engine.write(held(c.scope, c.run, c.action, c.lease).config(), move |tx| begin::begin(tx, &c))
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        self.engine.write(held(c.scope, c.run, c.action, c.lease), move |tx| defer::defer(tx, &c))
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        let needs = held(c.scope, c.run, c.action, c.lease).config().alone(Alone::Config);
        self.engine.write(needs, move |tx| compensate::block(tx, &c))
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        Box::pin(async move {
            let mut n = 0;
            for scope in self.engine.all(compensate::blocked_scopes(), Reach::Everywhere).await? {
                n += self.engine.write(Needs::of(scope).configures(), move |tx| compensate::wake(tx, scope)).await?;
            }
            Ok(n)
        })
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        let (to, of) = (c.claim, (c.scope, c.run));
        let done = self.engine.write(needs_of_dispose(&c), move |tx| dispose::dispose(tx, &c));
        Box::pin(async move { handed_on(&self.engine, to, of, done.await?).await })
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        self.engine.write(held(c.scope, c.run, c.action, c.lease), move |tx| approval::ask(tx, &c))
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        let needs = Needs::of(c.scope).alone(Alone::Approval(c.approval));
        self.engine.write(needs, move |tx| approval::approve(tx, &c))
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        let needs = with_undo(Needs::of(c.scope).action(c.action), c.compensation.as_deref());
        self.engine.write(needs, move |tx| resolve::resolve(tx, &c))
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.engine.write(Needs::of(scope), move |tx| tx.append(scope, &entry))
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        let needs = Needs::of(scope).run(run).views(run).step(run, Step::Reason);
        self.engine.write(needs, move |tx| resolve::cancel_run(tx, scope, run, at))
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.engine.write(Needs::of(scope).action(action), move |tx| approval::lift(tx, scope, action, &entry))
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.engine.action(scope, id)
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        Box::pin(async move {
            let Some(found) = self.engine.one(query::approvals::one(scope, id), scope).await? else { return Ok(None) };
            let queues = self.engine.all(query::approvals::queues(id), scope).await?;
            Ok::<_, StoreError>(Some(query::approvals::with(found, queues)))
        })
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        Box::pin(async move {
            let now: Timestamp = self.engine.now().await?;
            self.engine.all(query::approvals::lapsed(now, limit), Reach::Everywhere).await
        })
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.engine.one(query::actions::one(scope, by), scope)
    }
}
