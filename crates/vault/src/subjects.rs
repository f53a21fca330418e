//! Subject keys in memory: bounded, and confirmed once the store has them.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use tollgate_core::ports::SubjectKeyRow;
use tollgate_core::scope::Scope;

use crate::aead::Secret32;

/// Most keys kept. An evicted subject simply gets another key; each blob names its own.
const KEYS_MAX: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(n) => n,
    None => NonZeroUsize::MIN,
};

#[derive(Clone)]
pub(crate) struct SubjectKey {
    pub(crate) key: Secret32,
    pub(crate) row: SubjectKeyRow,
}

struct Kept {
    keys: LruCache<(Scope, String), SubjectKey>,
    /// Ids of keys whose row the store has acknowledged.
    stored: LruCache<[u8; 16], ()>,
}

pub(crate) struct Subjects(Mutex<Kept>);

impl Default for Subjects {
    fn default() -> Self {
        Self(Mutex::new(Kept { keys: LruCache::new(KEYS_MAX), stored: LruCache::new(KEYS_MAX) }))
    }
}

impl Subjects {
    /// The subject's key, made when there is none, and whether the store has it.
    pub(crate) fn get_or<E>(
        &self,
        scope: Scope,
        subject: &str,
        make: impl FnOnce() -> Result<SubjectKey, E>,
    ) -> Result<(SubjectKey, bool), E> {
        let mut kept = self.0.lock();
        let name = (scope, subject.to_owned());
        let key = match kept.keys.get(&name) {
            Some(key) => key.clone(),
            None => {
                let key = make()?;
                kept.keys.put(name, key.clone());
                key
            }
        };
        let stored = kept.stored.get(&key.row.key_id).is_some();
        Ok((key, stored))
    }

    /// The store has this row: it need not travel again.
    pub(crate) fn stored(&self, row: &SubjectKeyRow) {
        self.0.lock().stored.put(row.key_id, ());
    }

    /// Forgets a subject's key.
    pub(crate) fn forget(&self, scope: Scope, subject: &str) {
        self.0.lock().keys.pop(&(scope, subject.to_owned()));
    }
}
