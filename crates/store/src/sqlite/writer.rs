//! The one writer: commands of many callers, committed in groups with one fsync.
//!
//! A command is a closure that may run twice: when one member of a group fails after it wrote something, the group is rolled back
//! and its members run again one by one, so that one bad member never takes the others with it. The answer leaves only after COMMIT.

use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tollgate_core::ports::StoreError;

use crate::backend::Committed;
use crate::error::{Result, from_sqlite};
use crate::job::Pending;
use crate::sqlite::tx::{Heads, SqliteTx};

/// Most commands in one transaction.
const GROUP_MAX: usize = 256;

/// A command in the queue.
pub(crate) trait Job: Send {
    /// Runs it inside the open transaction. `false`: it failed.
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool;
    /// Answers, after the commit or instead of it.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Command<F, T> {
    run: F,
    pending: Pending<T>,
}

impl<F, T> Job for Command<F, T>
where
    F: Fn(&mut SqliteTx<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool {
        let out = (self.run)(tx);
        self.pending.ran(out)
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        self.pending.answer(failure);
    }
}

/// Where commands go.
pub(crate) enum Writer {
    /// A thread of its own.
    Thread(mpsc::Sender<Box<dyn Job>>),
    /// In the caller's thread: one command, one transaction. For the simulator.
    Inline(Box<parking_lot::Mutex<Loop>>),
}

impl Writer {
    /// Starts the writer's thread.
    pub(crate) fn spawn(work: Loop) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (tx, rx) = mpsc::channel();
        let handle = thread::Builder::new().name("store-writer".to_owned()).spawn(move || work.serve(&rx))?;
        Ok((Self::Thread(tx), handle))
    }

    /// Runs in the caller's thread.
    pub(crate) fn inline(work: Loop) -> Self {
        Self::Inline(Box::new(parking_lot::Mutex::new(work)))
    }

    /// Puts a command into the queue; the receiver answers after its commit.
    pub(crate) fn send<T: Send + 'static>(
        &self,
        run: impl Fn(&mut SqliteTx<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (pending, answer) = Pending::new();
        let job = Box::new(Command { run, pending });
        match self {
            Self::Thread(queue) => {
                if let Err(mpsc::SendError(job)) = queue.send(job) {
                    job.answer(Some(StoreError::Unavailable("the store is closed".to_owned())));
                }
            }
            Self::Inline(work) => work.lock().group(vec![job]),
        }
        answer
    }
}

/// The writer's connection and what it keeps in memory.
pub(crate) struct Loop {
    conn: Connection,
    heads: Heads,
    clock: std::sync::Arc<dyn tollgate_core::ports::Clock>,
    committed: Box<dyn Fn(Committed) + Send>,
}

impl Loop {
    /// `committed` is called after each commit that others may wait for.
    pub(crate) fn new(
        conn: Connection,
        clock: std::sync::Arc<dyn tollgate_core::ports::Clock>,
        committed: Box<dyn Fn(Committed) + Send>,
    ) -> Self {
        Self { conn, heads: Heads::default(), clock, committed }
    }

    fn serve(mut self, queue: &mpsc::Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                match queue.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            self.group(group);
        }
        // A clean stop leaves no WAL behind, so that the next start has nothing to recover.
        let _ = self.conn.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    fn group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.attempt(&mut jobs) {
            Ok(()) => jobs.into_iter().for_each(|j| j.answer(None)),
            Err(_) if jobs.len() > 1 => {
                for job in jobs {
                    self.group(vec![job]);
                }
            }
            Err(e) => jobs.into_iter().for_each(|j| j.answer(Some(e.clone()))),
        }
    }

    /// One transaction. An error means that nothing of it is stored.
    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        self.plain("BEGIN IMMEDIATE")?;
        let saved = self.heads.clone();
        let outcome = self.run_all(jobs);
        match outcome {
            Ok(news) => {
                if news != Committed::default() {
                    (self.committed)(news);
                }
                Ok(())
            }
            Err(e) => {
                self.heads = saved;
                if !self.conn.is_autocommit() {
                    // Should this fail too, the next BEGIN says so.
                    let _ = self.conn.execute_batch("ROLLBACK");
                }
                Err(e)
            }
        }
    }

    /// A statement without values or rows, prepared once.
    fn plain(&self, sql: &str) -> Result<()> {
        self.conn.prepare_cached(sql).and_then(|mut s| s.execute([])).map(|_| ()).map_err(|e| from_sqlite(&e))
    }

    fn run_all(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Committed> {
        let mut tx = SqliteTx::new(&self.conn, &mut self.heads, self.clock.now());
        for job in jobs {
            let before = tx.writes();
            // After some faults, a full disk among them, SQLite rolls back by itself: what came next would be committed row by row.
            if !job.run(&mut tx) && (tx.writes() != before || self.conn.is_autocommit()) {
                return Err(StoreError::Unavailable("a command failed halfway".to_owned()));
            }
        }
        let news = tx.finish()?;
        self.plain("COMMIT")?;
        Ok(news)
    }
}
