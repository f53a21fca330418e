//! Runs on SQLite.

use rusqlite::{OptionalExtension, params};
use tollgate_core::id::RunId;
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{int, terms};
use crate::error::{OrStore, Result, damaged};
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{NewRunRow, RunChange, RunRow, Runs};

fn read(r: Row<'_>) -> Result<RunRow> {
    Ok(RunRow {
        state: RunState::from_int(r.at(0)?).ok_or_else(|| damaged("a run's state"))?,
        cancelling: r.at(1)?,
        strict: r.at(2)?,
        operator: r.at(3)?,
        actions: r.at(4)?,
        graph: r.at(5)?,
        terms: terms(r.at(6)?)?,
    })
}

impl Runs for SqliteTx<'_> {
    fn run(&mut self, scope: Scope, id: RunId) -> Result<Option<RunRow>> {
        self.sql(
            "SELECT state, cancelling, strict, operator, actions, graph, terms FROM runs WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3",
        )?
        .query_row(params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok(read(Row::Sqlite(r))))
        .optional()
        .or_store()?
        .transpose()
    }

    fn write_run(&mut self, n: &NewRunRow) -> Result<bool> {
        let created = self.exec(
            "INSERT INTO runs (id, reseller_id, tenant_id, mode, event_id, operator, offering, principal, bundle, strict, state, actions,
               created_at, planned_at, updated_at, graph, terms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?13, ?15, ?16) ON CONFLICT DO NOTHING",
            params![
                n.id.as_bytes(),
                n.scope.reseller_id.as_bytes(),
                n.scope.tenant_id.as_bytes(),
                n.scope.mode.as_int(),
                n.event.map(|e| *e.as_bytes()),
                n.operator,
                int(n.offering),
                n.principal,
                n.bundle.0,
                n.strict,
                n.state.as_int(),
                n.actions,
                n.at.as_micros(),
                n.planned_at.map(Timestamp::as_micros),
                n.graph.map(|d| d.0),
                n.terms.to_bytes()
            ],
        )?;
        Ok(created == 1)
    }

    fn write_standing(&mut self, id: RunId, change: &RunChange, at: Timestamp) -> Result<()> {
        let (id, at) = (id.as_bytes(), at.as_micros());
        match change {
            RunChange::State(state) => {
                self.exec("UPDATE runs SET state = ?2, updated_at = ?3 WHERE id = ?1", params![id, state.as_int(), at])
            }
            RunChange::Planned { state, reason, actions } => self.exec(
                "UPDATE runs SET state = ?2, reason = ?3, actions = ?4, planned_at = ?5, updated_at = ?5 WHERE id = ?1",
                params![id, state.as_int(), reason, actions, at],
            ),
            RunChange::Cancelling => self.exec("UPDATE runs SET cancelling = 1, updated_at = ?2 WHERE id = ?1", params![id, at]),
            RunChange::Unasked => self.exec(
                "UPDATE runs SET state = ?2, cancelling = 1, updated_at = ?3 WHERE id = ?1",
                params![id, RunState::Cancelled.as_int(), at],
            ),
            RunChange::Stopped(why) => self.exec(
                "UPDATE runs SET state = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1",
                params![id, RunState::Failed.as_int(), why, at],
            ),
            RunChange::OneMore => self.exec("UPDATE runs SET actions = actions + 1, updated_at = ?2 WHERE id = ?1", params![id, at]),
        }
        .map(|_| ())
    }
}
