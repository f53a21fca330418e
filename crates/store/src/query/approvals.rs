//! Approval requests.

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId};
use tollgate_core::ports::ApprovalRecord;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, digest, id16, instant, scope};
use crate::error::{OrStore, Result};

type QueueRow = (String, Option<String>, Option<[u8; 16]>);

/// One request of this tenant and mode.
pub(crate) fn get(conn: &Connection, scope: Scope, id: ApprovalId) -> Result<Option<ApprovalRecord>> {
    let found = conn
        .prepare_cached("SELECT * FROM approvals WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")
        .or_store()?
        .query_row(params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| {
            Ok((|| {
                Ok(ApprovalRecord {
                    id,
                    action: ActionId::from_bytes(id16(r, "action")?),
                    run: RunId::from_bytes(id16(r, "run_id")?),
                    status: col(r, "status")?,
                    queues: Vec::new(),
                    binding: digest(r, "binding")?,
                    shown: col(r, "shown")?,
                    created_at: instant(r, "created_at")?,
                    expires_at: instant(r, "expires_at")?,
                    entries: Vec::new(),
                })
            })())
        })
        .optional()
        .or_store()?
        .transpose()?;
    let Some(mut record) = found else { return Ok(None) };
    for (queue, by, entry) in queues(conn, id)? {
        record.entries.extend(entry.map(EntryId::from_bytes));
        record.queues.push((queue, by));
    }
    Ok(Some(record))
}

fn queues(conn: &Connection, id: ApprovalId) -> Result<Vec<QueueRow>> {
    conn.prepare_cached("SELECT queue, by, entry FROM approval_queues WHERE approval = ?1 ORDER BY queue")
        .or_store()?
        .query_map([id.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()
}

/// Open requests that have lapsed.
pub(crate) fn lapsed(conn: &Connection, now: Timestamp, limit: u32) -> Result<Vec<(Scope, ApprovalId)>> {
    let mut sql = conn
        .prepare_cached("SELECT id, reseller_id, tenant_id, mode FROM approvals WHERE status = 'open' AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2")
        .or_store()?;
    let mut rows = sql.query(params![now.as_micros(), limit]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push((scope(r)?, ApprovalId::from_bytes(id16(r, "id")?)));
    }
    Ok(out)
}
