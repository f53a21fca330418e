//! Lanes: the lowest ticket holds. Enforced by the primary key, passed on in the transaction that ends the holder.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::ports::Step;
use tollgate_core::scope::Scope;

use crate::command::dispatch::make_ready;
use crate::error::{OrStore, Result};
use crate::tx::Tx;

/// A place in a lane.
struct Ticket {
    step: [u8; 16],
    run: RunId,
}

fn head(tx: &Tx<'_>, lane: &Digest) -> Result<Option<Ticket>> {
    tx.sql("SELECT step, run_id FROM lanes WHERE lane = ?1 ORDER BY ticket LIMIT 1")?
        .query_row([lane.0], |r| Ok(Ticket { step: r.get(0)?, run: RunId::from_bytes(r.get(1)?) }))
        .optional()
        .or_store()
}

/// Takes a ticket unless the step has one already; answers whether it holds the lane.
pub(crate) fn take(tx: &Tx<'_>, lane: &Digest, step: [u8; 16], run: RunId) -> Result<bool> {
    match head(tx, lane)? {
        Some(t) if t.step == step => return Ok(true),
        Some(_) => {}
        None => {
            tx.run("INSERT INTO lanes (lane, ticket, step, run_id) VALUES (?1, 1, ?2, ?3)", params![lane.0, step, run.as_bytes()])?;
            return Ok(true);
        }
    }
    let has: bool = tx
        .sql("SELECT EXISTS (SELECT 1 FROM lanes WHERE lane = ?1 AND step = ?2)")?
        .query_row(params![lane.0, step], |r| r.get(0))
        .or_store()?;
    if !has {
        tx.run(
            "INSERT INTO lanes (lane, ticket, step, run_id) SELECT ?1, MAX(ticket) + 1, ?2, ?3 FROM lanes WHERE lane = ?1",
            params![lane.0, step, run.as_bytes()],
        )?;
    }
    Ok(false)
}

/// Gives a ticket back. If it held the lane, the next in it is made ready.
pub(crate) fn leave(tx: &mut Tx<'_>, scope: Scope, lane: &Digest, step: [u8; 16]) -> Result<()> {
    let held = head(tx, lane)?.is_some_and(|t| t.step == step);
    tx.run("DELETE FROM lanes WHERE lane = ?1 AND step = ?2", params![lane.0, step])?;
    if held {
        pass_on(tx, scope, lane)?;
    }
    Ok(())
}

/// Wakes whoever holds the lane now, if it waits for that.
fn pass_on(tx: &mut Tx<'_>, scope: Scope, lane: &Digest) -> Result<()> {
    let Some(next) = head(tx, lane)? else { return Ok(()) };
    if next.step == *next.run.as_bytes() {
        // A reasoning step: it had no dispatch row while it waited.
        make_ready(tx, scope, next.run, Step::Reason, 0, None)?;
        return Ok(());
    }
    wake_action(tx, scope, next.run, ActionId::from_bytes(next.step), ActionState::WaitingLane)
}

/// Makes an action ready that waits in this state; leaves it alone in any other.
pub(crate) fn wake_action(tx: &mut Tx<'_>, scope: Scope, run: RunId, action: ActionId, waits: ActionState) -> Result<()> {
    let Some(to) = waits.on(Trigger::Woken) else { return Ok(()) };
    let changed = tx.run(
        "UPDATE actions SET state = ?3, updated_at = ?4 WHERE id = ?1 AND state = ?2",
        params![action.as_bytes(), waits.as_int(), to.as_int(), tx.now().as_micros()],
    )?;
    if changed == 1 {
        let fence = last_fence(tx, action)?;
        make_ready(tx, scope, run, Step::Action(action), fence, None)?;
    }
    Ok(())
}

/// The last fence given out for an action: kept on its row while it waits, so that fences never repeat.
pub(crate) fn last_fence(tx: &Tx<'_>, action: ActionId) -> Result<u64> {
    let n: i64 = tx.sql("SELECT fence FROM actions WHERE id = ?1")?.query_row([action.as_bytes()], |r| r.get(0)).or_store()?;
    Ok(u64::try_from(n).unwrap_or(0))
}
