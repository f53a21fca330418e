//! Checkpoints: signed when the log grew, at most about once a second, and kept outside the database too.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use parking_lot::Mutex;
use tollgate_core::ledger::{Checkpoint, PublicKey, SignedCheckpoint, log_id};
use tollgate_core::ports::{IdSource, LedgerLog, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::run::Shared;

const EVERY: Duration = Duration::from_secs(1);

/// Keeps the newest checkpoint where the database cannot lose it.
pub trait Keeper: Send + Sync {
    /// Replaces what is kept for a log, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    fn keep(&self, log: &str, signed: &str) -> io::Result<()>;
    /// What is kept for a log.
    ///
    /// # Errors
    /// When it cannot be read.
    fn kept(&self, log: &str) -> io::Result<Option<String>>;
}

/// Signs the logs of these scopes.
pub struct Signer {
    key: SigningKey,
    ledger: Arc<dyn LedgerLog>,
    keeper: Arc<dyn Keeper>,
    scopes: Vec<Scope>,
    ids: IdSource,
    behind_since: Mutex<Option<Timestamp>>,
}

impl Signer {
    /// A signer for the logs of these scopes.
    pub fn new(key: SigningKey, ledger: Arc<dyn LedgerLog>, keeper: Arc<dyn Keeper>, scopes: Vec<Scope>, ids: IdSource) -> Self {
        Self { key, ledger, keeper, scopes, ids, behind_since: Mutex::default() }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// The key itself, for seals of exports.
    pub(crate) const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Compares each log with the checkpoint that is kept outside the database. A log that is behind it, or has another root there, was
    /// cut back or replaced: nothing may be added to it.
    ///
    /// # Errors
    /// A message for people, when a log must not be used.
    pub async fn check(&self) -> Result<(), String> {
        self.check_but(&[]).await
    }

    /// The same, where the log may go on otherwise than these checkpoints: an epoch has begun that cites them.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn check_but(&self, cited: &[SignedCheckpoint]) -> Result<(), String> {
        for scope in &self.scopes {
            let Some(kept) = self.kept(*scope)? else { continue };
            if cited.contains(&kept) {
                continue;
            }
            let size = self.ledger.frontier(*scope).await.map_err(|e| e.to_string())?.size();
            let signed = kept.checkpoint.size;
            if size < signed {
                return Err(format!(
                    "the ledger has {size} entries, but a checkpoint over {signed} was signed: the store was cut back or an older one \
                     restored; restore a newer backup, or go on from this one with `tollgate db epoch begin`"
                ));
            }
            let root = crate::ledger::root_at(&*self.ledger, *scope, signed).await.map_err(|e| e.to_string())?;
            if root != kept.checkpoint.root {
                return Err(format!("the ledger's first {signed} entries are not those that were signed: the store was altered"));
            }
        }
        Ok(())
    }

    /// Every log's newest checkpoint must be by this key: processes that share a store sign with one.
    ///
    /// # Errors
    /// A message for people, when another key signed.
    pub async fn check_key(&self) -> Result<(), String> {
        for scope in &self.scopes {
            let newest = self.newest(*scope).await.map_err(|e| e.to_string())?;
            if newest.is_some_and(|c| c.verify(&self.public()).is_err()) {
                let log = log_id(scope);
                return Err(format!(
                    "the ledger {log} was signed with another key than this process has: give it the keys of the process that signed, \
                     with --keys FOLDER"
                ));
            }
        }
        Ok(())
    }

    /// The checkpoint of a log that is kept outside the database, if it is this key's.
    ///
    /// # Errors
    /// A message for people, when it cannot be read or is not to be believed.
    pub fn kept(&self, scope: Scope) -> Result<Option<SignedCheckpoint>, String> {
        let log = log_id(&scope);
        let Some(text) = self.keeper.kept(&log).map_err(|e| format!("the kept checkpoint of {log} cannot be read: {e}"))? else {
            return Ok(None);
        };
        let kept: SignedCheckpoint = serde_json::from_str(&text).map_err(|e| format!("the kept checkpoint of {log} is damaged: {e}"))?;
        kept.verify(&self.public()).map_err(|e| format!("the kept checkpoint of {log}: {e}"))?;
        Ok(Some(kept))
    }

    /// Signs a log if it grew; answers its newest checkpoint. What has a position and no signature is signed first: while that fails, nothing
    /// more gets a position, by which processes that sign nothing see it.
    ///
    /// # Errors
    /// When the store or the keeper cannot write.
    pub async fn sign(&self, scope: Scope) -> Result<Option<SignedCheckpoint>, StoreError> {
        let mut newest = self.newest(scope).await?;
        newest = self.sign_positions(scope, newest).await?;
        self.ledger.sequence().await?;
        self.sign_positions(scope, newest).await
    }

    async fn sign_positions(&self, scope: Scope, newest: Option<SignedCheckpoint>) -> Result<Option<SignedCheckpoint>, StoreError> {
        let frontier = self.ledger.frontier(scope).await?;
        if frontier.size() == newest.as_ref().map_or(0, |c| c.checkpoint.size) {
            return Ok(newest);
        }
        let log = log_id(&scope);
        let checkpoint =
            Checkpoint { log: log.clone(), size: frontier.size(), root: frontier.root(), at: self.ids.now(), key_id: String::new() };
        let signed = checkpoint.sign(&self.key).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let text = serde_json::to_string(&signed).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        self.keeper.keep(&log, &text).map_err(|e| StoreError::Unavailable(format!("the checkpoint cannot be kept: {e}")))?;
        self.ledger.put_checkpoint(scope, frontier.size(), text).await?;
        Ok(Some(signed))
    }

    async fn newest(&self, scope: Scope) -> Result<Option<SignedCheckpoint>, StoreError> {
        let text = self.ledger.checkpoint(scope).await?;
        text.map(|t| serde_json::from_str(&t).map_err(|_| StoreError::Corrupt("a checkpoint does not read back".to_owned()))).transpose()
    }

    /// Signs every log that grew.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub async fn sign_all(&self) -> Result<(), StoreError> {
        for scope in &self.scopes {
            self.sign(*scope).await?;
        }
        *self.behind_since.lock() = None;
        Ok(())
    }

    /// How long the ledger has been growing without a checkpoint.
    pub fn behind(&self) -> Duration {
        self.behind_since.lock().map_or(Duration::ZERO, |since| self.ids.now().since(since))
    }

    fn failed(&self) {
        let now = self.ids.now();
        self.behind_since.lock().get_or_insert(now);
    }
}

/// Signs whenever the ledger grew.
pub(super) async fn checkpoints(s: Arc<Shared>, signer: Arc<Signer>) {
    loop {
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = s.deps.signals.entries.notified() => {}
        }
        s.deps.signals.take_grown();
        while let Err(e) = signer.sign_all().await {
            signer.failed();
            tracing::warn!(error = %e, "a checkpoint could not be signed");
            tokio::select! { biased;
                () = s.stopping.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        tokio::select! { biased;
            () = s.stopping.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
