//! Dispatch rows on SQLite.

use rusqlite::{OptionalExtension, params};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::Step;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::apart::{Word, tell};
use crate::codec::int;
use crate::error::{OrStore, Result};
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{Cold, Dispatch, Held, StepName, StepRow, Tx, step_kind, step_name};

impl SqliteTx<'_> {
    /// Leaves word instead of doing it, where that is all a command may do.
    fn word(&mut self, row: &StepRow, word: Word) -> Result<bool> {
        if self.word_only {
            self.execute(tell(row, word))?;
        }
        Ok(self.word_only)
    }

    fn word_of(&mut self, run: RunId, step: Step, word: Word) -> Result<bool> {
        if !self.word_only {
            return Ok(false);
        }
        // Of which claim, says its fence.
        let fence = self.held(run, step)?.map_or(0, |h| h.fence);
        match self.scope_of(run)? {
            Some(scope) => self.word(&StepRow { scope, run, step, fence, terms: Terms::default() }, word),
            None => Ok(true),
        }
    }

    /// Puts a step at a place of the queue; a limited one waits for its place under a limit first.
    pub(super) fn queue(&mut self, row: &StepRow, due: i64) -> Result<()> {
        if let Some(first) = row.terms.limits().next() {
            return self.park(row, first, due);
        }
        let (name, n) = (row.name(), self.place(due)?);
        self.exec(
            "INSERT INTO ready (n, step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                n,
                name.step,
                name.node,
                row.run.as_bytes(),
                step_kind(row.step),
                int(row.fence),
                row.scope.reseller_id.as_bytes(),
                row.scope.tenant_id.as_bytes(),
                row.scope.mode.as_int(),
                row.terms.label,
                due,
                self.now().as_micros()
            ],
        )
        .map(|_| ())
    }

    /// Ends a claim, or takes a ready row away; what it held under limits is left to others.
    fn remove(&mut self, sql: &str, name: StepName) -> Result<()> {
        let gone = self
            .sql(sql)?
            .query_row(params![name.step, name.node], |r| {
                let r = Row::Sqlite(r);
                Ok(r.at::<Option<Vec<u8>>>(0).and_then(|limits| limits.map(|l| r.scope().map(|s| (s, l))).transpose()))
            })
            .optional()
            .or_store()?
            .transpose()?;
        match gone.flatten() {
            Some((scope, limits)) => self.vacate(scope, name, &limits),
            None => Ok(()),
        }
    }

    fn scope_of(&mut self, run: RunId) -> Result<Option<Scope>> {
        self.sql("SELECT reseller_id, tenant_id, mode FROM runs WHERE id = ?1")?
            .query_row([run.as_bytes()], |r| Ok(Row::Sqlite(r).scope()))
            .optional()
            .or_store()?
            .transpose()
    }
}

impl Dispatch for SqliteTx<'_> {
    fn leave_word(&mut self, only: bool) {
        self.word_only = only;
    }

    fn leaves_word(&self) -> bool {
        self.word_only
    }

    fn session(&mut self, session: SessionId) -> Result<Option<Timestamp>> {
        self.sql("SELECT expires_at FROM sessions WHERE id = ?1")?
            .query_row([session.as_bytes()], |r| r.get(0).map(Timestamp::from_micros))
            .optional()
            .or_store()
    }

    fn held(&mut self, run: RunId, step: Step) -> Result<Option<Held>> {
        let name = step_name(run, step);
        self.sql("SELECT session, fence FROM held WHERE step = ?1 AND node = ?2")?
            .query_row(params![name.step, name.node], |r| {
                Ok(Held { session: SessionId::from_bytes(r.get(0)?), fence: u64::try_from(r.get::<_, i64>(1)?).unwrap_or(0) })
            })
            .optional()
            .or_store()
    }

    fn hold(&mut self, row: &StepRow, session: SessionId) -> Result<()> {
        let name = row.name();
        self.exec(
            "INSERT INTO held (step, node, run_id, kind, fence, session, reseller_id, tenant_id, mode)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                name.step,
                name.node,
                row.run.as_bytes(),
                step_kind(row.step),
                int(row.fence),
                session.as_bytes(),
                row.scope.reseller_id.as_bytes(),
                row.scope.tenant_id.as_bytes(),
                row.scope.mode.as_int()
            ],
        )
        .map(|_| ())
    }

    fn release(&mut self, run: RunId, step: Step) -> Result<()> {
        if self.word_of(run, step, Word::Released)? {
            return Ok(());
        }
        self.remove("DELETE FROM held WHERE step = ?1 AND node = ?2 RETURNING limits, reseller_id, tenant_id, mode", step_name(run, step))
    }

    fn put_ready(&mut self, row: &StepRow) -> Result<()> {
        if self.word(row, Word::Ready)? {
            return Ok(());
        }
        let due = self.now().as_micros() - row.terms.lead();
        self.queue(row, due)
    }

    fn put_timer(&mut self, row: &StepRow, at: Timestamp) -> Result<()> {
        if self.word(row, Word::Later(at))? {
            return Ok(());
        }
        let name = row.name();
        self.exec(
            "INSERT INTO timers (at, step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, priority, limits)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                at.as_micros(),
                name.step,
                name.node,
                row.run.as_bytes(),
                step_kind(row.step),
                int(row.fence),
                row.scope.reseller_id.as_bytes(),
                row.scope.tenant_id.as_bytes(),
                row.scope.mode.as_int(),
                row.terms.label,
                row.terms.priority,
                row.terms.limit_bytes()
            ],
        )
        .map(|_| ())
    }

    fn forget(&mut self, run: RunId, step: Step) -> Result<()> {
        if self.word_of(run, step, Word::Forgotten)? {
            return Ok(());
        }
        let name = step_name(run, step);
        self.remove("DELETE FROM ready WHERE step = ?1 AND node = ?2 RETURNING limits, reseller_id, tenant_id, mode", name)?;
        self.exec("DELETE FROM parked WHERE step = ?1 AND node = ?2", params![name.step, name.node])?;
        self.exec("DELETE FROM timers WHERE step = ?1 AND node = ?2", params![name.step, name.node])?;
        Ok(())
    }
}
