//! Lists, newest first. A filter that nothing serves walks the list from its newest row: such reads run outside the async threads.

use rusqlite::{Connection, Row, params};
use tollgate_core::action::ActionState;
use tollgate_core::event::Event;
use tollgate_core::id::{ActionId, ApprovalId, EventId, ReplayId, RunId};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, ApprovalFilter, ApprovalRecord, EntryFilter, EventFilter, Listed, Page, ReplayState, RunFilter, RunRecord,
    StoredEntry,
};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;

use crate::codec::{col, count, digest, id16, instant, opt16, read_principal};
use crate::command::replay;
use crate::error::{OrStore, Result, damaged};
use crate::query::{actions, approvals, events, ledger};
use crate::tx::{entry_row, find_log};

/// The row before which a page lies, for lists ordered by a number.
fn before_number(page: Page) -> i64 {
    page.before.and_then(|b| i64::try_from(b).ok()).unwrap_or(i64::MAX)
}

/// The id before which a page lies, for lists ordered by UUIDv7.
fn before_id(page: Page) -> [u8; 16] {
    page.before.unwrap_or(u128::MAX).to_be_bytes()
}

fn collect<T>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<(u128, T)>,
) -> Result<Vec<Listed<T>>> {
    let mut sql = conn.prepare_cached(sql).or_store()?;
    let mut rows = sql.query(params).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        let (row, item) = read(r)?;
        out.push(Listed { row, item });
    }
    Ok(out)
}

fn number(r: &Row<'_>, name: &str) -> Result<u128> {
    u128::try_from(col::<i64>(r, name)?).map_err(|_| damaged("a row's number"))
}

fn by_id(r: &Row<'_>) -> Result<u128> {
    Ok(u128::from_be_bytes(id16(r, "id")?))
}

pub(crate) fn events(conn: &Connection, s: Scope, f: &EventFilter, page: Page) -> Result<Vec<Listed<Event>>> {
    let sql = "SELECT * FROM events WHERE pos < ?1 AND tenant_id = ?2 AND mode = ?3 AND (?4 IS NULL OR event_type = ?4)
         AND (?5 IS NULL OR source = ?5) AND (?6 IS NULL OR subject = ?6) ORDER BY pos DESC LIMIT ?7";
    let params = params![before_number(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.event_type, f.source, f.subject, page.limit];
    collect(conn, sql, params, |r| Ok((number(r, "pos")?, events::read_event(r)?)))
}

fn read_run(r: &Row<'_>) -> Result<RunRecord> {
    Ok(RunRecord {
        id: RunId::from_bytes(id16(r, "id")?),
        event: opt16(r, "event_id")?.map(EventId::from_bytes),
        operator: col(r, "operator")?,
        offering: u64::try_from(col::<i64>(r, "offering")?).map_err(|_| damaged("an offering"))?,
        principal: read_principal(&col::<String>(r, "principal")?)?,
        bundle: digest(r, "bundle")?,
        state: RunState::from_int(col(r, "state")?).ok_or_else(|| damaged("a run's state"))?,
        cancelling: col(r, "cancelling")?,
        reason: col(r, "reason")?,
        actions: count(r, "actions")?,
        created_at: instant(r, "created_at")?,
        planned_at: col::<Option<i64>>(r, "planned_at")?.map(tollgate_core::time::Timestamp::from_micros),
        updated_at: instant(r, "updated_at")?,
    })
}

pub(crate) fn runs(conn: &Connection, s: Scope, f: &RunFilter, page: Page) -> Result<Vec<Listed<RunRecord>>> {
    let sql = "SELECT * FROM runs WHERE id < ?1 AND tenant_id = ?2 AND mode = ?3 AND (?4 IS NULL OR operator = ?4)
         AND (?5 IS NULL OR state = ?5) AND (?6 IS NULL OR event_id = ?6) ORDER BY id DESC LIMIT ?7";
    let event = f.event.map(|e| *e.as_bytes());
    let state = f.state.map(RunState::as_int);
    let params = params![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.operator, state, event, page.limit];
    collect(conn, sql, params, |r| Ok((by_id(r)?, read_run(r)?)))
}

pub(crate) fn run(conn: &Connection, s: Scope, id: RunId) -> Result<Option<RunRecord>> {
    let sql = "SELECT * FROM runs WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3";
    let found = collect(conn, sql, params![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()], |r| Ok((0, read_run(r)?)))?;
    Ok(found.into_iter().next().map(|l| l.item))
}

pub(crate) fn actions_of(conn: &Connection, s: Scope, run: RunId) -> Result<Vec<ActionRecord>> {
    let sql = format!("{} WHERE a.run_id = ?1 AND a.tenant_id = ?2 AND a.mode = ?3 ORDER BY a.seq", actions::ACTION);
    let params = params![run.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()];
    let found = collect(conn, &sql, params, |r| Ok((0, actions::read_action(r)?)))?;
    Ok(found.into_iter().map(|l| l.item).collect())
}

pub(crate) fn list_actions(conn: &Connection, s: Scope, f: &ActionFilter, page: Page) -> Result<Vec<Listed<ActionRecord>>> {
    let state = match &f.state {
        None => None,
        Some(word) => match ActionState::ALL.iter().find(|s| s.as_str() == word) {
            Some(state) => Some(state.as_int()),
            None => return Ok(Vec::new()),
        },
    };
    let sql = format!(
        "{} WHERE a.n < ?1 AND a.tenant_id = ?2 AND a.mode = ?3 AND (?4 IS NULL OR a.run_id = ?4) AND (?5 IS NULL OR a.state = ?5)
         AND (?6 IS NULL OR a.disposition = ?6) AND (?7 IS NULL OR a.tool = ?7) ORDER BY a.n DESC LIMIT ?8",
        actions::ACTION
    );
    let (run, disposition) = (f.run.map(|r| *r.as_bytes()), f.disposition.map(tollgate_core::ledger::Disposition::as_str));
    let params = params![before_number(page), s.tenant_id.as_bytes(), s.mode.as_int(), run, state, disposition, f.tool, page.limit];
    collect(conn, &sql, params, |r| Ok((number(r, "n")?, actions::read_action(r)?)))
}

pub(crate) fn list_approvals(conn: &Connection, s: Scope, f: &ApprovalFilter, page: Page) -> Result<Vec<Listed<ApprovalRecord>>> {
    let sql = "SELECT id FROM approvals WHERE id < ?1 AND tenant_id = ?2 AND mode = ?3 AND (?4 IS NULL OR status = ?4)
         AND (?5 IS NULL OR EXISTS (SELECT 1 FROM approval_queues q WHERE q.approval = approvals.id AND q.queue = ?5)) ORDER BY id DESC LIMIT ?6";
    let params = params![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.status, f.queue, page.limit];
    let ids = collect(conn, sql, params, |r| Ok((by_id(r)?, ApprovalId::from_bytes(id16(r, "id")?))))?;
    let mut out = Vec::new();
    for found in ids {
        if let Some(item) = approvals::get(conn, s, found.item)? {
            out.push(Listed { row: found.row, item });
        }
    }
    Ok(out)
}

pub(crate) fn list_entries(conn: &Connection, s: Scope, f: &EntryFilter, page: Page) -> Result<Vec<Listed<StoredEntry>>> {
    let Some((log, _)) = find_log(conn, s)? else { return Ok(Vec::new()) };
    let position = page.before.and_then(|b| u64::try_from(b).ok());
    let end = position.map_or(entry_row(log + 1, 0), |p| entry_row(log, p));
    let action: Option<[u8; 16]> = f.action.map(|a: ActionId| *a.as_bytes());
    let sql = "SELECT * FROM entries WHERE n >= ?1 AND n < ?2 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR action = ?4) ORDER BY n DESC LIMIT ?5";
    let params = params![entry_row(log, 0), end, f.kind.map(tollgate_core::ledger::Kind::as_str), action, page.limit];
    collect(conn, sql, params, |r| {
        let entry = ledger::read_entry(r)?;
        Ok((u128::from(entry.position), entry))
    })
}

pub(crate) fn list_replays(conn: &Connection, s: Scope, page: Page) -> Result<Vec<Listed<ReplayState>>> {
    let sql = "SELECT * FROM replays WHERE id < ?1 AND tenant_id = ?2 AND mode = ?3 ORDER BY id DESC LIMIT ?4";
    let params = params![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), page.limit];
    collect(conn, sql, params, |r| Ok((by_id(r)?, replay::read(r)?.1)))
}

pub(crate) fn replay(conn: &Connection, s: Scope, id: ReplayId) -> Result<Option<ReplayState>> {
    let sql = "SELECT * FROM replays WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3";
    let params = params![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()];
    Ok(collect(conn, sql, params, |r| Ok((0, replay::read(r)?.1)))?.into_iter().next().map(|l| l.item))
}
