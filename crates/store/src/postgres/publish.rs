//! Positions of events and changes, given after commit: no late commit is skipped by whoever reads on from a position.

use crate::error::Result;
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::store::Postgres;

/// Events of one transaction of the publisher.
const PUBLISH_MAX: u32 = 4096;
/// Groups' changes of one transaction of the publisher: what one row of changes may come to.
const PARCELS_MAX: u32 = 64;
/// Takes the changes of several groups together: a run that changes in each of them is indexed once.
const CHANGES: &str = "WITH found AS (SELECT n FROM outbox_queue ORDER BY n LIMIT $1), gone AS (
       DELETE FROM outbox_queue q USING found WHERE q.n = found.n RETURNING q.*
     ), packed AS (
       SELECT min(g.n) AS n, sum(g.changes)::bigint AS changes, max(g.at) AS at, string_agg(g.runs, ''::bytea) AS runs,
         string_agg(g.body, ''::bytea ORDER BY g.n) AS body, g.reseller_id, g.tenant_id, g.mode
       FROM gone g GROUP BY g.reseller_id, g.tenant_id, g.mode
     ), placed AS (
       SELECT p.*, ((SELECT COALESCE(max(pos), 0) FROM outbox) + sum(p.changes) OVER (ORDER BY p.n))::bigint AS pos FROM packed p
     ), named AS (
       INSERT INTO outbox_runs (run_id, pos, reseller_id, tenant_id, mode)
       SELECT DISTINCT encode(substr(p.runs, 16 * i + 1, 16), 'hex')::uuid, p.pos, p.reseller_id, p.tenant_id, p.mode
       FROM placed p CROSS JOIN LATERAL generate_series(0, length(p.runs) / 16 - 1) AS i
     ), put AS (
       INSERT INTO outbox (pos, changes, at, body, reseller_id, tenant_id, mode)
       SELECT p.pos, p.changes, p.at, p.body, p.reseller_id, p.tenant_id, p.mode FROM placed p
     ) SELECT count(*) FROM gone";
/// One publisher at a time.
const PUBLISHER_LOCK: i64 = 0x7467_6174_7075_6201;

impl Postgres {
    /// Gives positions to every event and change that is stored by now; answers how many events.
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
                Request::new(CHANGES, vec![Param::One(PARCELS_MAX.into())]),
                Request::plain("COMMIT"),
            ];
            let answers = connection.send_as(&tenants, &requests).await?;
            let count = |at: usize| -> Result<u64> {
                let row = answers.get(at).and_then(|rows| rows.first()).map(crate::row::Row::Postgres);
                Ok(row.map(|r| r.at(0)).transpose()?.unwrap_or(0))
            };
            let (n, parcels) = (count(2)?, count(3)?);
            total += n;
            if n < u64::from(PUBLISH_MAX) && parcels < u64::from(PARCELS_MAX) {
                *kept = Some(connection);
                return Ok(total);
            }
        }
    }
}
