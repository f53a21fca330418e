//! Dispatch rows of a group.

use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::Step;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::apart::{Word, tell};
use crate::error::Result;
use crate::tx::{Dispatch, Held, StepRow, step_name};

use super::PgTx;

/// A step that a session holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldRow {
    pub(crate) row: StepRow,
    pub(crate) session: SessionId,
    /// It counts under limits: who waits for its place is woken when the claim ends.
    pub(crate) limited: bool,
}

impl PgTx {
    /// Leaves word instead of doing it, where that is all a command may do.
    fn word(&mut self, row: &StepRow, word: Word) -> bool {
        if self.word_only {
            self.layer.statements.push(tell(row, word));
        }
        self.word_only
    }

    fn word_of(&mut self, run: RunId, step: Step, word: Word) -> Result<bool> {
        if !self.word_only {
            return Ok(false);
        }
        let Some(scope) = self.runs.get(&run)?.map(|r| r.scope) else { return Ok(true) };
        // Of which claim, says its fence.
        let fence = self.held(run, step)?.map_or(0, |h| h.fence);
        Ok(self.word(&StepRow { scope, run, step, fence, terms: Terms::default() }, word))
    }
}

impl Dispatch for PgTx {
    fn leave_word(&mut self, only: bool) {
        self.word_only = only;
    }

    fn leaves_word(&self) -> bool {
        self.word_only
    }

    fn session(&mut self, session: SessionId) -> Result<Option<Timestamp>> {
        self.sessions.get(&session)
    }

    fn held(&mut self, run: RunId, step: Step) -> Result<Option<Held>> {
        let found = self.held.get(&step_name(run, step))?;
        Ok(found.map(|h| Held { session: h.session, fence: h.row.fence }))
    }

    fn hold(&mut self, row: &StepRow, session: SessionId) -> Result<()> {
        self.held.put(row.name(), Some(HeldRow { row: *row, session, limited: false }));
        Ok(())
    }

    fn release(&mut self, run: RunId, step: Step) -> Result<()> {
        if self.word_of(run, step, Word::Released)? {
            return Ok(());
        }
        let name = step_name(run, step);
        if let Some(held) = self.held.get(&name)? {
            self.layer.wake |= held.limited;
            self.held.put(name, None);
        }
        Ok(())
    }

    fn put_ready(&mut self, row: &StepRow) -> Result<()> {
        if self.word(row, Word::Ready) {
            return Ok(());
        }
        self.layer.ready.push(*row);
        Ok(())
    }

    fn put_timer(&mut self, row: &StepRow, at: Timestamp) -> Result<()> {
        if self.word(row, Word::Later(at)) {
            return Ok(());
        }
        self.layer.timers.push((*row, at));
        Ok(())
    }

    fn forget(&mut self, run: RunId, step: Step) -> Result<()> {
        if self.word_of(run, step, Word::Forgotten)? {
            return Ok(());
        }
        // Should it have had a place.
        self.layer.wake = true;
        self.layer.forget(run, step);
        self.layer.forgotten.push((run, step));
        Ok(())
    }
}
