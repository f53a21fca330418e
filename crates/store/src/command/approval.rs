//! Approvals: asked, answered by one compare-and-set, judged by the store's clock.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ports::{Answered, ApprovalEnd, Approve, AskApproval, Dispose, NewEntry, Step, StoreError};
use tollgate_core::scope::Scope;

use crate::command::begin::{is_strict, park};
use crate::command::runs::load_run;
use crate::command::{dispatch, keys, lanes};
use crate::error::{OrStore, Result};
use crate::query::heads::{ActionHead, load_head};
use crate::tx::Tx;

/// Asks people, and parks the action: nothing holds a lane, a key or a lease while they think.
pub(crate) fn ask(tx: &mut Tx<'_>, c: &AskApproval) -> Result<()> {
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    let a = load_head(tx.connection(), c.scope, c.action)?.ok_or(StoreError::NotFound)?;
    if a.state.on(Trigger::ApprovalAsked).is_none() || a.open.is_some() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot ask for approval", a.state)));
    }
    if !a.compensates && load_run(tx, c.scope, c.run)?.cancelling {
        // Cancelled since the caller looked: it looks again, and ends the action.
        return Err(StoreError::Stale);
    }
    let expires = tx.now().plus(c.expires_in);
    tx.run(
        "INSERT INTO approvals (id, reseller_id, tenant_id, mode, action, run_id, status, binding, shown, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open', ?7, ?8, ?9, ?10)",
        params![
            c.approval.as_bytes(),
            c.scope.reseller_id.as_bytes(),
            c.scope.tenant_id.as_bytes(),
            c.scope.mode.as_int(),
            c.action.as_bytes(),
            c.run.as_bytes(),
            c.binding.0,
            c.shown,
            c.at.as_micros(),
            expires.as_micros()
        ],
    )?;
    for queue in &c.queues {
        tx.run("INSERT INTO approval_queues (approval, queue) VALUES (?1, ?2)", params![c.approval.as_bytes(), queue])?;
    }
    for entry in &c.entries {
        tx.append(c.scope, entry)?;
    }
    park(tx, c.action, a.state, Trigger::ApprovalAsked, c.lease)?;
    tx.run("UPDATE actions SET approval = ?2 WHERE id = ?1", params![c.action.as_bytes(), c.approval.as_bytes()])?;
    dispatch::release(tx, c.run, Step::Action(c.action))?;
    keys::let_go(tx, &a)?;
    if let (Some(lane), false) = (&a.lane, is_strict(tx, c.action)?) {
        lanes::leave(tx, c.scope, lane, *c.action.as_bytes())?;
    }
    tx.wake();
    Ok(())
}

struct Request {
    action: ActionId,
    run: RunId,
    status: String,
    binding: Vec<u8>,
    expires_at: i64,
}

fn load(tx: &Tx<'_>, c: &Approve) -> Result<Request> {
    tx.sql("SELECT action, run_id, status, binding, expires_at FROM approvals WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")?
        .query_row(params![c.approval.as_bytes(), c.scope.tenant_id.as_bytes(), c.scope.mode.as_int()], |r| {
            Ok(Request {
                action: ActionId::from_bytes(r.get(0)?),
                run: RunId::from_bytes(r.get(1)?),
                status: r.get(2)?,
                binding: r.get(3)?,
                expires_at: r.get(4)?,
            })
        })
        .optional()
        .or_store()?
        .ok_or(StoreError::NotFound)
}

/// Takes a yes. The last queue's yes makes the action ready.
pub(crate) fn approve(tx: &mut Tx<'_>, c: &Approve) -> Result<Answered> {
    let request = load(tx, c)?;
    if request.status != "open" {
        return Ok(Answered::AlreadyEnded(request.status));
    }
    if request.expires_at <= tx.now().as_micros() {
        return Ok(Answered::Expired);
    }
    if request.binding != c.binding.0 {
        return Ok(Answered::WrongBinding);
    }
    let n = tx.run(
        "UPDATE approval_queues SET by = ?3, entry = ?4, at = ?5 WHERE approval = ?1 AND queue = ?2 AND by IS NULL",
        params![c.approval.as_bytes(), c.queue, c.by, c.entry.id.as_bytes(), c.at.as_micros()],
    )?;
    let open = open_queues(tx, c.approval)?;
    if n == 0 {
        return Err(StoreError::Conflict(format!("`{}` is not an open queue of this request; open: {}", c.queue, open.join(", "))));
    }
    tx.append(c.scope, &c.entry)?;
    if !open.is_empty() {
        return Ok(Answered::StillOpen(open));
    }
    tx.run("UPDATE approvals SET status = 'approved', answered_at = ?2 WHERE id = ?1", params![c.approval.as_bytes(), c.at.as_micros()])?;
    lanes::wake_action(tx, c.scope, request.run, request.action, ActionState::WaitingApproval)?;
    Ok(Answered::Approved)
}

fn open_queues(tx: &Tx<'_>, approval: ApprovalId) -> Result<Vec<String>> {
    tx.sql("SELECT queue FROM approval_queues WHERE approval = ?1 AND by IS NULL ORDER BY queue")?
        .query_map([approval.as_bytes()], |r| r.get(0))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()
}

/// Whether a denial or an expiry still finds the request open, by the store's clock.
pub(crate) fn check_end(tx: &Tx<'_>, id: ApprovalId, expiry: bool) -> Result<()> {
    let (status, expires): (String, i64) = tx
        .sql("SELECT status, expires_at FROM approvals WHERE id = ?1")?
        .query_row([id.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .or_store()?
        .ok_or(StoreError::NotFound)?;
    let lapsed = expires <= tx.now().as_micros();
    match (status.as_str(), expiry, lapsed) {
        ("open", false, false) | ("open", true, true) => Ok(()),
        ("open", false, true) => Err(StoreError::Conflict("the approval request has expired".to_owned())),
        ("open", true, false) => Err(StoreError::Conflict("the approval request has not expired yet".to_owned())),
        (other, ..) => Err(StoreError::Conflict(format!("the approval request is {other} already"))),
    }
}

/// Ends a request; a denial stands for its key and fingerprint until someone lifts it.
pub(crate) fn end(tx: &mut Tx<'_>, c: &Dispose, a: &ActionHead, id: ApprovalId, end: ApprovalEnd) -> Result<()> {
    let status = match end {
        ApprovalEnd::Denied(_) => "denied",
        ApprovalEnd::Expired => "expired",
    };
    tx.run("UPDATE approvals SET status = ?2, answered_at = ?3 WHERE id = ?1", params![id.as_bytes(), status, c.at.as_micros()])?;
    if let (ApprovalEnd::Denied(entry), Some(claim)) = (end, &a.key) {
        tx.run(
            "INSERT INTO denials (key, fingerprint, entry, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key, fingerprint) DO UPDATE SET entry = excluded.entry",
            params![
                claim.key.0,
                claim.fingerprint.0,
                entry.as_bytes(),
                c.scope.reseller_id.as_bytes(),
                c.scope.tenant_id.as_bytes(),
                c.scope.mode.as_int()
            ],
        )?;
    }
    Ok(())
}

/// Takes back the question of an action that is disposed while it waits: an answer would move nothing, and a sweep would meet it for ever.
pub(crate) fn withdraw(tx: &Tx<'_>, c: &Dispose, a: &ActionHead) -> Result<()> {
    if let (ActionState::WaitingApproval, Some(id)) = (a.state, a.approval) {
        tx.run(
            "UPDATE approvals SET status = 'withdrawn', answered_at = ?2 WHERE id = ?1 AND status = 'open'",
            params![id.as_bytes(), c.at.as_micros()],
        )?;
    }
    Ok(())
}

/// Lifts a denial: whoever proposes the same again is asked again.
pub(crate) fn lift(tx: &mut Tx<'_>, scope: Scope, action: ActionId, entry: &NewEntry) -> Result<bool> {
    let a = load_head(tx.connection(), scope, action)?.ok_or(StoreError::NotFound)?;
    let Some(claim) = &a.key else { return Ok(false) };
    let n = tx.run("DELETE FROM denials WHERE key = ?1 AND fingerprint = ?2", params![claim.key.0, claim.fingerprint.0])?;
    if n == 1 {
        tx.append(scope, entry)?;
    }
    Ok(n == 1)
}
