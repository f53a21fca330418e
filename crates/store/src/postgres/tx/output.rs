//! What a group writes beside the rows of tables that it reads, and the plain reads that it remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::Row as PgRow;
use tollgate_core::event::Event;
use tollgate_core::graph::{GraphPlan, JournalEntry};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::ports::{NewEntry, Step};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::postgres::table::not_fetched;
use crate::row::Row;
use crate::tx::{Cold, Notes, Statement, StepRow};
use crate::value::Value;

use super::PgTx;

/// Rows that are only added, and statements as they are.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) events: Vec<Event>,
    pub(crate) entries: Vec<(Scope, NewEntry)>,
    pub(crate) ready: Vec<StepRow>,
    pub(crate) timers: Vec<(StepRow, Timestamp)>,
    pub(crate) forgotten: Vec<(RunId, Step)>,
    pub(crate) journal: Vec<(Scope, JournalEntry, Timestamp)>,
    pub(crate) specs: BTreeMap<(Scope, Digest), Arc<GraphPlan>>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) notes: Notes,
    pub(crate) wake: bool,
}

impl Output {
    /// A step was disposed while it waited: what this group put anywhere for it is not put.
    pub(crate) fn forget(&mut self, run: RunId, step: Step) {
        let other = |row: &StepRow| (row.run, row.step) != (run, step);
        self.ready.retain(other);
        self.timers.retain(|(row, _)| other(row));
    }

    /// Takes over what a command did.
    pub(crate) fn take(&mut self, mut layer: Self) {
        for (run, step) in &layer.forgotten {
            self.forget(*run, *step);
        }
        self.events.append(&mut layer.events);
        self.entries.append(&mut layer.entries);
        self.ready.append(&mut layer.ready);
        self.timers.append(&mut layer.timers);
        self.forgotten.append(&mut layer.forgotten);
        self.journal.append(&mut layer.journal);
        self.specs.append(&mut layer.specs);
        self.statements.append(&mut layer.statements);
        self.notes.append(&mut layer.notes);
        self.wake |= layer.wake;
    }
}

/// A plain read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Select {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

/// Plain reads and their rows.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    rows: BTreeMap<String, Vec<PgRow>>,
    missing: Vec<Select>,
}

fn name(text: &str, values: &[Value]) -> String {
    format!("{text}\u{0}{values:?}")
}

impl Memo {
    pub(crate) fn is_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    pub(crate) fn wanted(&mut self) -> Vec<Select> {
        std::mem::take(&mut self.missing)
    }

    pub(crate) fn fetched(&mut self, select: &Select, rows: Vec<PgRow>) {
        self.rows.insert(name(&select.text, &select.values), rows);
    }
}

impl Cold for PgTx {
    fn select(&mut self, text: &str, values: &[Value], each: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        match self.memo.rows.get(&name(text, values)) {
            Some(rows) => rows.iter().try_for_each(|r| each(Row::Postgres(r))),
            None => {
                self.memo.missing.push(Select { text: text.to_owned(), values: values.to_vec() });
                Err(not_fetched())
            }
        }
    }

    fn execute(&mut self, statement: Statement) -> Result<()> {
        self.layer.statements.push(statement);
        Ok(())
    }
}
