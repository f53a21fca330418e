//! The port, each a thin line to its part.

use std::sync::Arc;

use tollgate_core::entries::new_entry;
use tollgate_core::id::{ActionId, EntryId, KeyId, RunId};
use tollgate_core::ledger::{Body, Change, Subject};
use tollgate_core::ports::{
    ActionRecord, Actor, Answer, Answered, Desk, DeskError, DeskOut, DirectAction, EventLog, ExportFilter, Hands, IssuedKey, LedgerLog,
    Lists, NewEntry, Registry, ReplayRange, ReplayState, SecretInfo, StoreError,
};

use super::{answers, keys, resolve, settings, submit};
use crate::engine::Deps as EngineDeps;
use crate::ledger::{Source, export};
use crate::service::{Signals, Signer};

/// What a desk works with.
pub struct CounterDeps {
    /// The engine's.
    pub engine: EngineDeps,
    /// The event log.
    pub events: Arc<dyn EventLog>,
    /// Lists.
    pub lists: Arc<dyn Lists>,
    /// The ledger.
    pub ledger: Arc<dyn LedgerLog>,
    /// Deployments, secrets, keys.
    pub registry: Arc<dyn Registry>,
    /// Signs checkpoints and exports.
    pub signer: Arc<Signer>,
    /// Wakes the service's loops.
    pub signals: Arc<Signals>,
    /// The worker that performs direct actions; none in a process that performs nothing.
    pub hands: Option<Arc<dyn Hands>>,
}

/// The desk over the store.
pub struct Counter {
    pub(super) deps: CounterDeps,
}

impl Counter {
    /// A desk.
    pub const fn new(deps: CounterDeps) -> Self {
        Self { deps }
    }

    pub(super) fn entry_id(&self) -> EntryId {
        EntryId::from_bytes(self.deps.engine.ids.uuid())
    }

    /// An entry that says what was changed, and by whom.
    pub(super) fn change(&self, actor: &Actor, change: Change) -> Result<NewEntry, DeskError> {
        let at = self.deps.engine.ids.now();
        new_entry(self.entry_id(), actor.scope, at, Body::Change(Box::new(change))).map_err(|e| DeskError::Invalid(e.to_string()))
    }

    pub(super) async fn record(&self, actor: &Actor, id: ActionId) -> Result<ActionRecord, DeskError> {
        let found = self.deps.engine.effects.action(actor.scope, id).await?;
        found.ok_or_else(|| DeskError::NotFound(format!("there is no action `{id}`")))
    }
}

/// What a change says, without the parts that few changes have.
pub(super) fn plain(subject: Subject, name: &str, actor: &Actor, status: &str) -> Change {
    Change {
        subject,
        name: name.to_owned(),
        by: actor.principal.label(),
        status: status.to_owned(),
        digest: None,
        previous: None,
        version: None,
        deployment: None,
    }
}

impl Desk for Counter {
    fn submit(&self, actor: &Actor, action: DirectAction) -> DeskOut<'_, ActionRecord> {
        let actor = actor.clone();
        Box::pin(async move { submit::submit(self, &actor, action).await })
    }
    fn approve(&self, actor: &Actor, answer: Answer) -> DeskOut<'_, Answered> {
        let actor = actor.clone();
        Box::pin(async move { answers::approve(self, &actor, answer).await })
    }
    fn deny(&self, actor: &Actor, answer: Answer) -> DeskOut<'_, ActionRecord> {
        let actor = actor.clone();
        Box::pin(async move { answers::deny(self, &actor, answer).await })
    }
    fn resolve(&self, actor: &Actor, action: ActionId, applied: bool, comment: Option<String>) -> DeskOut<'_, ActionRecord> {
        let actor = actor.clone();
        Box::pin(async move { resolve::resolve(self, &actor, action, applied, comment).await })
    }
    fn cancel(&self, actor: &Actor, run: RunId) -> DeskOut<'_, ()> {
        let actor = actor.clone();
        Box::pin(async move { resolve::cancel(self, &actor, run).await })
    }
    fn lift_denial(&self, actor: &Actor, action: ActionId) -> DeskOut<'_, bool> {
        let actor = actor.clone();
        Box::pin(async move {
            let entry = self.change(&actor, plain(Subject::Denial, &action.to_string(), &actor, "lifted"))?;
            Ok(self.deps.engine.effects.lift_denial(actor.scope, action, entry).await?)
        })
    }
    fn replay(&self, actor: &Actor, range: ReplayRange) -> DeskOut<'_, ReplayState> {
        let actor = actor.clone();
        Box::pin(async move {
            let state = self.deps.events.begin_replay(actor.scope, range, self.deps.engine.ids.now()).await?;
            self.deps.signals.replays();
            Ok(state)
        })
    }
    fn set_status(&self, actor: &Actor, kind: String, name: String, status: String) -> DeskOut<'_, ()> {
        let actor = actor.clone();
        Box::pin(async move { settings::set_status(self, &actor, kind, name, status).await })
    }
    fn set_secret(&self, actor: &Actor, name: String, value: Vec<u8>) -> DeskOut<'_, u32> {
        let actor = actor.clone();
        Box::pin(async move { settings::set_secret(self, &actor, &name, &value).await })
    }
    fn remove_secret(&self, actor: &Actor, name: String) -> DeskOut<'_, bool> {
        let actor = actor.clone();
        Box::pin(async move {
            let entry = self.change(&actor, plain(Subject::Secret, &name, &actor, "removed"))?;
            let removed = self.deps.registry.remove_secret(actor.scope, name.clone(), entry).await;
            self.deps.engine.sealer.secret_changed(actor.scope, &name);
            Ok(removed?)
        })
    }
    fn secrets(&self, actor: &Actor) -> DeskOut<'_, Vec<SecretInfo>> {
        let scope = actor.scope;
        Box::pin(async move {
            let rows = self.deps.registry.secrets(scope).await?;
            Ok(rows.into_iter().map(|(name, version, updated_at)| SecretInfo { name, version, updated_at }).collect())
        })
    }
    fn issue_key(&self, actor: &Actor, name: String, scopes: Vec<String>) -> DeskOut<'_, IssuedKey> {
        let actor = actor.clone();
        Box::pin(async move { keys::issue(self, &actor, name, scopes).await })
    }
    fn revoke_key(&self, actor: &Actor, key: KeyId) -> DeskOut<'_, bool> {
        let actor = actor.clone();
        Box::pin(async move {
            let entry = self.change(&actor, plain(Subject::Key, &key.to_string(), &actor, "revoked"))?;
            Ok(self.deps.registry.revoke_api_key(actor.scope, key, self.deps.engine.ids.now(), entry).await?)
        })
    }
    fn export(&self, actor: &Actor, filter: ExportFilter) -> DeskOut<'_, String> {
        let scope = actor.scope;
        Box::pin(async move {
            let d = &self.deps;
            let source = Source { ledger: &*d.ledger, registry: &*d.registry, sealer: &*d.engine.sealer, signer: &d.signer };
            export(&source, scope, &filter).await
        })
    }
    fn checkpoint(&self, actor: &Actor) -> DeskOut<'_, Option<String>> {
        let scope = actor.scope;
        Box::pin(async move {
            let signed = self.deps.signer.sign(scope).await?;
            let text = signed.map(|s| serde_json::to_string(&s)).transpose();
            text.map_err(|e| StoreError::Corrupt(e.to_string()).into())
        })
    }
    fn public_key(&self) -> String {
        self.deps.signer.public().to_hex()
    }
}
