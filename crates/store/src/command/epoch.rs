//! Epochs: while one holds, nothing new comes in and nothing is called; people say what became of the steps that were open.

use tollgate_core::action::ActionState;
use tollgate_core::id::RunId;
use tollgate_core::ports::{Epoch, EpochLog, EpochStep, NewEntry, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::Result;
use crate::row::Row;
use crate::tx::{Query, Statement, StepName, Tx, fetch, fetch_one, step_name, step_of};
use crate::value::values;

/// Refuses while an epoch holds all writes.
pub(crate) fn check(tx: &mut dyn Tx) -> Result<()> {
    match tx.epoch()? {
        0 => Ok(()),
        n => Err(StoreError::Held(n)),
    }
}

fn open_epoch(tx: &mut dyn Tx, number: u64) -> Result<()> {
    match tx.epoch()? {
        n if n == number && n > 0 => Ok(()),
        _ => Err(StoreError::Conflict(format!("epoch {number} does not hold writes"))),
    }
}

/// The newest epoch; number 0 when there is none.
pub(crate) fn newest() -> Query<Epoch> {
    Query {
        text: "SELECT COALESCE((SELECT v FROM meta WHERE k = 'epoch'), 0), COALESCE((SELECT v FROM meta WHERE k = 'epoch_began_at'), 0),
           COALESCE((SELECT v FROM meta WHERE k = 'epoch_held'), 0), COALESCE((SELECT v FROM meta WHERE k = 'epoch_ended_at'), 0)"
            .into(),
        values: Vec::new(),
        read: |r: Row<'_>| {
            let held = r.at::<u64>(2)? > 0;
            Ok(Epoch { number: r.at(0)?, began_at: r.at(1)?, ended_at: if held { None } else { Some(r.at(3)?) } })
        },
    }
}

/// Begins an epoch, unless one is open.
pub(crate) fn begin(tx: &mut dyn Tx, at: Timestamp) -> Result<Epoch> {
    let before = fetch_one(tx, &newest())?;
    if let Some(open) = before.as_ref().filter(|e| e.number > 0 && e.ended_at.is_none()) {
        return Ok(open.clone());
    }
    let number = before.map_or(0, |e| e.number) + 1;
    set(tx, "epoch", int(number))?;
    set(tx, "epoch_began_at", at.as_micros())?;
    set(tx, "epoch_held", int(number))?;
    set(tx, "restored_at", 0)?;
    // What was decided before this moment must not begin after it.
    tx.raise_rev()?;
    Ok(Epoch { number, began_at: at, ended_at: None })
}

fn set(tx: &mut dyn Tx, key: &str, to: i64) -> Result<()> {
    tx.execute(Statement {
        text: "INSERT INTO meta (k, v) VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
        values: values![key, to],
    })
}

/// Records a log, and each step of its tenant and mode that is open.
pub(crate) fn record(tx: &mut dyn Tx, number: u64, log: &EpochLog, entry: &NewEntry) -> Result<bool> {
    open_epoch(tx, number)?;
    let s = log.scope;
    let known = Query {
        text: "SELECT 1 AS one FROM epoch_logs WHERE epoch = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![int(number), s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |_: Row<'_>| Ok(()),
    };
    if fetch_one(tx, &known)?.is_some() {
        return Ok(false);
    }
    let (number, tenant, mode) = (int(number), s.tenant_id.as_bytes(), s.mode.as_int());
    tx.execute(Statement {
        text: "INSERT INTO epoch_logs (epoch, reseller_id, tenant_id, mode, size, kept) VALUES ($1, $2, $3, $4, $5, $6)",
        values: values![number, s.reseller_id.as_bytes(), tenant, mode, int(log.size), log.kept.clone()],
    })?;
    tx.execute(Statement {
        text: "INSERT INTO epoch_steps (epoch, step, run_id, kind, reseller_id, tenant_id, mode)
         SELECT $1, a.id, a.run_id, 1, a.reseller_id, a.tenant_id, a.mode FROM actions a, runs r
         WHERE a.tenant_id = $2 AND a.mode = $3 AND a.effect = $4 AND a.state <> $5 AND r.id = a.run_id AND r.state <> $6",
        values: values![number, tenant, mode, true, ActionState::Done.as_int(), RunState::Draft.as_int()],
    })?;
    tx.execute(Statement {
        text: "INSERT INTO epoch_steps (epoch, step, run_id, kind, reseller_id, tenant_id, mode)
         SELECT $1, r.id, r.id, 0, r.reseller_id, r.tenant_id, r.mode FROM runs r
         WHERE r.tenant_id = $2 AND r.mode = $3 AND (r.state = $4 OR (r.graph IS NOT NULL AND r.state IN ($5, $6)))",
        values: values![number, tenant, mode, RunState::Queued.as_int(), RunState::Running.as_int(), RunState::NeedsResolution.as_int()],
    })?;
    tx.append(s, entry)?;
    Ok(true)
}

/// What was known of the logs.
pub(crate) fn logs(number: u64) -> Query<EpochLog> {
    Query {
        text: "SELECT reseller_id, tenant_id, mode, size, kept FROM epoch_logs WHERE epoch = $1 ORDER BY tenant_id, mode".into(),
        values: values![int(number)],
        read: |r: Row<'_>| Ok(EpochLog { scope: r.scope()?, size: r.get("size")?, kept: r.get("kept")? }),
    }
}

/// Every step of an epoch.
pub(crate) fn steps(number: u64) -> Query<EpochStep> {
    Query {
        text: "SELECT step, run_id, kind, resolved, reseller_id, tenant_id, mode FROM epoch_steps WHERE epoch = $1 ORDER BY tenant_id, mode, step"
            .into(),
        values: values![int(number)],
        read: |r: Row<'_>| {
            Ok(EpochStep {
                scope: r.scope()?,
                run: RunId::from_bytes(r.get("run_id")?),
                step: step_of(r.get("kind")?, StepName { step: r.get("step")?, node: 0 })?,
                resolved: r.get("resolved")?,
            })
        },
    }
}

/// A person's word on one step, once.
pub(crate) fn resolve(tx: &mut dyn Tx, number: u64, of: EpochStep, applied: bool, entry: Option<&NewEntry>) -> Result<()> {
    open_epoch(tx, number)?;
    let s = of.scope;
    let name = step_name(of.run, of.step).step;
    let found = Query {
        text: "SELECT step, run_id, kind, resolved, reseller_id, tenant_id, mode FROM epoch_steps
         WHERE epoch = $1 AND step = $2 AND tenant_id = $3 AND mode = $4"
            .into(),
        values: values![int(number), name, s.tenant_id.as_bytes(), s.mode.as_int()],
        read: steps(number).read,
    };
    match fetch(tx, &found)?.first() {
        None => return Err(StoreError::NotFound),
        Some(EpochStep { resolved: Some(said), .. }) if *said == applied => return Ok(()),
        Some(EpochStep { resolved: Some(_), .. }) => return Err(StoreError::Conflict("it is resolved the other way already".to_owned())),
        Some(EpochStep { resolved: None, .. }) => {}
    }
    tx.execute(Statement {
        text: "UPDATE epoch_steps SET resolved = $1 WHERE epoch = $2 AND step = $3",
        values: values![applied, int(number), name],
    })?;
    entry.map_or(Ok(()), |e| tx.append(s, e))
}

/// Lifts the hold. Whether nothing is left was asked before, and nothing is added while it holds.
pub(crate) fn end(tx: &mut dyn Tx, number: u64, at: Timestamp) -> Result<()> {
    open_epoch(tx, number)?;
    set(tx, "epoch_ended_at", at.as_micros())?;
    set(tx, "epoch_held", 0)?;
    tx.wake();
    Ok(())
}
