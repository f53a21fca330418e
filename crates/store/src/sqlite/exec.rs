//! Sessions, claims, timers on SQLite: judged by the store's clock.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{BoxFuture, Claimed, ClaimedOf, DurableExec, Lease, ReasonRecord, RunStands, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;

use crate::backend::{Backend, Reach};
use crate::command::dispatch::session_stands;
use crate::error::{OrStore, Result};
use crate::query;
use crate::row::Row;
use crate::sqlite::single::{claim_of, stands};
use crate::sqlite::store::SqliteStore;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{Dispatch, StepName, StepRow, Tx, step_of, step_terms};

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

impl DurableExec for SqliteStore {
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> Out<'_, ()> {
        self.engine.command(move |tx| open_session(tx, session, ttl, &labels))
    }
    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.engine.command(move |tx| keep_session(tx, session, ttl))
    }
    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        self.engine.exec_command(move |tx| hand_back(tx, Some(session)))
    }
    fn claim(&self, session: SessionId, limit: u32) -> Out<'_, Vec<Claimed>> {
        self.engine.exec_command(move |tx| claim(tx, session, limit))
    }
    fn claim_of(&self, session: SessionId, _: Scope, run: RunId, limit: u32) -> Out<'_, ClaimedOf> {
        self.engine.exec_command(move |tx| claim_of(tx, session, run, limit))
    }
    fn scope_of(&self, run: RunId) -> Out<'_, Option<Scope>> {
        self.engine.one(query::lists::scope_of(run), Reach::Everywhere)
    }
    fn stands(&self, scope: Scope, run: RunId) -> Out<'_, Option<RunStands>> {
        self.engine.one(stands(scope, run), scope)
    }
    fn pending(&self) -> Out<'_, bool> {
        self.engine.look(|c| {
            c.prepare_cached("SELECT EXISTS (SELECT 1 FROM ready) OR EXISTS (SELECT 1 FROM openings)")
                .or_store()?
                .query_row([], |r| r.get(0))
                .or_store()
        })
    }
    fn fire_timers(&self, limit: u32) -> Out<'_, (u32, Option<Timestamp>)> {
        self.engine.exec_command(move |tx| fire_timers(tx, limit))
    }
    fn reap(&self) -> Out<'_, u32> {
        self.engine.exec_command(|tx| hand_back(tx, None))
    }
    fn reason_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<ReasonRecord>> {
        self.engine.one(query::events::reason_step(scope, run), scope)
    }
}

/// Opens a session.
fn open_session(tx: &SqliteTx<'_>, session: SessionId, ttl: Duration, labels: &Labels) -> Result<()> {
    tx.exec(
        "INSERT INTO sessions (id, expires_at, labels) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, labels = excluded.labels",
        params![session.as_bytes(), tx.now().plus(ttl).as_micros(), labels.stored()],
    )
    .map(|_| ())
}

/// Renews a session: it finds it standing, or says that it is lost.
fn keep_session(tx: &SqliteTx<'_>, session: SessionId, ttl: Duration) -> Result<()> {
    let n = tx.exec(
        "UPDATE sessions SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?3",
        params![session.as_bytes(), tx.now().plus(ttl).as_micros(), tx.now().as_micros()],
    )?;
    if n == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}

/// The sets of labels that a session covers; none for all.
pub(super) fn sets(tx: &SqliteTx<'_>, session: SessionId) -> Result<Option<Vec<i64>>> {
    let mut sql = tx.sql("SELECT labels FROM sessions WHERE id = ?1")?;
    let have: Option<String> = sql.query_row([session.as_bytes()], |r| r.get(0)).or_store()?;
    let Some(have) = have else { return Ok(None) };
    let labels = |text: &str| text.split(',').filter(|l| !l.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
    let have = Labels(Some(labels(&have)));
    let mut out = vec![0];
    let mut sql = tx.sql("SELECT id, labels FROM label_sets ORDER BY id")?;
    let mut rows = sql.query([]).or_store()?;
    while let Some(r) = rows.next().or_store()? {
        let (id, set): (i64, String) = (r.get(0).or_store()?, r.get(1).or_store()?);
        if have.cover(&labels(&set)) {
            out.push(id);
        }
    }
    Ok(Some(out))
}

/// Claims the ready steps that come first.
fn claim(tx: &mut SqliteTx<'_>, session: SessionId, limit: u32) -> Result<Vec<Claimed>> {
    if !session_stands(tx, session)? {
        return Err(StoreError::LeaseLost);
    }
    if tx.epoch()? > 0 {
        return Ok(Vec::new());
    }
    let sets = sets(tx, session)?;
    tx.admit(sets.as_deref())?;
    let rows = match sets {
        None => steps(tx, "SELECT * FROM ready ORDER BY n LIMIT ?1", params![limit])?,
        Some(sets) => {
            let sets: Vec<String> = sets.iter().map(i64::to_string).collect();
            let text = "SELECT * FROM ready WHERE label IN (SELECT value FROM json_each(?2)) ORDER BY n LIMIT ?1";
            steps(tx, text, params![limit, format!("[{}]", sets.join(","))])?
        }
    };
    rows.iter().map(|(n, row)| take(tx, session, *n, row)).collect()
}

/// Gives a ready row to a session.
pub(super) fn take(tx: &SqliteTx<'_>, session: SessionId, n: i64, row: &StepRow) -> Result<Claimed> {
    let text = "INSERT INTO held (step, node, run_id, kind, fence, session, reseller_id, tenant_id, mode, label, due, limits)
         SELECT step, node, run_id, kind, fence + 1, ?2, reseller_id, tenant_id, mode, label, due, limits FROM ready WHERE n = ?1";
    tx.exec(text, params![n, session.as_bytes()])?;
    tx.exec("DELETE FROM ready WHERE n = ?1", [n])?;
    Ok(Claimed { scope: row.scope, run: row.run, step: row.step, lease: Lease { session, fence: row.fence + 1 } })
}

/// Rows of the queue, each with the number that the statement gives it.
pub(super) fn steps(tx: &SqliteTx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<(i64, StepRow)>> {
    let mut sql = tx.sql(sql)?;
    let mut rows = sql.query(params).or_store()?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().or_store()? {
        let r = Row::Sqlite(row);
        let step = step_of(r.get("kind")?, StepName { step: r.get("step")?, node: r.get("node")? })?;
        let row =
            StepRow { scope: r.scope()?, run: RunId::from_bytes(r.get("run_id")?), step, fence: r.get("fence")?, terms: step_terms(r)? };
        out.push((r.get("n")?, row));
    }
    Ok(out)
}

/// Makes due steps ready; answers how many, and when the next is due.
fn fire_timers(tx: &mut SqliteTx<'_>, limit: u32) -> Result<(u32, Option<Timestamp>)> {
    let now = tx.now().as_micros();
    let due = steps(tx, "SELECT at AS n, * FROM timers WHERE at <= ?1 ORDER BY at, step LIMIT ?2", params![now, limit])?;
    for (at, row) in &due {
        let name = row.name();
        tx.exec("DELETE FROM timers WHERE at <= ?1 AND step = ?2 AND node = ?3", params![now, name.step, name.node])?;
        tx.queue(row, at - row.terms.lead())?;
    }
    if !due.is_empty() {
        tx.wake();
    }
    let next: Option<i64> = tx.sql("SELECT at FROM timers ORDER BY at LIMIT 1")?.query_row([], |r| r.get(0)).optional().or_store()?;
    Ok((u32::try_from(due.len()).unwrap_or(u32::MAX), next.map(Timestamp::from_micros)))
}

/// Hands back what lapsed sessions held, and what this one holds when it closes.
fn hand_back(tx: &mut SqliteTx<'_>, closing: Option<SessionId>) -> Result<u32> {
    let now = tx.now().as_micros();
    let rows = match closing {
        Some(s) => steps(tx, "SELECT due AS n, * FROM held WHERE session = ?1 ORDER BY step", [s.as_bytes()])?,
        None => steps(
            tx,
            "SELECT due AS n, * FROM held WHERE session NOT IN (SELECT id FROM sessions WHERE expires_at > ?1) ORDER BY step",
            [now],
        )?,
    };
    for (due, row) in &rows {
        tx.release(row.run, row.step)?;
        // Who hands a step back in peace did not die of it.
        tx.queue(&StepRow { fence: row.fence - u64::from(closing.is_some()), ..*row }, *due)?;
    }
    if !rows.is_empty() {
        tx.wake();
    }
    match closing {
        Some(s) => tx.exec("DELETE FROM sessions WHERE id = ?1", [s.as_bytes()])?,
        None => tx.exec("DELETE FROM sessions WHERE expires_at <= ?1", [now])?,
    };
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
