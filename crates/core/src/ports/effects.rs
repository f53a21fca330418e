//! Effects: plans, keys, lanes, intents, approvals, dispositions. Always our own SQL.
//!
//! Every command is one transaction. Each names what it expects; if that does not hold, nothing is written and the answer says
//! what was found, so that the caller decides again in pure code.

use crate::action::ActionState;
use crate::attempt::{AttemptResult, Attempts};
use crate::gate::KeyLook;
use crate::hash::Digest;
use crate::id::{ActionId, ApprovalId, EntryId, PlanId, RunId, SessionId};
use crate::ledger::{Disposition, SALT_LEN};
use crate::plan::{ProposalError, ProposedAction};
use crate::run::RunState;
use crate::scope::Scope;
use crate::spec::{Effect, OnUnknown, Ordering};
use crate::terms::Terms;
use crate::time::Timestamp;
use crate::verdict::Principal;

use super::{ActionRecord, ApprovalRecord, BoxFuture, Claimed, ConfigRev, Dedupe, Lease, NewEntry, StoreError};

/// An action about to be stored with its plan.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAction {
    /// Its id.
    pub id: ActionId,
    /// What was proposed.
    pub proposal: ProposedAction,
    /// The content address of its tool; none when there is no such tool.
    pub tool_digest: Option<Digest>,
    /// Whether it changes the outside world.
    pub effect: Effect,
    /// The salt of its commitments.
    pub salt: [u8; SALT_LEN],
    /// Its lane, if it writes.
    pub lane: Option<Digest>,
    /// Its effect key and the fingerprint, if it writes.
    pub key: Option<KeyClaim>,
    /// On what terms it waits for a worker.
    pub terms: Terms,
}

/// An effect key as an action claims it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyClaim {
    /// The row's name.
    pub key: Digest,
    /// What it stands for.
    pub fingerprint: Digest,
}

/// What came of asking an operator.
#[derive(Clone, PartialEq, Debug)]
pub enum PlanOutcome {
    /// A plan to carry out.
    Proposed(Vec<NewAction>),
    /// A plan of a draft operator: kept, not carried out.
    Draft(Vec<NewAction>),
    /// Nothing to do.
    Nothing,
    /// It could not propose.
    Failed(ProposalError),
}

/// Stores a plan, once per (event, operator, offering).
#[derive(Clone, PartialEq, Debug)]
pub struct StorePlan {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The claim on its reasoning step.
    pub lease: Lease,
    /// The plan.
    pub plan: PlanId,
    /// When it was proposed.
    pub at: Timestamp,
    /// What it says.
    pub outcome: PlanOutcome,
    /// Tickets at once, in event order.
    pub ordering: Ordering,
    /// Take the first callable actions for this session.
    pub claim: Option<SessionId>,
}

/// A direct action: run, plan and action in one.
#[derive(Clone, PartialEq, Debug)]
pub struct SubmitAction {
    /// Whose it is.
    pub scope: Scope,
    /// The request's idempotency.
    pub dedupe: Option<Dedupe>,
    /// The new run.
    pub run: RunId,
    /// The new plan.
    pub plan: PlanId,
    /// The bundle it is pinned to.
    pub bundle: Digest,
    /// Who asks.
    pub principal: Principal,
    /// The action.
    pub action: NewAction,
    /// When it came.
    pub at: Timestamp,
    /// Claim it for this session.
    pub claim: Option<SessionId>,
}

/// What became of a direct action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Submitted {
    /// Stored; the claim, if one was asked for.
    Stored(Option<Claimed>),
    /// The same key and body came before: that action.
    Repeated(ActionId),
    /// The same key came with another body.
    Conflict(ActionId),
}

/// Writes the intent. The call may be made only when this answers [`Begun::Intent`].
#[derive(Clone, PartialEq, Debug)]
pub struct BeginAttempt {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: ActionId,
    /// The claim.
    pub lease: Lease,
    /// Under which revision the verdict was computed.
    pub rev: ConfigRev,
    /// Counts up from 1.
    pub attempt: u32,
    /// Generation of the remote key.
    pub generation: u32,
    /// When the call is given up.
    pub deadline_at: Timestamp,
    /// The rendered request without secrets, as JSON.
    pub rendered: Vec<u8>,
    /// The approval that allows it, with the binding it must still have.
    pub approval: Option<(ApprovalId, Digest)>,
    /// The intent entry.
    pub entry: NewEntry,
}

/// What became of the intent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Durable: make the call.
    Intent,
    /// The key stopped it: consumed, held by another (the action now waits), or a conflict.
    Key(KeyLook),
    /// Another action is before it: it now waits in the lane.
    LaneBusy,
    /// The approval was not given, has another binding, or lapsed.
    NotApproved,
    /// A denial stands for this key and fingerprint.
    Denied(EntryId),
    /// The run is being cancelled.
    Cancelled,
}

/// Closes an attempt that will be followed by another step of the same action.
#[derive(Clone, PartialEq, Debug)]
pub struct CloseAttempt {
    /// Counts up from 1.
    pub attempt: u32,
    /// How it ended.
    pub result: AttemptResult,
    /// The attempt entry.
    pub entry: NewEntry,
}

/// Sets an action aside until a time.
#[derive(Clone, PartialEq, Debug)]
pub struct Defer {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: ActionId,
    /// The claim.
    pub lease: Lease,
    /// The attempt that ended, if one did.
    pub close: Option<CloseAttempt>,
    /// `Backoff` or `Doubt`.
    pub state: ActionState,
    /// The counts from now on.
    pub attempts: Attempts,
    /// Generation from now on.
    pub generation: u32,
    /// Not before this.
    pub until: Timestamp,
}

/// Who may dispose an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// The worker that holds it.
    Lease(Lease),
    /// It is parked in this state, and no worker holds it.
    Parked(ActionState),
    /// Its approval request, which this denial or expiry answers. Judged by the store's clock.
    Approval(ApprovalId, ApprovalEnd),
    /// A person who says that it was carried out in the time that a restored store forgot. Only while the epoch holds all writes.
    Epoch,
}

/// How an approval request ends without a yes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApprovalEnd {
    /// A person said no, in this ledger entry: it stands for the key and fingerprint, and whoever meets it cites it.
    Denied(EntryId),
    /// Nobody answered in time.
    Expired,
}

/// What a disposition does to the effect key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyChange {
    /// Nothing: it never had it.
    None,
    /// Consumed, for ever.
    Consume,
    /// Free for another.
    Free,
    /// In doubt until resolved.
    Doubt,
}

/// The action that takes another's effect back. It is stored only if the run is being cancelled by then.
#[derive(Clone, PartialEq, Debug)]
pub struct Compensation {
    /// The action.
    pub action: NewAction,
    /// Why it cannot go to the gate: it is stored blocked, with these reason and detail.
    pub fault: Option<(String, String)>,
}

/// Parks a compensation that the gate does not let pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: ActionId,
    /// The claim.
    pub lease: Lease,
    /// Under which revision it was judged: another one means another judgement.
    pub rev: ConfigRev,
    /// Why, in a stable word.
    pub reason: String,
    /// For people.
    pub detail: Option<String>,
}

/// How an action ends.
#[derive(Clone, PartialEq, Debug)]
pub struct Disposal {
    /// How.
    pub disposition: Disposition,
    /// Why, in a stable word.
    pub reason: String,
    /// For people.
    pub detail: Option<String>,
    /// The receipt.
    pub receipt: NewEntry,
    /// Further entries of the same transaction: approval steps.
    pub entries: Vec<NewEntry>,
    /// What the tool returned, as JSON.
    pub output: Option<Vec<u8>>,
    /// What happens to the key.
    pub key: KeyChange,
    /// Whether an `unknown` keeps the lane.
    pub on_unknown: OnUnknown,
}

/// Disposes an action: attempt result, receipt, key, step, lane, next steps, in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispose {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: ActionId,
    /// By what right.
    pub authority: Authority,
    /// The attempt that ended with it.
    pub close: Option<CloseAttempt>,
    /// How it ends.
    pub disposal: Disposal,
    /// When.
    pub at: Timestamp,
    /// Ids for the receipts of skipped actions: as many as the plan has actions.
    pub spare: Vec<EntryId>,
    /// Take the next callable actions for this session.
    pub claim: Option<SessionId>,
    /// What takes the effect back, should the run be cancelled by now.
    pub compensation: Option<Box<Compensation>>,
}

/// What followed a disposition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposed {
    /// Steps that the given session holds now.
    pub claimed: Vec<Claimed>,
    /// Steps that others may claim now.
    pub woken: u32,
    /// How the run stands.
    pub run: RunState,
}

/// Asks people. The action is parked; nothing holds a lane or a lease.
#[derive(Clone, PartialEq, Debug)]
pub struct AskApproval {
    /// Whose it is.
    pub scope: Scope,
    /// The run.
    pub run: RunId,
    /// The action.
    pub action: ActionId,
    /// The claim.
    pub lease: Lease,
    /// The request.
    pub approval: ApprovalId,
    /// Every queue that must say yes.
    pub queues: Vec<String>,
    /// What the answer is bound to.
    pub binding: Digest,
    /// The exact bytes shown.
    pub shown: Vec<u8>,
    /// How long people have, from the store's now.
    pub expires_in: std::time::Duration,
    /// One `requested` entry per queue.
    pub entries: Vec<NewEntry>,
    /// When.
    pub at: Timestamp,
}

/// A yes of one queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Approve {
    /// Whose it is.
    pub scope: Scope,
    /// The request.
    pub approval: ApprovalId,
    /// The queue that answers.
    pub queue: String,
    /// Who.
    pub by: String,
    /// Digest of what they saw: must be the request's binding.
    pub binding: Digest,
    /// The `approved` entry.
    pub entry: NewEntry,
    /// When.
    pub at: Timestamp,
}

/// What became of an answer: one compare-and-set wins, the loser is told which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// All queues said yes: the action goes on.
    Approved,
    /// Yes, and these queues are still open.
    StillOpen(Vec<String>),
    /// Lapsed, by the store's clock.
    Expired,
    /// Someone else answered first; how it ended.
    AlreadyEnded(String),
    /// What was seen is not what is asked.
    WrongBinding,
}

/// A person's word on an `unknown`.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolve {
    /// Whose it is.
    pub scope: Scope,
    /// The action.
    pub action: ActionId,
    /// `true`: it happened.
    pub applied: bool,
    /// The resolution entry.
    pub entry: NewEntry,
    /// When.
    pub at: Timestamp,
    /// Ids for the receipts of skipped actions.
    pub spare: Vec<EntryId>,
    /// What takes the effect back, should it have happened and the run be cancelled by now.
    pub compensation: Option<Box<Compensation>>,
}

/// The effect protocol.
pub trait Effects: Send + Sync {
    /// Stores a plan.
    fn store_plan(&self, command: StorePlan) -> BoxFuture<'_, Result<Disposed, StoreError>>;
    /// Stores a direct action.
    fn submit(&self, command: SubmitAction) -> BoxFuture<'_, Result<Submitted, StoreError>>;
    /// Looks at an effect key for an action, and parks the action when another holds the key.
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> BoxFuture<'_, Result<KeyLook, StoreError>>;
    /// Writes an intent.
    fn begin(&self, command: BeginAttempt) -> BoxFuture<'_, Result<Begun, StoreError>>;
    /// Sets an action aside.
    fn defer(&self, command: Defer) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Parks a compensation that the gate does not let pass. Deployments and changes of status wake it.
    fn block(&self, command: Block) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Sends every blocked compensation through the gate again: what a process does at its start. Answers how many.
    fn wake_blocked(&self) -> BoxFuture<'_, Result<u32, StoreError>>;
    /// Disposes an action.
    fn dispose(&self, command: Dispose) -> BoxFuture<'_, Result<Disposed, StoreError>>;
    /// Asks people.
    fn ask_approval(&self, command: AskApproval) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Takes a yes.
    fn approve(&self, command: Approve) -> BoxFuture<'_, Result<Answered, StoreError>>;
    /// Takes a person's word on an `unknown`.
    fn resolve(&self, command: Resolve) -> BoxFuture<'_, Result<Disposed, StoreError>>;
    /// Appends an entry that changes no execution state: late evidence, changes of policy and specs.
    fn append(&self, scope: Scope, entry: NewEntry) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Marks a run as being cancelled; what waits is listed, to be disposed one by one. Of the compensations of a run that is being
    /// cancelled already, the blocked ones are listed: they are given up.
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> BoxFuture<'_, Result<Vec<ActionId>, StoreError>>;
    /// Lifts the denial that stands for an action's key and fingerprint; `false`, and nothing written, when none stands.
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// One action.
    fn action(&self, scope: Scope, id: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>, StoreError>>;
    /// One approval request.
    fn approval(&self, scope: Scope, id: ApprovalId) -> BoxFuture<'_, Result<Option<ApprovalRecord>, StoreError>>;
    /// Open requests that have lapsed by the store's clock.
    fn lapsed_approvals(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(Scope, ApprovalId)>, StoreError>>;
    /// The receipt that consumed a key, with its action's output: what a duplicate returns.
    fn consumed_output(&self, scope: Scope, by: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>, StoreError>>;
}
