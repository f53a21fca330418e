//! Sessions, claims, timers on Postgres: judged by the database's clock, beside the groups. Claims go through functions of the dispatch
//! role, since a worker may not see other tenants' rows.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{BoxFuture, Claimed, ClaimedOf, DurableExec, Lease, ReasonRecord, RunStands, StoreError};
use tollgate_core::scope::Scope;
use tollgate_core::terms::Labels;
use tollgate_core::time::Timestamp;

use crate::backend::{Backend, Committed, Reach};
use crate::error::Result;
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::fronts::{Found, Went};
use crate::postgres::store::{PgStore, Postgres};
use crate::query;
use crate::row::Row;
use crate::tx::{StepName, step_of};
use crate::value::Value;

type Out<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

/// The injected clock's time, or the database's.
pub(super) const NOW: &str = "COALESCE($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)";

impl Postgres {
    async fn dispatch(&self, text: String, params: Vec<Param>) -> Result<Vec<tokio_postgres::Row>> {
        self.dispatch_as(Tenants::default(), text, params).await
    }

    /// Runs a statement of the engine of steps, which has heard by then of everything that was told. The clock is its first value.
    pub(super) async fn dispatch_as(&self, tenants: Tenants, text: String, mut params: Vec<Param>) -> Result<Vec<tokio_postgres::Row>> {
        if self.apart.is_some() {
            self.learn().await?;
        }
        params.insert(0, self.clock_param());
        let answers = self.now_or_never(tenants, vec![Request::new(text, params)]).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Claims for a session.
    pub(crate) async fn claim_some(&self, session: SessionId, limit: u32) -> Result<Vec<Claimed>> {
        let began = Instant::now();
        let told = self.fronts.tell(began);
        let all = told.as_ref().is_none_or(|t| t.all);
        let mut params = vec![Param::One(session.as_bytes().into()), Param::One(limit.into())];
        let text = match told {
            // A random start spreads the workers over the tenants.
            None => format!("SELECT * FROM claim($2, $3, {NOW}, gen_random_uuid())"),
            Some(told) => {
                params.push(Param::One(Value::Id(told.after)));
                params.push(Param::Many(told.labels.into_iter().map(Value::from).collect()));
                params.push(Param::Many(told.tenants.into_iter().map(Value::Id).collect()));
                params.push(Param::Many(told.dues.into_iter().map(Value::from).collect()));
                params.push(Param::One(told.all.into()));
                format!("SELECT * FROM claim($2, $3, {NOW}, $4, $5, $6, $7, $8)")
            }
        };
        let rows = self.dispatch(text, params).await.inspect_err(|e| {
            // A lease that lapsed says nothing of the way.
            if *e != StoreError::LeaseLost {
                self.fronts.failed(Instant::now());
            }
        })?;
        let (mut claimed, mut found) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for r in rows.iter().map(Row::Postgres) {
            let step = step_of(r.get("kind")?, StepName { step: r.get("step")?, node: r.get("node")? })?;
            let lease = Lease { session, fence: r.get("fence")? };
            claimed.push(Claimed { scope: r.scope()?, run: RunId::from_bytes(r.get("run_id")?), step, lease });
            found.push(Found { tenant: r.get("tenant_id")?, label: r.get("label")?, due: r.get("due")?, walked: r.get("walked")? });
        }
        if let Some(at) = self.fronts.learn(Instant::now(), &Went { limit, took: began.elapsed(), all, found: &found }) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                shared.announce(Committed { steps: true, ..Committed::default() });
            });
        }
        Ok(claimed)
    }
}

impl PgStore {
    async fn hand_back(&self, session: Option<SessionId>) -> Result<u32> {
        let id = session.map(|s| *s.as_bytes());
        let rows = self.engine.dispatch(format!("SELECT hand_back($2, {NOW})"), vec![Param::One(id.into())]).await?;
        let n: u32 = rows.first().map(|r| Row::Postgres(r).at(0)).transpose()?.unwrap_or(0);
        if n > 0 {
            self.engine.shared.announce(Committed { steps: true, ..Committed::default() });
        }
        Ok(n)
    }
}

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)
}

impl DurableExec for PgStore {
    fn open_session(&self, session: SessionId, ttl: Duration, labels: Labels) -> Out<'_, ()> {
        self.engine.settle(async move {
            let text = format!(
                "INSERT INTO sessions (id, expires_at, labels) VALUES ($2, {NOW} + $3, $4) \
                 ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, labels = excluded.labels"
            );
            let params = vec![Param::One(session.as_bytes().into()), Param::One(micros(ttl).into()), Param::One(labels.stored().into())];
            self.engine.dispatch(text, params).await.map(|_| ())
        })
    }

    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.engine.settle(async move {
            let text = format!("UPDATE sessions SET expires_at = {NOW} + $3 WHERE id = $2 AND expires_at > {NOW} RETURNING id");
            let rows = self.engine.dispatch(text, vec![Param::One(session.as_bytes().into()), Param::One(micros(ttl).into())]).await?;
            if rows.is_empty() { Err(StoreError::LeaseLost) } else { Ok(()) }
        })
    }

    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        self.engine.settle(self.hand_back(Some(session)))
    }

    fn claim(&self, session: SessionId, limit: u32) -> Out<'_, Vec<Claimed>> {
        self.engine.settle(self.engine.claim_some(session, limit))
    }

    fn claim_of(&self, session: SessionId, scope: Scope, run: RunId, limit: u32) -> Out<'_, ClaimedOf> {
        self.engine.settle(self.engine.claim_of(session, scope, run, limit))
    }

    fn scope_of(&self, run: RunId) -> Out<'_, Option<Scope>> {
        self.engine.one(query::lists::scope_of(run), Reach::Everywhere)
    }

    fn stands(&self, scope: Scope, run: RunId) -> Out<'_, Option<RunStands>> {
        self.engine.settle(self.engine.stands(scope, run))
    }

    fn pending(&self) -> Out<'_, bool> {
        self.engine.settle(async move {
            // The way to the first step is long: whoever claims goes a shorter one.
            if self.engine.fronts.is_long(Instant::now()) {
                return Ok(true);
            }
            let answers = self.engine.pool.read(&Tenants::default(), &[Request::plain("SELECT pending()")]).await?;
            answers.iter().flatten().next().map_or(Ok(false), |r| Row::Postgres(r).at(0))
        })
    }

    fn fire_timers(&self, limit: u32) -> Out<'_, (u32, Option<Timestamp>)> {
        self.engine.settle(async move {
            let rows =
                self.engine.dispatch(format!("SELECT fired, next FROM fire_timers($2, {NOW})"), vec![Param::One(limit.into())]).await?;
            let Some(r) = rows.first().map(Row::Postgres) else { return Ok((0, None)) };
            let fired: u32 = r.at(0)?;
            if fired > 0 {
                self.engine.shared.announce(Committed { steps: true, ..Committed::default() });
            }
            Ok((fired, r.at(1)?))
        })
    }

    fn reap(&self) -> Out<'_, u32> {
        self.engine.settle(self.hand_back(None))
    }

    fn reason_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<ReasonRecord>> {
        self.engine.reason_step(scope, run)
    }
}
