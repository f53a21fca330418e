//! The embedded store: one writer that commits in groups, many readers.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::{Connection, params_from_iter};
use tollgate_core::ports::{BoxFuture, Clock, StoreError};
use tollgate_core::time::Timestamp;

use crate::apart::{Between, learn, waiting};
use crate::backend::{Backend, Reach, Store};
use crate::error::{OrStore, Result};
use crate::needs::Needs;
use crate::row::Row;
use crate::sqlite::open::{self, Lock, OpenError, Options};
use crate::sqlite::tx::SqliteTx;
use crate::sqlite::writer::{Loop, Writer};
use crate::tx::{Dispatch, Query, Tx, fetch};
use crate::value::Value;

/// Idle readers kept open.
const READERS_MAX: usize = 4;

/// The engine over one SQLite file.
pub struct Sqlite {
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
    path: Option<std::path::PathBuf>,
    clock: Arc<dyn Clock>,
    pub(crate) apart: Option<Between>,
    _lock: Lock,
}

/// The ports over one SQLite file.
pub type SqliteStore = Store<Sqlite>;

impl SqliteStore {
    /// Opens a store, creating and migrating it as needed, and hands back what a process that died held.
    ///
    /// # Errors
    /// When another process has it, a later version wrote it, it is damaged, or the file system says no.
    pub fn open(options: Options) -> std::result::Result<Self, OpenError> {
        Sqlite::open(options).map(|engine| Self { engine })
    }

    /// The same store with effects and steps in transactions of their own.
    #[must_use]
    pub fn apart(mut self, between: Between) -> Self {
        self.engine.apart = Some(between);
        self
    }
}

impl Sqlite {
    fn open(options: Options) -> std::result::Result<Self, OpenError> {
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
        Ok(Self { writer: Some(writer), thread, readers: Mutex::new(Vec::new()), path, clock, apart: None, _lock: lock })
    }

    /// A command of this engine: one transaction, answered after its commit.
    pub(crate) fn command<T: Send + 'static>(
        &self,
        run: impl Fn(&mut SqliteTx<'_>) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let answer = self.writer.as_ref().map(|w| w.send(run));
        Box::pin(async move {
            let closed = || StoreError::Unavailable("the store is closed".to_owned());
            answer.ok_or_else(closed)?.await.map_err(|_| closed())?
        })
    }

    /// A query on a reader's connection. Short by construction: point reads and bounded ranges.
    pub(crate) fn look<'a, T: Send + 'static>(
        &'a self,
        query: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        if self.path.is_none() {
            return self.command(move |tx| query(tx.connection()));
        }
        let out = self.reader().and_then(|conn| {
            let out = query(&conn);
            self.put_back(conn);
            out
        });
        Box::pin(std::future::ready(out))
    }

    /// A query that may walk many rows: on a thread of its own, so that it holds nobody up.
    pub(crate) fn stroll<'a, T: Send + 'static>(
        &'a self,
        query: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T>> {
        if self.path.is_none() {
            return self.look(query);
        }
        Box::pin(async move {
            let conn = self.reader()?;
            let done = tokio::task::spawn_blocking(move || (query(&conn), conn)).await;
            let (out, conn) = done.map_err(|e| StoreError::Unavailable(format!("a list was not finished: {e}")))?;
            self.put_back(conn);
            out
        })
    }

    /// A command of the engine of steps: it has heard by then of everything that was told.
    pub(crate) fn exec_command<T: Send + 'static>(
        &self,
        run: impl Fn(&mut SqliteTx<'_>) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let apart = self.apart.is_some();
        self.command(move |tx| {
            if apart {
                learn_all(tx)?;
            }
            run(tx)
        })
    }

    /// Tells the engine of steps what waits for it.
    pub(crate) fn learn(&self) -> BoxFuture<'_, Result<()>> {
        self.command(learn_all)
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

/// Runs a read on a connection.
pub(crate) fn select(conn: &Connection, text: &str, values: &[Value], each: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()> {
    let mut sql = conn.prepare_cached(text).or_store()?;
    let mut rows = sql.query(params_from_iter(values)).or_store()?;
    while let Some(r) = rows.next().or_store()? {
        each(Row::Sqlite(r))?;
    }
    Ok(())
}

fn gather<T>(conn: &Connection, query: &Query<T>) -> Result<Vec<T>> {
    let mut out = Vec::new();
    select(conn, &query.text, &query.values, &mut |r| {
        out.push((query.read)(r)?);
        Ok(())
    })?;
    Ok(out)
}

impl Backend for Sqlite {
    fn write<T: Send + 'static>(&self, _: Needs, run: impl Fn(&mut dyn Tx) -> Result<T> + Send + 'static) -> BoxFuture<'_, Result<T>> {
        let Some(between) = &self.apart else { return self.command(move |tx| run(tx)) };
        let effect = self.command(move |tx| {
            tx.leave_word(true);
            let out = run(tx);
            tx.leave_word(false);
            out
        });
        let between = Arc::clone(between);
        Box::pin(async move {
            let out = effect.await?;
            if between() {
                self.learn().await?;
            }
            Ok(out)
        })
    }

    fn all<T: Send + 'static>(&self, query: Query<T>, _: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>> {
        self.look(move |c| gather(c, &query))
    }

    fn walk<T: Send + 'static>(&self, query: Query<T>, _: impl Into<Reach>) -> BoxFuture<'_, Result<Vec<T>>> {
        self.stroll(move |c| gather(c, &query))
    }

    fn now(&self) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(std::future::ready(Ok(self.clock.now())))
    }
}

fn learn_all(tx: &mut SqliteTx<'_>) -> Result<()> {
    for scope in fetch(tx, &waiting())? {
        while learn(tx, scope)? > 0 {}
    }
    Ok(())
}

fn unavailable(path: Option<&std::path::Path>, e: &rusqlite::Error) -> OpenError {
    OpenError::Unavailable { path: path.map(Into::into).unwrap_or_default(), message: e.to_string() }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.lock().clear();
        // Closing the queue lets the writer finish what is in it and checkpoint.
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
