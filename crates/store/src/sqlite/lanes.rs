//! Lanes on SQLite: the primary key keeps the order.

use rusqlite::{OptionalExtension, params};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::scope::Scope;

use crate::error::{OrStore, Result};
use crate::sqlite::tx::SqliteTx;
use crate::tx::{Lanes, Ticket};

impl Lanes for SqliteTx<'_> {
    fn lane_head(&mut self, lane: &Digest) -> Result<Option<Ticket>> {
        self.sql("SELECT step, run_id FROM lanes WHERE lane = ?1 ORDER BY ticket LIMIT 1")?
            .query_row([lane.0], |r| Ok(Ticket { step: r.get(0)?, run: RunId::from_bytes(r.get(1)?) }))
            .optional()
            .or_store()
    }

    fn has_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<bool> {
        self.sql("SELECT EXISTS (SELECT 1 FROM lanes WHERE lane = ?1 AND step = ?2)")?
            .query_row(params![lane.0, step], |r| r.get(0))
            .or_store()
    }

    fn push_ticket(&mut self, _: Scope, lane: &Digest, t: Ticket) -> Result<()> {
        self.exec(
            "INSERT INTO lanes (lane, ticket, step, run_id) SELECT ?1, COALESCE(MAX(ticket), 0) + 1, ?2, ?3 FROM lanes WHERE lane = ?1",
            params![lane.0, t.step, t.run.as_bytes()],
        )
        .map(|_| ())
    }

    fn drop_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<()> {
        self.exec("DELETE FROM lanes WHERE lane = ?1 AND step = ?2", params![lane.0, step]).map(|_| ())
    }

    fn hand_ticket(&mut self, lane: &Digest, from: [u8; 16], to: [u8; 16]) -> Result<()> {
        self.exec("UPDATE lanes SET step = ?3 WHERE lane = ?1 AND step = ?2", params![lane.0, from, to]).map(|_| ())
    }
}
