//! The ports: what the core asks of the outside, as traits and their command types.

mod bundles;
mod changes;
mod clock;
mod desk;
mod effects;
mod epoch;
mod events;
mod exec;
mod fences;
mod graphs;
mod keep;
mod ledger;
mod lists;
mod operators;
mod policy;
mod records;
mod registry;
mod store;
mod tools;
mod vault;
mod webhooks;

pub use bundles::{Active, Bundle, Bundles};
pub use changes::{ChangeLog, Changes};
pub use clock::{Clock, Entropy, IdSource};
pub use desk::{Actor, Answer, Desk, DeskError, DeskOut, DirectAction, ExportFilter, IssuedKey, SecretInfo};
pub use effects::{
    Answered, ApprovalEnd, Approve, AskApproval, Authority, BeginAttempt, Begun, Block, CloseAttempt, Compensation, Defer, Disposal,
    Dispose, Disposed, Effects, KeyChange, KeyClaim, NewAction, PlanOutcome, Resolve, StorePlan, SubmitAction, Submitted,
};
pub use epoch::{Epoch, EpochLog, EpochStep, Epochs};
pub use events::{Dedupe, EventLog, IngestEvent, Ingested, NewRun, ReplayRange, ReplayState};
pub use exec::{ClaimedOf, DurableExec, Hands, RunStands};
pub use fences::{DEATHS_MAX, deaths_before, first_fence, set_aside};
pub use graphs::{Blob, Compute, FinishNode, GraphExec, NodeEnd, NodeFault, NodeRecord, Program, StartGraph};
pub use keep::{Archivable, Keep, Retire, Retired, StoreStats, TableSize};
pub use ledger::{LedgerLog, StoredEntry};
pub use lists::{
    ActionFilter, ApprovalFilter, EntryFilter, EventFilter, ListOut, Listed, Lists, Page, QUEUE_BOUND, QueueLine, RunFilter, RunRecord,
};
pub use operators::Reasoner;
pub use policy::PolicyEngine;
pub use records::{ActionRecord, ApprovalRecord, OpenAttempt, ReasonRecord};
pub use registry::{ApiKeyRecord, Deploy, Registry, WrappedTenantKey, is_suspended};
pub use store::{Claimed, ConfigRev, Lease, NewEntry, Step, StoreError};
pub use tools::{CallRequest, RenderError, Rendered, ToolCaller, VerifyAnswer};
pub use vault::{Sealed, Sealer, SecretCiphertext, SecretLease, SecretSource, SubjectKeyRow, VaultError, sealed_key_id};
pub use webhooks::{VerifiedWebhook, WebhookError, WebhookVerifier};

/// A boxed future: types are erased at module borders.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Every port of a store.
pub trait Ports: EventLog + ChangeLog + Effects + DurableExec + LedgerLog + Registry + Lists + Keep + Epochs {}

impl<T: EventLog + ChangeLog + Effects + DurableExec + LedgerLog + Registry + Lists + Keep + Epochs> Ports for T {}
