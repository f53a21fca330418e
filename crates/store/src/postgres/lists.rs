//! What reads by order on Postgres: events by the positions that the publisher gave, lists by ids, which begin with time.

use tollgate_core::event::Event;
use tollgate_core::id::{ActionId, RunId, SessionId};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, BoxFuture, Claimed, EntryFilter, EventFilter, ListOut, Listed, Page, QUEUE_BOUND, QueueLine, ReplayRange,
    ReplayState, StoreError, StoredEntry,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::backend::{Backend, Ordered};
use crate::codec::int;
use crate::command::replay;
use crate::error::Result;
use crate::needs::{Alone, Needs};
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::ledger::{ENTRY, read_entry};
use crate::postgres::store::Postgres;
use crate::query::actions::{COLUMNS, FROM, read_action};
use crate::query::events::read_event;
use crate::query::lists::{action_state, before_id, read_line};
use crate::row::Row;
use crate::tx::Query;
use crate::value::values;

fn by_id<T>(items: Vec<T>, id: impl Fn(&T) -> [u8; 16]) -> Vec<Listed<T>> {
    items.into_iter().map(|item| Listed { row: u128::from_be_bytes(id(&item)), item }).collect()
}

impl Ordered for Postgres {
    fn events_after(&self, s: Scope, position: u64, limit: u32) -> BoxFuture<'_, Result<Vec<(u64, Event)>>> {
        let text = "SELECT e.*, p.pos FROM event_positions p JOIN events e ON e.id = p.event \
             WHERE p.pos > $1 AND p.tenant_id = $2 AND p.mode = $3 ORDER BY p.pos LIMIT $4";
        let values = values![int(position), s.tenant_id.as_bytes(), s.mode.as_int(), limit];
        self.all(Query { text: text.into(), values, read: |r: Row<'_>| Ok((r.get("pos")?, read_event(r)?)) }, s)
    }

    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> BoxFuture<'_, Result<ReplayState>> {
        self.settle(async move {
            // What is stored by now has a position by then.
            self.publish_all().await?;
            let end = Query {
                text: "SELECT COALESCE(MAX(pos), 0) + 1 FROM event_positions".into(),
                values: Vec::new(),
                read: |r: Row<'_>| r.at::<u64>(0),
            };
            let end = self.one(end, crate::backend::Reach::Everywhere).await?.unwrap_or(1);
            let needs = Needs::of(scope).alone(Alone::Replay(range.id)).configures();
            self.write(needs, move |tx| replay::begin(tx, scope, &range, end, at)).await
        })
    }

    fn forget_keys(&self, limit: u32) -> BoxFuture<'_, Result<u32>> {
        self.settle(async move {
            let tenants = Tenants::of(self.learn_scopes().await?);
            let text = "DELETE FROM idempotency WHERE (tenant_id, mode, route, key) IN (SELECT tenant_id, mode, route, key FROM idempotency \
                 WHERE expires_at <= COALESCE($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) LIMIT $2) RETURNING 1";
            let answers = self.now_or_never(tenants, vec![Request::new(text, vec![self.clock_param(), Param::One(limit.into())])]).await?;
            Ok(u32::try_from(answers.iter().flatten().count()).unwrap_or(u32::MAX))
        })
    }

    fn publish(&self) -> BoxFuture<'_, Result<u64>> {
        self.settle(self.publish_all())
    }

    fn action(&self, scope: Scope, id: ActionId) -> BoxFuture<'_, Result<Option<ActionRecord>>> {
        Box::pin(async move {
            let found = Self::action(self, scope, id).await?;
            // What never changes of it is remembered: the next command about it locks and fetches all at once.
            found.iter().for_each(|a| self.shared.statics.learn_one(a.id, a.run, a.lane, a.key));
            Ok(found)
        })
    }

    fn claim_after(&self, session: SessionId, (scope, run): (Scope, RunId), steps: u32) -> BoxFuture<'_, Result<Vec<Claimed>>> {
        match self.apart {
            Some(_) => self.settle(async move { Ok(self.claim_of(session, scope, run, steps).await?.claimed) }),
            None => Box::pin(std::future::ready(Ok(Vec::new()))),
        }
    }

    fn list_events(&self, s: Scope, f: EventFilter, page: Page) -> ListOut<'_, Event> {
        let text = "SELECT * FROM events WHERE id < $1 AND tenant_id = $2 AND mode = $3 AND (event_type = $4 OR $4 IS NULL) \
             AND (source = $5 OR $5 IS NULL) AND (subject = $6 OR $6 IS NULL) ORDER BY id DESC LIMIT $7";
        let values = values![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), f.event_type, f.source, f.subject, page.limit];
        self.settle(async move {
            let found = self.walk(Query { text: text.into(), values, read: read_event }, s).await?;
            Ok(by_id(found, |e| *e.id.as_bytes()))
        })
    }

    fn queue(&self, scope: Option<Scope>) -> BoxFuture<'_, Result<Vec<QueueLine>>> {
        self.settle(async move {
            let of = scope.map(|s| (*s.tenant_id.as_bytes(), s.mode.as_int())).unzip();
            let params = vec![Param::One(of.0.into()), Param::One(of.1.into()), Param::One(QUEUE_BOUND.into())];
            let text = "SELECT COALESCE(s.labels, '') AS labels, q.ready, q.parked, q.held, q.timers, q.oldest \
                 FROM queue_depth($1, $2, $3) q LEFT JOIN label_sets s ON s.id = q.label ORDER BY 1";
            let answers = self.pool.read(&Tenants::default(), &[Request::new(text, params)]).await?;
            answers.iter().flatten().map(|r| read_line(Row::Postgres(r))).collect()
        })
    }

    fn list_actions(&self, s: Scope, f: ActionFilter, page: Page) -> ListOut<'_, ActionRecord> {
        self.settle(async move {
            let Ok(state) = action_state(f.state.as_deref()) else { return Ok(Vec::new()) };
            let text = format!(
                "{COLUMNS} {FROM} WHERE a.id < $1 AND a.tenant_id = $2 AND a.mode = $3 AND (a.run_id = $4 OR $4 IS NULL) AND (a.state = $5 OR $5 IS NULL)
                 AND (a.disposition = $6 OR $6 IS NULL) AND (a.tool = $7 OR $7 IS NULL) ORDER BY a.id DESC LIMIT $8"
            );
            let (run, disposition) = (f.run.map(|r| *r.as_bytes()), f.disposition.map(tollgate_core::ledger::Disposition::as_str));
            let values =
                values![before_id(page), s.tenant_id.as_bytes(), s.mode.as_int(), run, state, disposition, f.tool, page.limit];
            let found = self.walk(Query { text: text.into(), values, read: read_action }, s).await?;
            Ok(by_id(found, |a| *a.id.as_bytes()))
        })
    }

    fn list_entries(&self, s: Scope, f: EntryFilter, page: Page) -> ListOut<'_, StoredEntry> {
        let before = page.before.and_then(|b| i64::try_from(b).ok()).unwrap_or(i64::MAX);
        let text = format!(
            "{ENTRY} JOIN positions p ON p.entry = e.id WHERE p.pos < $1 AND p.tenant_id = $2 AND p.mode = $3 \
             AND (e.kind = $4 OR $4 IS NULL) AND (e.action = $5 OR $5 IS NULL) ORDER BY p.pos DESC LIMIT $6"
        );
        let (kind, action) = (f.kind.map(tollgate_core::ledger::Kind::as_str), f.action.map(|a| *a.as_bytes()));
        let values = values![before, s.tenant_id.as_bytes(), s.mode.as_int(), kind, action, page.limit];
        self.settle(async move {
            let found = self.walk(Query { text: text.into(), values, read: read_entry }, s).await?;
            Ok::<_, StoreError>(found.into_iter().map(|e| Listed { row: u128::from(e.position.unwrap_or(0)), item: e }).collect())
        })
    }
}
