//! Approvals: asked, answered by one compare-and-set, judged by the store's clock.

use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ports::{Answered, ApprovalEnd, Approve, AskApproval, Dispose, NewEntry, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::command::begin::{leave_lane, park};
use crate::command::runs::{load_action, load_run};
use crate::command::{dispatch, epoch, keys, lanes};
use crate::error::Result;
use crate::row::Row;
use crate::tx::{ActionChange, ActionHead, Query, Statement, Tx, fetch, fetch_one};
use crate::value::values;

/// Asks people, and parks the action: nothing holds a lane, a key or a lease while they think.
pub(crate) fn ask(tx: &mut dyn Tx, c: &AskApproval) -> Result<()> {
    epoch::check(tx)?;
    dispatch::check(tx, c.run, Step::Action(c.action), c.lease)?;
    let a = load_action(tx, c.scope, c.action)?;
    if a.state.on(Trigger::ApprovalAsked).is_none() || a.open.is_some() {
        return Err(StoreError::Conflict(format!("an action that is {} cannot ask for approval", a.state)));
    }
    if !a.compensates && load_run(tx, c.scope, c.run)?.cancelling {
        // Cancelled since the caller looked: it looks again, and ends the action.
        return Err(StoreError::Stale);
    }
    let expires = tx.now().plus(c.expires_in);
    tx.execute(Statement {
        text: "INSERT INTO approvals (id, reseller_id, tenant_id, mode, action, run_id, status, binding, shown, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $10)",
        values: values![
            c.approval.as_bytes(),
            c.scope.reseller_id.as_bytes(),
            c.scope.tenant_id.as_bytes(),
            c.scope.mode.as_int(),
            c.action.as_bytes(),
            c.run.as_bytes(),
            c.binding,
            &c.shown,
            c.at,
            expires,
        ],
    })?;
    for queue in &c.queues {
        tx.execute(Statement {
            text: "INSERT INTO approval_queues (approval, queue, reseller_id, tenant_id, mode) VALUES ($1, $2, $3, $4, $5)",
            values: values![
                c.approval.as_bytes(),
                queue,
                c.scope.reseller_id.as_bytes(),
                c.scope.tenant_id.as_bytes(),
                c.scope.mode.as_int(),
            ],
        })?;
    }
    for entry in &c.entries {
        tx.append(c.scope, entry)?;
    }
    park(tx, &a, Trigger::ApprovalAsked, c.lease)?;
    tx.change_action(c.action, &ActionChange::Approval(c.approval))?;
    tx.release(c.run, Step::Action(c.action))?;
    keys::let_go(tx, &a)?;
    leave_lane(tx, &a)?;
    tx.wake();
    Ok(())
}

struct Request {
    action: ActionId,
    run: RunId,
    status: String,
    binding: Digest,
    expires_at: Timestamp,
}

fn load(tx: &mut dyn Tx, scope: Scope, id: ApprovalId) -> Result<Request> {
    let query = Query {
        text: "SELECT action, run_id, status, binding, expires_at FROM approvals WHERE id = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: |r: Row<'_>| {
            Ok(Request {
                action: ActionId::from_bytes(r.at(0)?),
                run: RunId::from_bytes(r.at(1)?),
                status: r.at(2)?,
                binding: r.at(3)?,
                expires_at: r.at(4)?,
            })
        },
    };
    fetch_one(tx, &query)?.ok_or(StoreError::NotFound)
}

/// Takes a yes. The last queue's yes makes the action ready.
pub(crate) fn approve(tx: &mut dyn Tx, c: &Approve) -> Result<Answered> {
    epoch::check(tx)?;
    let request = load(tx, c.scope, c.approval)?;
    if request.status != "open" {
        return Ok(Answered::AlreadyEnded(request.status));
    }
    if request.expires_at <= tx.now() {
        return Ok(Answered::Expired);
    }
    if request.binding != c.binding {
        return Ok(Answered::WrongBinding);
    }
    let mut open = open_queues(tx, c.approval)?;
    let Some(at) = open.iter().position(|q| *q == c.queue) else {
        return Err(StoreError::Conflict(format!("`{}` is not an open queue of this request; open: {}", c.queue, open.join(", "))));
    };
    open.remove(at);
    tx.execute(Statement {
        text: "UPDATE approval_queues SET by = $1, entry = $2, at = $3 WHERE approval = $4 AND queue = $5 AND by IS NULL",
        values: values![&c.by, c.entry.id.as_bytes(), c.at, c.approval.as_bytes(), &c.queue],
    })?;
    tx.append(c.scope, &c.entry)?;
    if !open.is_empty() {
        return Ok(Answered::StillOpen(open));
    }
    set_status(tx, c.approval, "approved", c.at)?;
    lanes::wake_action(tx, c.scope, request.run, request.action, ActionState::WaitingApproval)?;
    Ok(Answered::Approved)
}

fn open_queues(tx: &mut dyn Tx, approval: ApprovalId) -> Result<Vec<String>> {
    let query = Query {
        text: "SELECT queue FROM approval_queues WHERE approval = $1 AND by IS NULL ORDER BY queue".into(),
        values: values![approval.as_bytes()],
        read: |r: Row<'_>| r.at(0),
    };
    fetch(tx, &query)
}

fn set_status(tx: &mut dyn Tx, id: ApprovalId, status: &str, at: Timestamp) -> Result<()> {
    tx.execute(Statement {
        text: "UPDATE approvals SET status = $1, answered_at = $2 WHERE id = $3 AND status = 'open'",
        values: values![status, at, id.as_bytes()],
    })
}

/// The approval is this action's, was given by every queue, and is bound to what is about to happen.
pub(crate) fn approved(tx: &mut dyn Tx, approval: ApprovalId, action: ActionId, binding: &Digest) -> Result<bool> {
    let query = Query {
        text: "SELECT 1 AS one FROM approvals WHERE id = $1 AND action = $2 AND status = 'approved' AND binding = $3".into(),
        values: values![approval.as_bytes(), action.as_bytes(), *binding],
        read: |_: Row<'_>| Ok(()),
    };
    Ok(fetch_one(tx, &query)?.is_some())
}

/// Whether a denial or an expiry still finds the request open, by the store's clock.
pub(crate) fn check_end(tx: &mut dyn Tx, scope: Scope, id: ApprovalId, expiry: bool) -> Result<()> {
    let request = load(tx, scope, id)?;
    let lapsed = request.expires_at <= tx.now();
    match (request.status.as_str(), expiry, lapsed) {
        ("open", false, false) | ("open", true, true) => Ok(()),
        ("open", false, true) => Err(StoreError::Conflict("the approval request has expired".to_owned())),
        ("open", true, false) => Err(StoreError::Conflict("the approval request has not expired yet".to_owned())),
        (other, ..) => Err(StoreError::Conflict(format!("the approval request is {other} already"))),
    }
}

/// Ends a request; a denial stands for its key and fingerprint until someone lifts it.
pub(crate) fn end(tx: &mut dyn Tx, c: &Dispose, a: &ActionHead, id: ApprovalId, end: ApprovalEnd) -> Result<()> {
    let status = match end {
        ApprovalEnd::Denied(_) => "denied",
        ApprovalEnd::Expired => "expired",
    };
    set_status(tx, id, status, c.at)?;
    if let (ApprovalEnd::Denied(entry), Some(claim)) = (end, &a.key) {
        tx.deny(c.scope, claim, entry)?;
    }
    Ok(())
}

/// Takes back the question of an action that is disposed while it waits: an answer would move nothing, and a sweep would meet it for ever.
pub(crate) fn withdraw(tx: &mut dyn Tx, c: &Dispose, a: &ActionHead) -> Result<()> {
    match (a.state, a.approval) {
        (ActionState::WaitingApproval, Some(id)) => set_status(tx, id, "withdrawn", c.at),
        _ => Ok(()),
    }
}

/// Lifts a denial: whoever proposes the same again is asked again.
pub(crate) fn lift(tx: &mut dyn Tx, scope: Scope, action: ActionId, entry: &NewEntry) -> Result<bool> {
    let a = load_action(tx, scope, action)?;
    let Some(claim) = &a.key else { return Ok(false) };
    if tx.denial(claim)?.is_none() {
        return Ok(false);
    }
    tx.lift_denial(claim)?;
    tx.append(scope, entry)?;
    Ok(true)
}
