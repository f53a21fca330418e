//! The worker's session: one lease for all its steps, opened with the first work and left to lapse when idle.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollgate_core::id::SessionId;
use tollgate_core::ports::{DurableExec, IdSource, StoreError};
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
    open: Mutex<Option<Open>>,
    opening: tokio::sync::Mutex<()>,
}

impl Sessions {
    pub(super) fn new(exec: Arc<dyn DurableExec>, ids: IdSource, lease: Duration) -> Self {
        Self { exec, ids, lease, open: Mutex::default(), opening: tokio::sync::Mutex::default() }
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
        self.exec.open_session(id, self.lease).await?;
        *self.open.lock() = Some(Open { id, until });
        Ok(id)
    }

    /// Renews it. A session that was lost is forgotten: the next work opens another.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
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

    /// Forgets a session that the store no longer knows.
    pub(super) fn lost(&self, id: SessionId) {
        let mut open = self.open.lock();
        if open.is_some_and(|o| o.id == id) {
            *open = None;
        }
    }

    /// Hands back every step it holds.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let id = self.open.lock().take().map(|o| o.id);
        match id {
            Some(id) => self.exec.close_session(id).await.map(|_| ()),
            None => Ok(()),
        }
    }
}
