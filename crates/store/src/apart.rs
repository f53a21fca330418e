//! Effects and the engine of steps, each in a transaction of its own: an effect commits first and leaves word of what becomes of steps; the
//! engine learns of it after, from that word alone, as often as it is told. The SQL engines do both at once, which is the same and faster;
//! this form is what a foreign engine of steps gets, and the table of answers holds for it too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::{Result, damaged};
use crate::row::Row;
use crate::tx::{Query, Statement, StepName, StepRow, Tx, fetch, fetch_one, step_kind, step_of, step_terms};
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

/// Where the engine has a step, and its last fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Nowhere,
    Held(u64),
    /// Ready, parked or set aside.
    Waits(u64),
}

fn place(tx: &mut dyn Tx, name: StepName) -> Result<Place> {
    let found = fetch_one(
        tx,
        &Query {
            text: "SELECT 1 AS held, fence FROM held WHERE step = $1 AND node = $2
             UNION ALL SELECT 0 AS held, fence FROM ready WHERE step = $1 AND node = $2
             UNION ALL SELECT 0 AS held, fence FROM parked WHERE step = $1 AND node = $2
             UNION ALL SELECT 0 AS held, fence FROM timers WHERE step = $1 AND node = $2"
                .into(),
            values: values![name.step, name.node],
            read: |r| Ok((r.get::<i64>("held")? == 1, r.get::<u64>("fence")?)),
        },
    )?;
    Ok(found.map_or(Place::Nowhere, |(held, fence)| if held { Place::Held(fence) } else { Place::Waits(fence) }))
}

/// Whether the end of a claim waits to be told: whoever had it has it no more, though the engine does not know yet.
pub(crate) fn is_over(tx: &mut dyn Tx, name: StepName, fence: u64) -> Result<bool> {
    let told = Query {
        text: "SELECT n FROM tellings WHERE step = $1 AND node = $2 AND what = $3 AND fence = $4 LIMIT 1".into(),
        values: values![name.step, name.node, Word::Released.as_int(), int(fence)],
        read: |r| r.get::<i64>("n"),
    };
    Ok(fetch_one(tx, &told)?.is_some())
}

/// Does what was told, in its order, and forgets it. Word of a claim whose lease lapsed meanwhile, and whose step another has, comes too late:
/// that one learns at the effect how the step stands. Word that comes again changes nothing.
pub(crate) fn learn(tx: &mut dyn Tx, scope: Scope) -> Result<u32> {
    let told = Query {
        text: "SELECT * FROM tellings WHERE tenant_id = $1 AND mode = $2 ORDER BY n LIMIT $3".into(),
        values: values![scope.tenant_id.as_bytes(), scope.mode.as_int(), TOLD_MAX],
        read,
    };
    let told = fetch(tx, &told)?;
    let mut places: BTreeMap<StepName, Place> = BTreeMap::new();
    for (_, row, _) in &told {
        let name = row.name();
        if let Entry::Vacant(unknown) = places.entry(name) {
            unknown.insert(place(tx, name)?);
        }
    }
    for (_, row, word) in &told {
        if let Some(at) = places.get_mut(&row.name()) {
            *at = obey(tx, row, *word, *at)?;
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

/// Does what one word says, and says where the step is then.
fn obey(tx: &mut dyn Tx, row: &StepRow, word: Word, at: Place) -> Result<Place> {
    match (word, at) {
        (Word::Ready, Place::Nowhere) => {
            tx.put_ready(row)?;
            tx.wake();
            Ok(Place::Waits(row.fence))
        }
        (Word::Later(time), Place::Nowhere) => {
            tx.put_timer(row, time)?;
            Ok(Place::Waits(row.fence))
        }
        (Word::Released, Place::Held(fence)) if fence == row.fence => {
            tx.release(row.run, row.step)?;
            Ok(Place::Nowhere)
        }
        // The claim's lease lapsed before its end was told: the step stands where it was handed back to.
        (Word::Released, Place::Waits(fence)) if fence == row.fence => {
            tx.forget(row.run, row.step)?;
            Ok(Place::Nowhere)
        }
        (Word::Forgotten, Place::Waits(_)) => {
            tx.forget(row.run, row.step)?;
            Ok(Place::Nowhere)
        }
        (_, at) => Ok(at),
    }
}

/// The tenants and modes in which word waits.
pub(crate) fn waiting() -> Query<Scope> {
    Query {
        text: "SELECT DISTINCT reseller_id, tenant_id, mode FROM tellings ORDER BY tenant_id, mode".into(),
        values: Vec::new(),
        read: |r: Row<'_>| r.scope(),
    }
}
