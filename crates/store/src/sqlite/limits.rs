//! Limited steps on SQLite: parked until there is room under every limit that they count under. One writer, so that nothing is counted while
//! another counts.

use rusqlite::{OptionalExtension, params};
use tollgate_core::scope::Scope;
use tollgate_core::terms::{Limit, Terms};

use crate::error::{OrStore, Result, damaged};
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{StepName, StepRow, Tx, step_kind};

/// What any worker may look at.
const ANY: i64 = -1;
/// Openings looked at in one claim.
const OPENINGS_MAX: u32 = 256;

/// A parked step, as far as giving it a place goes.
struct Parked {
    n: i64,
    due: i64,
    scope: Scope,
    name: StepName,
    terms: Terms,
}

fn read_parked(r: Row<'_>) -> Result<Parked> {
    let limits: Vec<u8> = r.get("limits")?;
    Ok(Parked {
        n: r.get("n")?,
        due: r.get("due")?,
        scope: r.scope()?,
        name: StepName { step: r.get("step")?, node: r.get("node")? },
        terms: Terms::of_row(r.get("label")?, 0, Some(&limits)).ok_or_else(|| damaged("the limits of a step"))?,
    })
}

impl SqliteTx<'_> {
    /// Parks a limited step under the narrowest of its limits.
    pub(super) fn park(&mut self, row: &StepRow, first: Limit, due: i64) -> Result<()> {
        let (name, s) = (row.name(), row.scope);
        let (reseller, tenant, mode) = (s.reseller_id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int());
        self.exec(
            "INSERT INTO parked (limit_id, label, due, at, step, node, run_id, kind, fence, limits, reseller_id, tenant_id, mode)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                first.id,
                row.terms.label,
                due,
                self.now().as_micros(),
                name.step,
                name.node,
                row.run.as_bytes(),
                step_kind(row.step),
                crate::codec::int(row.fence),
                row.terms.limit_bytes(),
                reseller,
                tenant,
                mode
            ],
        )?;
        self.open(s, first.id, ANY)
    }

    /// Says that a limit may have room.
    fn open(&mut self, s: Scope, limit: [u8; 16], label: i64) -> Result<()> {
        let (reseller, tenant, mode) = (s.reseller_id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int());
        self.exec(
            "INSERT INTO openings (label, tenant_id, limit_id, reseller_id, mode) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![label, tenant, limit, reseller, mode],
        )?;
        self.wake();
        Ok(())
    }

    /// Leaves a step's places to others.
    pub(super) fn vacate(&mut self, s: Scope, name: StepName, limits: &[u8]) -> Result<()> {
        let terms = Terms::of_row(0, 0, Some(limits)).ok_or_else(|| damaged("the limits of a step"))?;
        for limit in terms.limits() {
            let gone =
                self.exec("DELETE FROM places WHERE limit_id = ?1 AND step = ?2 AND node = ?3", params![limit.id, name.step, name.node])?;
            if gone > 0 {
                self.open(s, limit.id, ANY)?;
            }
        }
        Ok(())
    }

    /// Gives places to what is parked under limits that may have room, and makes it ready; `None` is every label.
    pub(super) fn admit(&mut self, sets: Option<&[i64]>) -> Result<()> {
        let mut sql = self.sql("SELECT * FROM openings ORDER BY n LIMIT ?1")?;
        let mut rows = sql.query([OPENINGS_MAX]).or_store()?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().or_store()? {
            let r = Row::Sqlite(row);
            let label: i64 = r.get("label")?;
            if label == ANY || sets.is_none_or(|s| s.contains(&label)) {
                found.push((r.get::<i64>("n")?, r.get::<[u8; 16]>("limit_id")?));
            }
        }
        drop(rows);
        for (n, limit) in found {
            self.exec("DELETE FROM openings WHERE n = ?1", [n])?;
            self.fill(limit, sets)?;
        }
        Ok(())
    }

    /// Fills one limit.
    fn fill(&mut self, limit: [u8; 16], sets: Option<&[i64]>) -> Result<()> {
        loop {
            let labels = self.labels_under(limit)?;
            let mut next: Option<Parked> = None;
            for label in labels.iter().filter(|l| sets.is_none_or(|s| s.contains(l))) {
                let first = self.first_under(limit, *label)?;
                next = match (next, first) {
                    (Some(a), Some(b)) => Some(if (a.due, a.n) <= (b.due, b.n) { a } else { b }),
                    (a, b) => a.or(b),
                };
            }
            let Some(p) = next else {
                // What is left here is for workers with other labels.
                for label in labels {
                    if let Some(p) = self.first_under(limit, label)? {
                        self.leave_open(p.scope, limit, label)?;
                    }
                }
                return Ok(());
            };
            match self.full_one(&p)? {
                Some(full) if full == limit => return Ok(()),
                Some(full) => {
                    self.exec("UPDATE parked SET limit_id = ?2 WHERE n = ?1", params![p.n, full])?;
                }
                None => self.place_parked(&p)?,
            }
        }
    }

    fn leave_open(&mut self, s: Scope, limit: [u8; 16], label: i64) -> Result<()> {
        let there = self
            .sql("SELECT EXISTS (SELECT 1 FROM openings WHERE label = ?1 AND limit_id = ?2)")?
            .query_row(params![label, limit], |r| r.get::<_, bool>(0))
            .or_store()?;
        if there { Ok(()) } else { self.open(s, limit, label) }
    }

    fn labels_under(&self, limit: [u8; 16]) -> Result<Vec<i64>> {
        let mut out = Vec::new();
        let mut sql = self.sql("SELECT label FROM parked WHERE limit_id = ?1 AND label > ?2 ORDER BY label LIMIT 1")?;
        let mut last = ANY;
        while let Some(label) = sql.query_row(params![limit, last], |r| r.get::<_, i64>(0)).optional().or_store()? {
            out.push(label);
            last = label;
        }
        Ok(out)
    }

    fn first_under(&self, limit: [u8; 16], label: i64) -> Result<Option<Parked>> {
        self.sql("SELECT * FROM parked WHERE limit_id = ?1 AND label = ?2 ORDER BY due, n LIMIT 1")?
            .query_row(params![limit, label], |row| Ok(read_parked(Row::Sqlite(row))))
            .optional()
            .or_store()?
            .transpose()
    }

    /// Gives one parked step its places past the others, if there is room under each of its limits. No opening is used up: whoever was to
    /// come in by one finds the place taken, and that its end leaves another.
    pub(super) fn let_in(&mut self, n: i64) -> Result<()> {
        let found = self
            .sql("SELECT * FROM parked WHERE n = ?1")?
            .query_row([n], |row| Ok(read_parked(Row::Sqlite(row))))
            .optional()
            .or_store()?
            .transpose()?;
        match found {
            Some(p) if self.full_one(&p)?.is_none() => self.place_parked(&p),
            _ => Ok(()),
        }
    }

    /// The first of a step's limits that has no room.
    fn full_one(&self, p: &Parked) -> Result<Option<[u8; 16]>> {
        for limit in p.terms.limits() {
            let max = self
                .sql("SELECT max FROM limits WHERE tenant_id = ?1 AND mode = ?2 AND class = ?3")?
                .query_row(params![p.scope.tenant_id.as_bytes(), p.scope.mode.as_int(), limit.class], |r| r.get::<_, i64>(0))
                .optional()
                .or_store()?;
            // One that is no limit any more counts and does not hold.
            let Some(max) = max else { continue };
            let taken: i64 = self
                .sql("SELECT count(*) FROM (SELECT 1 FROM places WHERE limit_id = ?1 LIMIT ?2)")?
                .query_row(params![limit.id, max], |r| r.get(0))
                .or_store()?;
            if taken >= max {
                return Ok(Some(limit.id));
            }
        }
        Ok(None)
    }

    fn place_parked(&mut self, p: &Parked) -> Result<()> {
        let (reseller, tenant, mode) = (p.scope.reseller_id.as_bytes(), p.scope.tenant_id.as_bytes(), p.scope.mode.as_int());
        for limit in p.terms.limits() {
            self.exec(
                "INSERT INTO places (limit_id, step, node, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                params![limit.id, p.name.step, p.name.node, reseller, tenant, mode],
            )?;
        }
        let n = self.place(p.due)?;
        self.exec(
            "INSERT INTO ready (n, step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at, limits)
             SELECT ?2, step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at, limits FROM parked WHERE n = ?1",
            [p.n, n],
        )?;
        self.exec("DELETE FROM parked WHERE n = ?1", [p.n]).map(|_| ())
    }

    /// The number of a row of the queue: its millisecond, and its place behind others of the same.
    pub(super) fn place(&self, due: i64) -> Result<i64> {
        const PLACES: i64 = 1 << 20;
        let first = due.max(0) / 1000 * PLACES;
        self.sql("SELECT COALESCE(MAX(n) + 1, ?1) FROM ready WHERE n >= ?1 AND n < ?2")?
            .query_row([first, first + PLACES], |r| r.get(0))
            .or_store()
    }
}
