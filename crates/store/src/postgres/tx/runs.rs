//! Runs of a group.

use tollgate_core::id::RunId;
use tollgate_core::run::RunState as State;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::{Result, damaged};
use crate::needs::Lock;
use crate::tx::{NewRunRow, RunChange, RunRow, Runs};

use super::PgTx;

/// A run as it is stored, as far as it changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RunState {
    pub(crate) scope: Scope,
    pub(crate) row: RunRow,
    pub(crate) reason: Option<String>,
    pub(crate) planned_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    /// Everything of a run that this group stores.
    pub(crate) new: Option<NewRunRow>,
}

impl Runs for PgTx {
    fn run(&mut self, scope: Scope, id: RunId) -> Result<Option<RunRow>> {
        self.lock(Lock::Run(id))?;
        Ok(self.runs.get(&id)?.filter(|r| same(r.scope, scope)).map(|r| r.row))
    }

    fn write_run(&mut self, n: &NewRunRow) -> Result<bool> {
        // Nobody else knows its id yet.
        self.locks.insert(Lock::Run(n.id));
        let row = RunRow {
            state: n.state,
            cancelling: false,
            strict: n.strict,
            operator: n.operator.clone(),
            actions: n.actions,
            graph: n.graph,
            terms: n.terms,
        };
        let run = RunState { scope: n.scope, row, reason: None, planned_at: n.planned_at, updated_at: n.at, new: Some(n.clone()) };
        self.runs.put(n.id, Some(run));
        self.plans.put(n.id, Some(Vec::new()));
        Ok(true)
    }

    fn write_standing(&mut self, id: RunId, change: &RunChange, at: Timestamp) -> Result<()> {
        self.lock(Lock::Run(id))?;
        let changed = self.runs.change(&id, |r| {
            r.updated_at = at;
            match change {
                RunChange::State(state) => r.row.state = *state,
                RunChange::Planned { state, reason, actions } => {
                    r.row.state = *state;
                    r.reason.clone_from(reason);
                    r.row.actions = *actions;
                    r.planned_at = Some(at);
                }
                RunChange::Cancelling => r.row.cancelling = true,
                RunChange::Unasked => {
                    r.row.state = State::Cancelled;
                    r.row.cancelling = true;
                }
                RunChange::Stopped(why) => {
                    r.row.state = State::Failed;
                    r.reason = Some(why.clone());
                }
                RunChange::OneMore => r.row.actions += 1,
            }
        })?;
        if changed { Ok(()) } else { Err(damaged("a run that changes")) }
    }
}

/// The same tenant and mode.
pub(super) fn same(a: Scope, b: Scope) -> bool {
    a.tenant_id == b.tenant_id && a.mode == b.mode
}
