//! Reads of the outbox: whole rows, each of one or more changes.

use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;

use crate::codec::int;
use crate::error::Result;
use crate::row::Row;
use crate::tx::Query;
use crate::value::values;

/// Rows of one read: what a stream holds in memory.
pub(crate) const ROWS: u32 = 32;

/// A row: the number of its last change, how many they are, and they.
pub(crate) struct Found {
    pub(crate) last: u64,
    pub(crate) changes: u64,
    pub(crate) body: Vec<u8>,
}

fn read(r: Row<'_>) -> Result<Found> {
    Ok(Found { last: r.at(0)?, changes: r.at(1)?, body: r.at(2)? })
}

/// Rows with changes behind a position, oldest first.
pub(crate) fn after(s: Scope, position: u64) -> Query<Found> {
    Query {
        text: "SELECT pos, changes, body FROM outbox WHERE tenant_id = $1 AND mode = $2 AND pos > $3 ORDER BY pos LIMIT $4".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int(), int(position), ROWS],
        read,
    }
}

/// Rows with changes of one run behind a position, oldest first.
pub(crate) fn of_run(s: Scope, run: RunId, position: u64) -> Query<Found> {
    Query {
        text: "SELECT o.pos, o.changes, o.body FROM outbox_runs r JOIN outbox o ON o.pos = r.pos
         WHERE r.run_id = $1 AND r.pos > $2 AND o.tenant_id = $3 AND o.mode = $4 ORDER BY r.pos LIMIT $5"
            .into(),
        values: values![run.as_bytes(), int(position), s.tenant_id.as_bytes(), s.mode.as_int(), ROWS],
        read,
    }
}

/// The position before the oldest change.
pub(crate) fn from(s: Scope) -> Query<u64> {
    Query {
        text: "SELECT pos - changes AS before FROM outbox WHERE tenant_id = $1 AND mode = $2 ORDER BY pos LIMIT 1".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| r.at(0),
    }
}
