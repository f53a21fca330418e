//! Effect keys of a group.

use std::collections::BTreeMap;

use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId, RunId};
use tollgate_core::ports::KeyClaim;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::needs::Lock;
use crate::tx::{KeyEnd, KeyRecord, KeyRowState, Keys};

use super::PgTx;

/// Who waits for a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Waiters {
    pub(crate) scope: Scope,
    pub(crate) who: BTreeMap<ActionId, RunId>,
}

impl Keys for PgTx {
    fn key(&mut self, key: &Digest) -> Result<Option<KeyRecord>> {
        self.lock(Lock::Key(*key))?;
        Ok(self.keys.get(key)?.map(|(_, k)| k))
    }

    fn reserve_key(&mut self, scope: Scope, action: ActionId, claim: &KeyClaim) -> Result<bool> {
        let (generation, began) = match self.key(&claim.key)? {
            None => (1, Timestamp::default()),
            Some(k) if k.state == KeyRowState::Free => (k.generation, k.began),
            Some(_) => return Ok(false),
        };
        let state = KeyRowState::Reserved;
        let record = KeyRecord { state, action, receipt: None, fingerprint: claim.fingerprint, generation, began };
        self.keys.put(claim.key, Some((scope, record)));
        Ok(true)
    }

    fn end_key(&mut self, key: &Digest, action: ActionId, end: KeyEnd) -> Result<bool> {
        let Some(found) = self.key(key)? else { return Ok(false) };
        let fits = match end {
            KeyEnd::InDoubt => found.state == KeyRowState::Reserved,
            _ => found.state != KeyRowState::Consumed,
        };
        if found.action != action || !fits {
            return Ok(false);
        }
        self.keys.change(key, |(_, k)| match end {
            KeyEnd::Consumed(receipt) => {
                k.state = KeyRowState::Consumed;
                k.receipt = Some(receipt);
            }
            KeyEnd::Free { generation, began } => {
                k.state = KeyRowState::Free;
                k.generation = generation;
                k.began = began;
            }
            KeyEnd::InDoubt => k.state = KeyRowState::InDoubt,
        })
    }

    fn wait_for_key(&mut self, scope: Scope, key: &Digest, action: ActionId, run: RunId) -> Result<()> {
        self.lock(Lock::Key(*key))?;
        let mut waiters = self.waiters.get(key)?.unwrap_or(Waiters { scope, who: BTreeMap::new() });
        waiters.who.insert(action, run);
        self.waiters.put(*key, Some(waiters));
        Ok(())
    }

    fn drop_waiter(&mut self, key: &Digest, action: ActionId) -> Result<()> {
        self.lock(Lock::Key(*key))?;
        self.waiters.change(key, |w| {
            w.who.remove(&action);
        })?;
        Ok(())
    }

    fn take_waiters(&mut self, key: &Digest) -> Result<Vec<(ActionId, RunId)>> {
        self.lock(Lock::Key(*key))?;
        let Some(waiters) = self.waiters.get(key)?.filter(|w| !w.who.is_empty()) else { return Ok(Vec::new()) };
        self.waiters.put(*key, Some(Waiters { who: BTreeMap::new(), ..waiters.clone() }));
        Ok(waiters.who.into_iter().collect())
    }

    fn denial(&mut self, claim: &KeyClaim) -> Result<Option<EntryId>> {
        self.lock(Lock::Key(claim.key))?;
        Ok(self.denials.get(&(claim.key, claim.fingerprint))?.map(|(_, entry)| entry))
    }

    fn deny(&mut self, scope: Scope, claim: &KeyClaim, entry: EntryId) -> Result<()> {
        self.denial(claim)?;
        self.denials.put((claim.key, claim.fingerprint), Some((scope, entry)));
        Ok(())
    }

    fn lift_denial(&mut self, claim: &KeyClaim) -> Result<()> {
        self.denial(claim)?;
        self.denials.put((claim.key, claim.fingerprint), None);
        Ok(())
    }
}
