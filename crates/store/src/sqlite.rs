//! The embedded store: one writer that commits in groups, many readers, and the ports on top.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tollgate_core::ports::{BoxFuture, Clock, StoreError};

use crate::error::Result;
use crate::open::{self, Lock, OpenError, Options};
use crate::tx::Tx;
use crate::writer::{Loop, Writer};

/// Idle readers kept open.
const READERS_MAX: usize = 4;

/// The ports over one SQLite file.
pub struct SqliteStore {
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    path: Option<std::path::PathBuf>,
    clock: Arc<dyn Clock>,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens a store, creating and migrating it as needed, and hands back what a process that died held.
    ///
    /// # Errors
    /// When another process has it, a later version wrote it, it is damaged, or the file system says no.
    pub fn open(options: Options) -> std::result::Result<Self, OpenError> {
        let Options { path, clock, inline, on_commit } = options;
        let lock = open::lock(path.as_deref())?;
        let conn = open::writer(path.as_deref())?;
        // This process has the lock: whoever held steps is gone.
        conn.execute_batch("UPDATE sessions SET expires_at = 0").map_err(|e| unavailable(path.as_deref(), &e))?;
        let work = Loop::new(conn, Arc::clone(&clock), on_commit);
        // In memory there is one connection: reads go through the writer.
        let (writer, thread) = if inline {
            (Writer::inline(work), None)
        } else {
            let (w, t) = Writer::spawn(work)
                .map_err(|e| OpenError::Unavailable { path: path.clone().unwrap_or_default(), message: e.to_string() })?;
            (w, Some(t))
        };
        Ok(Self { writer: Some(writer), thread, readers: Mutex::new(Vec::new()), path, clock, _lock: lock })
    }

    /// The store's clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A command: one transaction, answered after its commit.
    pub(crate) fn write<T: Send + 'static>(&self, run: impl Fn(&mut Tx<'_>) -> Result<T> + Send + 'static) -> BoxFuture<'_, Result<T>> {
        let answer = self.writer.as_ref().map(|w| w.send(run));
        Box::pin(async move {
            let closed = || StoreError::Unavailable("the store is closed".to_owned());
            answer.ok_or_else(closed)?.await.map_err(|_| closed())?
        })
    }

    /// A query on a reader's connection. Short by construction: point reads and bounded ranges.
    pub(crate) fn read<'a, T: Send + 'static>(
        &'a self,
        query: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        if self.path.is_none() {
            return self.write(move |tx| query(tx.connection()));
        }
        let out = self.reader().and_then(|conn| {
            let out = query(&conn);
            self.put_back(conn);
            out
        });
        Box::pin(std::future::ready(out))
    }

    /// A query that may walk many rows: on a thread of its own, so that it holds nobody up.
    pub(crate) fn walk<'a, T: Send + 'static>(
        &'a self,
        query: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        if self.path.is_none() {
            return self.read(query);
        }
        Box::pin(async move {
            let conn = self.reader()?;
            let done = tokio::task::spawn_blocking(move || (query(&conn), conn)).await;
            let (out, conn) = done.map_err(|e| StoreError::Unavailable(format!("a list was not finished: {e}")))?;
            self.put_back(conn);
            out
        })
    }

    fn put_back(&self, conn: Connection) {
        let mut idle = self.readers.lock();
        if idle.len() < READERS_MAX {
            idle.push(conn);
        }
    }

    fn reader(&self) -> Result<Connection> {
        if let Some(conn) = self.readers.lock().pop() {
            return Ok(conn);
        }
        let path = self.path.as_deref().unwrap_or(std::path::Path::new(""));
        open::reader(path).map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

fn unavailable(path: Option<&std::path::Path>, e: &rusqlite::Error) -> OpenError {
    OpenError::Unavailable { path: path.map(Into::into).unwrap_or_default(), message: e.to_string() }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.lock().clear();
        // Closing the queue lets the writer finish what is in it and checkpoint.
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
