//! Connections for reads, kept open and handed out. Whoever waits too long for one hears that the store is busy.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row;
use tollgate_core::ports::StoreError;

use crate::error::Result;
use crate::postgres::connection::{Connection, Fault, Purpose, Request, Tenants};
use crate::postgres::options::Login;

/// How long a read waits for a connection.
const WAIT: Duration = Duration::from_secs(5);

/// The pool.
pub(crate) struct Pool {
    login: Login,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// A connection out of the pool; goes back when dropped, unless it broke.
struct Pooled {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most so many.
    pub(crate) fn new(login: Login, max: usize) -> Self {
        Self { login, idle: Arc::default(), permits: Arc::new(Semaphore::new(max)) }
    }

    /// Reads. A connection that broke while it lay idle is no reason to fail: a read changes nothing and is asked once more.
    pub(crate) async fn read(&self, tenants: &Tenants, requests: &[Request]) -> Result<Vec<Vec<Row>>> {
        let mut pooled = self.get().await?;
        match pooled.send_as(tenants, requests).await {
            Err(Fault::Broken(_)) => {
                pooled.connection = None;
                drop(pooled);
                Ok(self.get().await?.send_as(tenants, requests).await?)
            }
            other => Ok(other?),
        }
    }

    /// A connection.
    async fn get(&self) -> Result<Pooled> {
        let busy = || StoreError::Unavailable("every connection to the database is busy".to_owned());
        let permit = tokio::time::timeout(WAIT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let found = loop {
            match self.idle.lock().pop() {
                Some(c) if c.is_broken() => {}
                other => break other,
            }
        };
        let connection = match found {
            Some(c) => c,
            None => Connection::open(&self.login, Purpose::Read).await?,
        };
        Ok(Pooled { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl Deref for Pooled {
    type Target = Connection;
    #[expect(clippy::unreachable, reason = "taken only when dropped")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("taken only when dropped"))
    }
}

impl DerefMut for Pooled {
    #[expect(clippy::unreachable, reason = "taken only when dropped")]
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().unwrap_or_else(|| unreachable!("taken only when dropped"))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(c) = self.connection.take().filter(|c| !c.is_broken()) {
            self.idle.lock().push(c);
        }
    }
}
