//! Events, idempotency keys and plain statements on SQLite.

use rusqlite::{params, params_from_iter};
use tollgate_core::event::Event;
use tollgate_core::ports::Dedupe;
use tollgate_core::scope::Scope;

use crate::error::{OrStore, Result};
use crate::query::events::remembered;
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{Cold, Events, Remembered, Statement, fetch_one};
use crate::value::Value;

impl Events for SqliteTx<'_> {
    fn remembered(&mut self, scope: Scope, d: &Dedupe) -> Result<Option<Remembered>> {
        fetch_one(self, &remembered(scope, d))
    }

    fn remember(&mut self, scope: Scope, d: &Dedupe, reference: [u8; 16]) -> Result<()> {
        self.exec(
            "INSERT INTO idempotency (tenant_id, mode, route, key, reseller_id, fingerprint, ref, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (tenant_id, mode, route, key)
             DO UPDATE SET fingerprint = excluded.fingerprint, ref = excluded.ref, expires_at = excluded.expires_at",
            params![
                scope.tenant_id.as_bytes(),
                scope.mode.as_int(),
                d.route,
                d.key,
                scope.reseller_id.as_bytes(),
                d.fingerprint.0,
                reference,
                d.expires_at.as_micros()
            ],
        )
        .map(|_| ())
    }

    fn insert_event(&mut self, e: &Event) -> Result<()> {
        self.grew();
        self.exec(
            "INSERT INTO events (id, reseller_id, tenant_id, mode, source, event_type, subject, time, received_at, correlation_id, agent_id,
               session_id, traceparent, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                e.id.as_bytes(),
                e.scope.reseller_id.as_bytes(),
                e.scope.tenant_id.as_bytes(),
                e.scope.mode.as_int(),
                e.source,
                e.event_type,
                e.subject,
                e.time.as_micros(),
                e.received_at.as_micros(),
                e.correlation_id,
                e.agent_id,
                e.session_id,
                e.traceparent,
                e.payload.get()
            ],
        )
        .map(|_| ())
    }
}

impl Cold for SqliteTx<'_> {
    fn select(&mut self, text: &str, values: &[Value], each: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        crate::sqlite::store::select(self.connection(), text, values, each)
    }

    fn execute(&mut self, s: Statement) -> Result<()> {
        self.sql(s.text)?.execute(params_from_iter(s.values)).or_store().map(|_| ())
    }
}
