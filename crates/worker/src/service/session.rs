//! The worker's session: one lease for all its steps, opened with the first work and left to lapse when idle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollgate_core::id::SessionId;
use tollgate_core::ports::{DurableExec, IdSource, StoreError};
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;

#[derive(Clone, Copy)]
struct Open {
    id: SessionId,
    until: Timestamp,
}

/// Keeps one session.
pub(super) struct Sessions {
    exec: Arc<dyn DurableExec>,
    ids: IdSource,
    lease: Duration,
    labels: Labels,
    open: Mutex<Option<Open>>,
    opening: tokio::sync::Mutex<()>,
    /// Steps under way, by the session that holds them.
    busy: Mutex<BTreeMap<SessionId, usize>>,
    /// Sessions that may hold steps which nobody knows of: they take nothing more.
    retired: Mutex<BTreeSet<SessionId>>,
}

impl Sessions {
    pub(super) fn new(exec: Arc<dyn DurableExec>, ids: IdSource, lease: Duration, labels: Labels) -> Self {
        Self {
            exec,
            ids,
            lease,
            labels,
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            busy: Mutex::default(),
            retired: Mutex::default(),
        }
    }

    /// The session, while at least a third of its lease is left by this machine's clock. The store judges by its own.
    pub(super) fn current(&self) -> Option<SessionId> {
        let soon = self.ids.now().plus(self.lease / 3);
        self.open.lock().filter(|o| o.until > soon).map(|o| o.id)
    }

    /// The session, opened if there is none.
    pub(super) async fn ensure(&self) -> Result<SessionId, StoreError> {
        if let Some(id) = self.current() {
            return Ok(id);
        }
        let _one = self.opening.lock().await;
        if let Some(id) = self.current() {
            return Ok(id);
        }
        if self.open.lock().is_some() && self.renew().await.is_ok() {
            return self.current().ok_or(StoreError::LeaseLost);
        }
        let (id, until) = (SessionId::from_bytes(self.ids.uuid()), self.ids.now().plus(self.lease));
        self.exec.open_session(id, self.lease, self.labels.clone()).await?;
        *self.open.lock() = Some(Open { id, until });
        Ok(id)
    }

    /// Renews it, and those that still have work under way. A session that was lost is forgotten: the next work opens another.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        for id in self.retired() {
            match self.exec.renew(id, self.lease).await {
                // Whoever works for it will hear.
                Ok(()) | Err(StoreError::LeaseLost) => {}
                Err(e) => return Err(e),
            }
        }
        let Some(id) = self.open.lock().map(|o| o.id) else { return Ok(()) };
        let until = self.ids.now().plus(self.lease);
        let renewed = self.exec.renew(id, self.lease).await;
        let mut open = self.open.lock();
        let mine = open.is_some_and(|o| o.id == id);
        match renewed {
            Ok(()) if mine => *open = Some(Open { id, until }),
            Err(StoreError::LeaseLost) if mine => *open = None,
            // Another was opened meanwhile: this answer says nothing of it.
            _ => {}
        }
        renewed
    }

    fn retired(&self) -> Vec<SessionId> {
        self.retired.lock().iter().copied().collect()
    }

    /// A step of a session is under way.
    pub(super) fn begin(&self, id: SessionId) {
        *self.busy.lock().entry(id).or_default() += 1;
    }

    /// A step of a session ended; answers whether the session waits for being closed.
    pub(super) fn end(&self, id: SessionId) -> bool {
        let mut busy = self.busy.lock();
        if let Some(n) = busy.get_mut(&id) {
            *n -= 1;
            if *n > 0 {
                return false;
            }
            busy.remove(&id);
        }
        self.retired.lock().contains(&id)
    }

    /// The session may hold steps that nobody knows of: it takes nothing more.
    pub(super) fn retire(&self, id: SessionId) {
        self.lost(id);
        self.retired.lock().insert(id);
    }

    /// Hands back what retired sessions hold that nobody works for.
    pub(super) async fn close_retired(&self) -> Result<u32, StoreError> {
        let mut handed_back = 0;
        for id in self.retired() {
            if self.busy.lock().contains_key(&id) {
                continue;
            }
            handed_back += self.exec.close_session(id).await?;
            self.retired.lock().remove(&id);
        }
        Ok(handed_back)
    }

    /// Forgets a session that the store no longer knows.
    pub(super) fn lost(&self, id: SessionId) {
        let mut open = self.open.lock();
        if open.is_some_and(|o| o.id == id) {
            *open = None;
        }
    }

    /// Hands back every step it holds.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        for id in self.retired() {
            self.exec.close_session(id).await?;
        }
        let id = self.open.lock().take().map(|o| o.id);
        match id {
            Some(id) => self.exec.close_session(id).await.map(|_| ()),
            None => Ok(()),
        }
    }
}
