//! Dispatch rows of a group.

use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::Step;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::tx::{Dispatch, Held, StepRow, step_name};

use super::PgTx;

/// The row name of a step.
pub(crate) type StepName = [u8; 16];

/// A step that a session holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldRow {
    pub(crate) row: StepRow,
    pub(crate) session: SessionId,
}

impl Dispatch for PgTx {
    fn session(&mut self, session: SessionId) -> Result<Option<Timestamp>> {
        self.sessions.get(&session)
    }

    fn held(&mut self, run: RunId, step: Step) -> Result<Option<Held>> {
        let found = self.held.get(&step_name(run, step).0)?;
        Ok(found.map(|h| Held { session: h.session, fence: h.row.fence }))
    }

    fn hold(&mut self, row: &StepRow, session: SessionId) -> Result<()> {
        self.held.put(row.name().0, Some(HeldRow { row: *row, session }));
        Ok(())
    }

    fn release(&mut self, run: RunId, step: Step) -> Result<()> {
        let name = step_name(run, step).0;
        if self.held.get(&name)?.is_some() {
            self.held.put(name, None);
        }
        Ok(())
    }

    fn put_ready(&mut self, row: &StepRow) -> Result<()> {
        self.layer.ready.push(*row);
        Ok(())
    }

    fn put_timer(&mut self, row: &StepRow, at: Timestamp) -> Result<()> {
        self.layer.timers.push((*row, at));
        Ok(())
    }

    fn forget(&mut self, run: RunId, step: Step) -> Result<()> {
        self.layer.forget(run, step);
        self.layer.forgotten.push((run, step));
        Ok(())
    }
}
