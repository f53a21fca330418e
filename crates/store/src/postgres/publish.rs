//! Positions of events, given after commit: no late commit is skipped by whoever reads on from a position.

use crate::error::Result;
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::store::Postgres;

/// Events of one transaction of the publisher.
const PUBLISH_MAX: u32 = 4096;
/// One publisher at a time.
const PUBLISHER_LOCK: i64 = 0x7467_6174_7075_6201;

impl Postgres {
    /// Gives positions to every event that is stored by now; answers how many.
    pub(crate) async fn publish_all(&self) -> Result<u64> {
        let mut total = 0;
        let (mut kept, mut connection) = self.position_giver().await?;
        loop {
            let tenants = Tenants::of(self.learn_scopes().await?);
            let text = "WITH found AS (SELECT n FROM unpublished ORDER BY n LIMIT $1), gone AS (
                   DELETE FROM unpublished u USING found WHERE u.n = found.n RETURNING u.n, u.event, u.reseller_id, u.tenant_id, u.mode
                 ), put AS (
                   INSERT INTO event_positions (pos, event, reseller_id, tenant_id, mode)
                   SELECT (SELECT COALESCE(max(pos), 0) FROM event_positions) + row_number() OVER (ORDER BY g.n), g.event, g.reseller_id,
                     g.tenant_id, g.mode FROM gone g RETURNING 1
                 ) SELECT count(*) FROM put";
            let requests = vec![
                Request::plain("BEGIN"),
                Request::new("SELECT pg_advisory_xact_lock($1)", vec![Param::One(PUBLISHER_LOCK.into())]),
                Request::new(text, vec![Param::One(PUBLISH_MAX.into())]),
                Request::plain("COMMIT"),
            ];
            let answers = connection.send_as(&tenants, &requests).await?;
            let row = answers.get(2).and_then(|rows| rows.first()).map(crate::row::Row::Postgres);
            let n: u64 = row.map(|r| r.at(0)).transpose()?.unwrap_or(0);
            total += n;
            if n < u64::from(PUBLISH_MAX) {
                *kept = Some(connection);
                return Ok(total);
            }
        }
    }
}
