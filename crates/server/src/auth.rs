//! API keys: an in-memory table of digests, and the caller that handlers are given. Knows no routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use parking_lot::{Mutex, RwLock};
use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{Actor, ApiKeyRecord, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::Principal;

use crate::deps::{App, State};
use crate::error::{ApiError, Code};

/// What a key may do. `*` is all of it.
pub(crate) mod perm {
    /// The words, in the order of the constants.
    pub const WORDS: &[&str] = &[
        "events:write",
        "events:read",
        "runs:read",
        "runs:write",
        "actions:write",
        "approvals:read",
        "approvals:write",
        "receipts:read",
        "config:read",
        "config:write",
        "secrets:read",
        "secrets:write",
        "keys:read",
        "keys:write",
    ];
    pub const EVENTS_WRITE: u8 = 0;
    pub const EVENTS_READ: u8 = 1;
    pub const RUNS_READ: u8 = 2;
    pub const RUNS_WRITE: u8 = 3;
    pub const ACTIONS_WRITE: u8 = 4;
    pub const APPROVALS_READ: u8 = 5;
    pub const APPROVALS_WRITE: u8 = 6;
    pub const RECEIPTS_READ: u8 = 7;
    pub const CONFIG_READ: u8 = 8;
    pub const CONFIG_WRITE: u8 = 9;
    pub const SECRETS_READ: u8 = 10;
    pub const SECRETS_WRITE: u8 = 11;
    pub const KEYS_READ: u8 = 12;
    pub const KEYS_WRITE: u8 = 13;
}

/// A key as the table holds it.
#[derive(Debug)]
pub(crate) struct KeyEntry {
    pub id: KeyId,
    pub scope: Scope,
    pub name: String,
    pub scopes: Vec<String>,
    /// One bit per permission.
    bits: u32,
    revoked: bool,
}

impl KeyEntry {
    fn new(record: ApiKeyRecord) -> Self {
        let granted = |word: &&str| record.scopes.iter().any(|s| s == "*" || s == word);
        let bits = perm::WORDS.iter().enumerate().filter(|(_, w)| granted(w)).fold(0, |bits, (i, _)| bits | 1 << i);
        Self { id: record.id, scope: record.scope, name: record.name, scopes: record.scopes, bits, revoked: record.revoked_at.is_some() }
    }

    /// Whether it may do this.
    pub const fn may(&self, permission: u8) -> bool {
        self.bits & (1 << permission) != 0
    }
}

type Table = HashMap<Digest, Arc<KeyEntry>>;

/// The table of keys.
#[derive(Default)]
pub(crate) struct Keys {
    table: RwLock<Arc<Table>>,
    /// When it was last read; none before the first time.
    read_at: Mutex<Option<Timestamp>>,
    /// The count of changes when it was last read.
    read_after: AtomicU64,
    /// One reader at a time: the others go on with what there is, or wait when there is nothing.
    reading: tokio::sync::Mutex<()>,
}

/// Between two reads that misses ask for.
const MISS_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

impl State {
    /// Reads the table of keys again.
    pub async fn reload_keys(&self) -> Result<(), StoreError> {
        let _one = self.keys.reading.lock().await;
        let read = self.read_keys().await;
        // A stream whose key was revoked ends.
        self.stored.send_modify(|n| *n = n.wrapping_add(1));
        read
    }

    async fn read_keys(&self) -> Result<(), StoreError> {
        let (now, changes) = (self.deps.ids.now(), self.changes());
        let records = self.deps.registry.api_keys().await?;
        let table = records.into_iter().map(|r| (r.hash, Arc::new(KeyEntry::new(r)))).collect();
        *self.keys.table.write() = Arc::new(table);
        *self.keys.read_at.lock() = Some(now);
        self.keys.read_after.store(changes, Ordering::Release);
        Ok(())
    }

    fn changes(&self) -> u64 {
        self.options.changes.as_ref().map_or(0, |c| *c.borrow())
    }

    /// Whether what is kept may not be what is stored any more.
    fn is_stale(&self) -> bool {
        self.keys.read_after.load(Ordering::Acquire) != self.changes() || self.keys_age().is_none_or(|age| age >= self.options.keys_max_age)
    }

    fn keys_age(&self) -> Option<std::time::Duration> {
        let read_at = *self.keys.read_at.lock();
        read_at.map(|at| self.deps.ids.now().since(at))
    }

    /// The entry of a key's digest, revoked ones too.
    async fn find_key(&self, digest: &Digest) -> Result<Option<Arc<KeyEntry>>, ApiError> {
        let look = || self.keys.table.read().get(digest).cloned();
        let hit = look();
        if hit.is_some() {
            if self.is_stale()
                && let Ok(_one) = self.keys.reading.try_lock()
                && let Err(e) = self.read_keys().await
            {
                // A store that is down must not lock everyone out: the old table serves until it is back.
                tracing::warn!(error = %e, "the table of API keys could not be read again");
                return Ok(hit);
            }
            return Ok(look());
        }
        let _one = self.keys.reading.lock().await;
        if self.is_stale() || self.keys_age().is_none_or(|age| age >= MISS_PAUSE) {
            self.read_keys().await?;
        }
        Ok(look())
    }

    /// The entry of a key that may be used now.
    pub async fn authenticate(&self, digest: &Digest) -> Result<Arc<KeyEntry>, ApiError> {
        let unknown = || ApiError::new(Code::KeyInvalid, "this API key is not known: check that it was copied whole");
        let key = self.find_key(digest).await?.ok_or_else(unknown)?;
        if key.revoked { Err(ApiError::new(Code::KeyRevoked, "this API key was revoked: use another one")) } else { Ok(key) }
    }
}

/// A caller whose key may do what `P` says.
pub(crate) struct Caller<const P: u8> {
    pub key: Arc<KeyEntry>,
    pub digest: Digest,
}

impl<const P: u8> Caller<P> {
    /// Whose data.
    pub fn scope(&self) -> Scope {
        self.key.scope
    }

    /// As the desk and receipts know it.
    pub fn actor(&self) -> Actor {
        Actor { scope: self.key.scope, principal: Principal::ServiceAccount(self.key.name.clone()) }
    }
}

impl<const P: u8> FromRequestParts<App> for Caller<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let text = bearer(parts)?;
        let digest = Digest::of(text.as_bytes());
        let key = app.authenticate(&digest).await?;
        if !key.may(P) {
            let need = perm::WORDS.get(usize::from(P)).copied().unwrap_or("*");
            return Err(ApiError::new(Code::InsufficientScope, format!("this API key may not do this: it needs the scope `{need}`")));
        }
        Ok(Self { key, digest })
    }
}

/// The key's text. It is never quoted in a message: it may be a real key in the wrong place.
fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let invalid = |m: &str| ApiError::new(Code::KeyInvalid, m);
    let header = parts
        .headers
        .get(AUTHORIZATION)
        .ok_or_else(|| invalid("the request has no API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`"))?;
    let malformed = "the `Authorization` header is not `Bearer` and an API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`";
    let text = header.to_str().map_err(|_| invalid(malformed))?;
    let (scheme, key) = text.split_once(' ').ok_or_else(|| invalid(malformed))?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !(key.starts_with("sk_live_") || key.starts_with("sk_test_")) {
        return Err(invalid(malformed));
    }
    Ok(key)
}
