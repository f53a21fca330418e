//! Sessions, claims, timers: judged by the store's clock.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, Step, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, scope};
use crate::command::dispatch::{hold, make_ready, session_stands, step_of};
use crate::error::{OrStore, Result};
use crate::tx::Tx;

/// Opens or renews a session. A renewal finds it standing, or says that it is lost.
pub(crate) fn keep_session(tx: &Tx<'_>, session: SessionId, ttl: Duration, open: bool) -> Result<()> {
    let expires = tx.now().plus(ttl).as_micros();
    if open {
        tx.run(
            "INSERT INTO sessions (id, expires_at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at",
            params![session.as_bytes(), expires],
        )?;
        return Ok(());
    }
    let n = tx.run(
        "UPDATE sessions SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?3",
        params![session.as_bytes(), expires, tx.now().as_micros()],
    )?;
    if n == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}

/// Claims the oldest ready steps.
pub(crate) fn claim(tx: &mut Tx<'_>, session: SessionId, limit: u32) -> Result<Vec<Claimed>> {
    if !session_stands(tx, session)? {
        return Err(StoreError::LeaseLost);
    }
    let rows = steps(tx, "SELECT * FROM ready ORDER BY n LIMIT ?1", params![limit])?;
    rows.into_iter()
        .map(|row| {
            tx.run("DELETE FROM ready WHERE n = ?1", [row.n])?;
            hold(tx, row.scope, row.run, row.step, row.fence + 1, session)
        })
        .collect()
}

struct StepRow {
    n: i64,
    scope: Scope,
    run: RunId,
    step: Step,
    fence: u64,
}

fn steps(tx: &Tx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<StepRow>> {
    let mut sql = tx.sql(sql)?;
    let mut rows = sql.query(params).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push(StepRow {
            n: r.get("n").unwrap_or(0),
            scope: scope(r)?,
            run: RunId::from_bytes(col(r, "run_id")?),
            step: step_of(r.get("kind").unwrap_or(1), col(r, "step")?),
            fence: u64::try_from(col::<i64>(r, "fence")?).unwrap_or(0),
        });
    }
    Ok(out)
}

/// Makes due steps ready; answers how many, and when the next is due.
pub(crate) fn fire_timers(tx: &mut Tx<'_>, limit: u32) -> Result<(u32, Option<Timestamp>)> {
    let now = tx.now().as_micros();
    let due = steps(tx, "SELECT * FROM timers WHERE at <= ?1 ORDER BY at, step LIMIT ?2", params![now, limit])?;
    for row in &due {
        if let Step::Action(a) = row.step {
            tx.run("DELETE FROM timers WHERE at <= ?1 AND step = ?2", params![now, a.as_bytes()])?;
        }
        make_ready(tx, row.scope, row.run, row.step, row.fence, None)?;
    }
    let next: Option<i64> = tx.sql("SELECT at FROM timers ORDER BY at LIMIT 1")?.query_row([], |r| r.get(0)).optional().or_store()?;
    Ok((u32::try_from(due.len()).unwrap_or(u32::MAX), next.map(Timestamp::from_micros)))
}

/// Hands back what lapsed sessions held, and what this one holds when it closes.
pub(crate) fn hand_back(tx: &mut Tx<'_>, closing: Option<SessionId>) -> Result<u32> {
    let now = tx.now().as_micros();
    let rows = match closing {
        Some(s) => steps(tx, "SELECT 0 AS n, * FROM held WHERE session = ?1 ORDER BY step", [s.as_bytes()])?,
        None => steps(
            tx,
            "SELECT 0 AS n, * FROM held WHERE session NOT IN (SELECT id FROM sessions WHERE expires_at > ?1) ORDER BY step",
            [now],
        )?,
    };
    for row in &rows {
        let (step, _) = crate::command::dispatch::step_row(row.run, row.step);
        tx.run("DELETE FROM held WHERE step = ?1", [step])?;
        make_ready(tx, row.scope, row.run, row.step, row.fence, None)?;
    }
    match closing {
        Some(s) => tx.run("DELETE FROM sessions WHERE id = ?1", [s.as_bytes()])?,
        None => tx.run("DELETE FROM sessions WHERE expires_at <= ?1", [now])?,
    };
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
