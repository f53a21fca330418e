//! What people and programs do besides sending events: answer, resolve, cancel, submit, configure. One port, so that a server maps and
//! never decides.

use crate::hash::Digest;
use crate::id::{ActionId, ApprovalId, KeyId, RunId};
use crate::plan::ProposedAction;
use crate::scope::Scope;
use crate::verdict::Principal;

use super::{ActionRecord, Answered, ApiKeyRecord, BoxFuture, Dedupe, ReplayRange, ReplayState, StoreError};

/// Why the desk did not do it. Variants say what the caller must do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeskError {
    /// No such thing in this tenant and mode.
    #[error("{0}")]
    NotFound(String),
    /// What was asked for cannot be: correct it.
    #[error("{0}")]
    Invalid(String),
    /// It is in another state than this needs: look again.
    #[error("{0}")]
    Conflict(String),
    /// The idempotency key came with another body before.
    #[error("this idempotency key was used for another request, which made `{0}`")]
    KeyReused(ActionId),
    /// Another action holds the entity's lane or the effect key: try again later.
    #[error("another action holds this entity or key; `{0}` waits for it")]
    EntityLocked(ActionId),
    /// Nothing was done: try later.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for DeskError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => Self::NotFound("not found".to_owned()),
            StoreError::Conflict(m) => Self::Conflict(m),
            StoreError::LeaseLost | StoreError::Stale | StoreError::AnswerLost | StoreError::Held(_) => Self::Unavailable(e.to_string()),
            StoreError::Unavailable(m) => Self::Unavailable(m),
            StoreError::Corrupt(m) => Self::Unavailable(format!("the store is damaged: {m}")),
        }
    }
}

/// A person or program at the desk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// Whose desk.
    pub scope: Scope,
    /// Who, as receipts show it: `service_account:ci`.
    pub principal: Principal,
}

/// A yes or no to an approval request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The request.
    pub approval: ApprovalId,
    /// The queue that answers; may be left out when exactly one is open.
    pub queue: Option<String>,
    /// Digest of what was seen: refused unless it is the request's binding. The newest binding when left out.
    pub binding: Option<Digest>,
    /// Why, for the record.
    pub comment: Option<String>,
}

/// A direct action.
#[derive(Clone, PartialEq, Debug)]
pub struct DirectAction {
    /// What to do; `tool` may be a capability.
    pub proposal: ProposedAction,
    /// The request's idempotency.
    pub dedupe: Option<Dedupe>,
    /// How long to wait for the disposition.
    pub wait: std::time::Duration,
}

/// What a new API key may do, and the key itself, shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// The record.
    pub record: ApiKeyRecord,
    /// The key's text, `sk_test_…` or `sk_live_…`. Never stored.
    pub text: String,
}

/// A secret's name, version and time of change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// Counts up with every change.
    pub version: u32,
    /// When it was last set.
    pub updated_at: crate::time::Timestamp,
}

/// The answer of the desk.
pub type DeskOut<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

/// The desk.
pub trait Desk: Send + Sync {
    /// Submits one action through the gate, and waits for its disposition up to the given time. The record may still be waiting for a
    /// person; what waits for a lane or key is [`DeskError::EntityLocked`].
    fn submit(&self, actor: &Actor, action: DirectAction) -> DeskOut<'_, ActionRecord>;
    /// A yes.
    fn approve(&self, actor: &Actor, answer: Answer) -> DeskOut<'_, Answered>;
    /// A no: the action is disposed `denied`.
    fn deny(&self, actor: &Actor, answer: Answer) -> DeskOut<'_, ActionRecord>;
    /// A person's word on an `unknown`: `true`, it happened.
    fn resolve(&self, actor: &Actor, action: ActionId, applied: bool, comment: Option<String>) -> DeskOut<'_, ActionRecord>;
    /// Cancels a run: what waits is disposed `cancelled`, calls under way are awaited.
    fn cancel(&self, actor: &Actor, run: RunId) -> DeskOut<'_, ()>;
    /// Lifts the denial that stands for an action's key and fingerprint; `false` when none stands.
    fn lift_denial(&self, actor: &Actor, action: ActionId) -> DeskOut<'_, bool>;
    /// Starts a replay.
    fn replay(&self, actor: &Actor, range: ReplayRange) -> DeskOut<'_, ReplayState>;
    /// Sets an operator or connector `active` or `paused`.
    fn set_status(&self, actor: &Actor, kind: String, name: String, status: String) -> DeskOut<'_, ()>;
    /// Stores a secret; answers its new version. Names follow `[a-z][a-z0-9_]*`.
    fn set_secret(&self, actor: &Actor, name: String, value: Vec<u8>) -> DeskOut<'_, u32>;
    /// Removes a secret; `false` when there was none.
    fn remove_secret(&self, actor: &Actor, name: String) -> DeskOut<'_, bool>;
    /// The secrets, without values.
    fn secrets(&self, actor: &Actor) -> DeskOut<'_, Vec<SecretInfo>>;
    /// Makes an API key.
    fn issue_key(&self, actor: &Actor, name: String, scopes: Vec<String>) -> DeskOut<'_, IssuedKey>;
    /// Revokes an API key; `false` when there is none or it was revoked.
    fn revoke_key(&self, actor: &Actor, key: KeyId) -> DeskOut<'_, bool>;
    /// An export of the ledger: signed JSON lines.
    fn export(&self, actor: &Actor, filter: ExportFilter) -> DeskOut<'_, String>;
    /// The newest signed checkpoint as JSON; one is made if the log grew since.
    fn checkpoint(&self, actor: &Actor) -> DeskOut<'_, Option<String>>;
    /// The public key that checkpoints are signed with, as text.
    fn public_key(&self) -> String;
}

/// Which part of the ledger an export holds in full; the rest travels as hashes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportFilter {
    /// From this position.
    pub from: Option<u64>,
    /// To before this position.
    pub to: Option<u64>,
    /// Only entries about this action.
    pub action: Option<ActionId>,
}
