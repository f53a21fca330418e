//! Approval requests.

use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId};
use tollgate_core::ports::{ApprovalFilter, ApprovalRecord, Page};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;
use crate::query::lists::before_id;
use crate::row::Row;
use crate::tx::Query;
use crate::value::values;

/// A request without its queues.
fn read(r: Row<'_>) -> Result<ApprovalRecord> {
    Ok(ApprovalRecord {
        id: ApprovalId::from_bytes(r.get("id")?),
        action: ActionId::from_bytes(r.get("action")?),
        run: RunId::from_bytes(r.get("run_id")?),
        status: r.get("status")?,
        queues: Vec::new(),
        binding: r.get("binding")?,
        shown: r.get("shown")?,
        created_at: r.get("created_at")?,
        expires_at: r.get("expires_at")?,
        entries: Vec::new(),
    })
}

/// One request of this tenant and mode.
pub(crate) fn one(scope: Scope, id: ApprovalId) -> Query<ApprovalRecord> {
    Query {
        text: "SELECT * FROM approvals WHERE id = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read,
    }
}

/// Requests, newest first.
pub(crate) fn list(s: Scope, f: &ApprovalFilter, page: Page) -> Query<ApprovalRecord> {
    Query {
        text: "SELECT * FROM approvals WHERE id < $1 AND tenant_id = $2 AND mode = $3 AND (status = $4 OR $4 IS NULL)
         AND (EXISTS (SELECT 1 FROM approval_queues q WHERE q.approval = approvals.id AND q.queue = $5) OR $5 IS NULL) ORDER BY id DESC LIMIT $6"
            .into(),
        values: values![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.status.clone(), f.queue.clone(), page.limit],
        read,
    }
}

/// A queue, who answered, and the entry of the answer.
pub(crate) type Queue = (String, Option<String>, Option<EntryId>);

/// The queues of a request.
pub(crate) fn queues(id: ApprovalId) -> Query<Queue> {
    Query {
        text: "SELECT queue, by, entry FROM approval_queues WHERE approval = $1 ORDER BY queue".into(),
        values: values![id.as_bytes()],
        read: |r: Row<'_>| Ok((r.at(0)?, r.at(1)?, r.at::<Option<[u8; 16]>>(2)?.map(EntryId::from_bytes))),
    }
}

/// A request with its queues.
pub(crate) fn with(mut record: ApprovalRecord, queues: Vec<Queue>) -> ApprovalRecord {
    for (queue, by, entry) in queues {
        record.entries.extend(entry);
        record.queues.push((queue, by));
    }
    record
}

/// Open requests that have lapsed.
pub(crate) fn lapsed(now: Timestamp, limit: u32) -> Query<(Scope, ApprovalId)> {
    Query {
        text:
            "SELECT id, reseller_id, tenant_id, mode FROM approvals WHERE status = 'open' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
                .into(),
        values: values![now, limit],
        read: |r: Row<'_>| Ok((r.scope()?, ApprovalId::from_bytes(r.get("id")?))),
    }
}
