//! What never changes of an action: its run, lane and key. Remembered, so that the next command about it locks and fetches all at once.

use std::num::NonZeroUsize;

use parking_lot::Mutex;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::KeyClaim;

use crate::needs::{Lock, Needs};
use crate::postgres::tx::PgTx;
use tollgate_core::hash::Digest;

/// Actions remembered by one process.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(65_536) {
    Some(n) => n,
    None => NonZeroUsize::MIN,
};

#[derive(Clone, Copy)]
struct Static {
    run: RunId,
    lane: Option<Digest>,
    key: Option<KeyClaim>,
}

/// The memory.
pub(crate) struct Statics(Mutex<lru::LruCache<ActionId, Static>>);

impl Default for Statics {
    fn default() -> Self {
        Self(Mutex::new(lru::LruCache::new(REMEMBERED)))
    }
}

impl Statics {
    /// Learns from what a group fetched or stored.
    pub(crate) fn learn(&self, tx: &PgTx) {
        let mut memory = self.0.lock();
        for (id, a) in tx.actions.present() {
            memory.get_or_insert(*id, || Static { run: a.run, lane: a.lane, key: a.key });
        }
    }

    /// Learns one action.
    pub(crate) fn learn_one(&self, id: ActionId, run: RunId, lane: Option<Digest>, key: Option<KeyClaim>) {
        self.0.lock().get_or_insert(id, || Static { run, lane, key });
    }

    /// Says beforehand what a command will want, as far as it is known.
    pub(crate) fn expect(&self, needs: &Needs, tx: &mut PgTx) {
        needs.sessions.iter().for_each(|s| tx.sessions.want(*s));
        needs.steps.iter().for_each(|(run, step)| tx.held.want(crate::tx::step_name(*run, *step)));
        needs.views.iter().for_each(|run| tx.plans.want(*run));
        needs.graphs.iter().for_each(|run| tx.graphs.want(*run));
        if let Some(scope) = needs.scope {
            let names = needs.requests.iter().map(|(name, route, key)| (*name, (scope, route.clone(), key.clone())));
            tx.request_names.extend(names);
        }
        for lock in &needs.locks {
            expect_lock(*lock, tx);
        }
        let mut memory = self.0.lock();
        for id in &needs.actions {
            let known = memory.get(id).copied();
            let planned = known.is_some_and(|s| needs.views.contains(&s.run));
            if !planned {
                tx.actions.want(*id);
            }
            let Some(s) = known else { continue };
            expect_lock(Lock::Run(s.run), tx);
            s.lane.into_iter().for_each(|lane| expect_lock(Lock::Lane(lane), tx));
            if let Some(claim) = s.key {
                expect_lock(Lock::Key(claim.key), tx);
                if needs.views.is_empty() {
                    tx.denials.want((claim.key, claim.fingerprint));
                } else {
                    tx.waiters.want(claim.key);
                }
            }
        }
    }
}

/// Takes a lock, and wants the row that it is of.
pub(crate) fn expect_lock(lock: Lock, tx: &mut PgTx) {
    tx.locks.insert(lock);
    match lock {
        Lock::Run(run) => tx.runs.want(run),
        Lock::Key(key) => tx.keys.want(key),
        Lock::Lane(lane) => {
            let book = tx.lanes.entry(lane).or_default();
            if !book.is_fetched {
                book.wanted_front = book.wanted_front.max(crate::postgres::tx::FRONT);
            }
        }
        Lock::Request(name) => {
            if tx.request_names.contains_key(&name) {
                tx.requests.want(name);
            }
        }
        Lock::Approval(_) | Lock::Replay(_) => {}
    }
}
