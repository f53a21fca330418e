//! The log of changes.

use tollgate_core::change::Change;
use tollgate_core::id::RunId;
use tollgate_core::ports::{ChangeLog, Changes};
use tollgate_core::scope::Scope;

use super::Out;
use crate::backend::{Ordered, Store};
use crate::error::{Result, damaged};
use crate::query::changes::{Found, ROWS, after, from, of_run};

impl<B: Ordered> ChangeLog for Store<B> {
    fn changes_after(&self, scope: Scope, run: Option<RunId>, position: u64) -> Out<'_, Changes> {
        Box::pin(async move {
            let query = match run {
                Some(run) => of_run(scope, run, position),
                None => after(scope, position),
            };
            unpack(&self.engine.all(query, scope).await?, run, position)
        })
    }

    fn changes_from(&self, scope: Scope) -> Out<'_, Option<u64>> {
        self.engine.one(from(scope), scope)
    }
}

/// The changes of rows that are wanted. A position may lie in the middle of a row.
fn unpack(rows: &[Found], run: Option<RunId>, position: u64) -> Result<Changes> {
    let mut out = Changes { found: Vec::new(), to: position, more: rows.len() >= ROWS as usize };
    for row in rows {
        // What a removed tenant left of its last one.
        if row.changes == 0 {
            out.to = row.last;
            continue;
        }
        let all = Change::read_all(&row.body).filter(|all| all.len() as u64 == row.changes).ok_or_else(|| damaged("changes of state"))?;
        let first = (row.last + 1).checked_sub(row.changes).ok_or_else(|| damaged("the position of a change"))?;
        let wanted = |(at, c): &(u64, Change)| *at > position && run.is_none_or(|r| r == c.run);
        out.found.extend((first..).zip(all).filter(wanted));
        out.to = row.last;
    }
    Ok(out)
}
