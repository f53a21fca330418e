//! Effects and the engine of steps, each in a transaction of its own: an effect commits first and leaves word of what becomes of steps; the
//! engine learns of it after, from that word alone, as often as it is told. The SQL engines do both at once, which is the same and faster;
//! this form is what a foreign engine of steps gets, and the table of answers holds for it too.

use std::sync::Arc;

use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::{Result, damaged};
use crate::row::Row;
use crate::tx::{Query, Statement, StepName, StepRow, Tx, fetch, step_kind, step_of, step_terms};
use crate::value::values;

/// Asked between the two commits: `false` when whoever would tell the engine dies there.
pub type Between = Arc<dyn Fn() -> bool + Send + Sync>;

/// Words of one transaction of the engine.
const TOLD_MAX: u32 = 256;

/// What becomes of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// It is claimable.
    Ready,
    /// Its claim ended.
    Released,
    /// It is set aside until then.
    Later(Timestamp),
    /// It is neither ready nor set aside any more.
    Forgotten,
}

impl Word {
    const fn as_int(self) -> i64 {
        match self {
            Self::Ready => 0,
            Self::Released => 1,
            Self::Later(_) => 2,
            Self::Forgotten => 3,
        }
    }
}

/// Leaves word of a step.
pub(crate) fn tell(row: &StepRow, word: Word) -> Statement {
    let name = row.name();
    let at = if let Word::Later(at) = word { Some(at) } else { None };
    let s = row.scope;
    Statement {
        text: "INSERT INTO tellings (what, step, node, run_id, kind, fence, at, label, priority, limits, reseller_id, tenant_id, mode)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        values: values![
            word.as_int(),
            name.step,
            name.node,
            row.run.as_bytes(),
            step_kind(row.step),
            int(row.fence),
            at,
            row.terms.label,
            i64::from(row.terms.priority),
            row.terms.limit_bytes(),
            s.reseller_id.as_bytes(),
            s.tenant_id.as_bytes(),
            s.mode.as_int(),
        ],
    }
}

fn read(r: Row<'_>) -> Result<(i64, StepRow, Word)> {
    let row = StepRow {
        scope: r.scope()?,
        run: RunId::from_bytes(r.get("run_id")?),
        step: step_of(r.get("kind")?, StepName { step: r.get("step")?, node: r.get("node")? })?,
        fence: r.get("fence")?,
        terms: step_terms(r)?,
    };
    let word = match r.get::<i64>("what")? {
        0 => Word::Ready,
        1 => Word::Released,
        2 => Word::Later(r.get("at")?),
        3 => Word::Forgotten,
        _ => return Err(damaged("what a step is told to be")),
    };
    Ok((r.get("n")?, row, word))
}

/// Does what was told, in its order, and forgets it. Word that comes again changes nothing: a step that is placed already stays there.
pub(crate) fn learn(tx: &mut dyn Tx, scope: Scope) -> Result<u32> {
    let told = Query {
        text: "SELECT * FROM tellings WHERE tenant_id = $1 AND mode = $2 ORDER BY n LIMIT $3".into(),
        values: values![scope.tenant_id.as_bytes(), scope.mode.as_int(), TOLD_MAX],
        read,
    };
    let told = fetch(tx, &told)?;
    for (_, row, word) in &told {
        match *word {
            Word::Ready => {
                tx.put_ready(row)?;
                tx.wake();
            }
            Word::Released => tx.release(row.run, row.step)?,
            Word::Later(at) => tx.put_timer(row, at)?,
            Word::Forgotten => tx.forget(row.run, row.step)?,
        }
    }
    // These and no others: word with a lower number may have been committed since they were read.
    for (n, ..) in &told {
        tx.execute(Statement {
            text: "DELETE FROM tellings WHERE n = $1 AND tenant_id = $2 AND mode = $3",
            values: values![*n, scope.tenant_id.as_bytes(), scope.mode.as_int()],
        })?;
    }
    Ok(u32::try_from(told.len()).unwrap_or(u32::MAX))
}

/// The tenants and modes in which word waits.
pub(crate) fn waiting() -> Query<Scope> {
    Query {
        text: "SELECT DISTINCT reseller_id, tenant_id, mode FROM tellings ORDER BY tenant_id, mode".into(),
        values: Vec::new(),
        read: |r: Row<'_>| r.scope(),
    }
}
