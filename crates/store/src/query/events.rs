//! Events, and what asking an operator about one needs.

use serde_json::value::RawValue;
use tollgate_core::event::Event;
use tollgate_core::id::{EventId, RunId};
use tollgate_core::ports::{Dedupe, ReasonRecord};
use tollgate_core::scope::Scope;

use crate::error::{Result, damaged};
use crate::postgres::Of;
use crate::row::Row;
use crate::tx::{Query, Remembered};
use crate::value::values;

/// Reads a row of `events`.
pub(crate) fn read_event(r: Row<'_>) -> Result<Event> {
    Ok(Event {
        id: EventId::from_bytes(r.get("id")?),
        scope: r.scope()?,
        source: r.get("source")?,
        event_type: r.get("event_type")?,
        subject: r.get("subject")?,
        time: r.get("time")?,
        received_at: r.get("received_at")?,
        correlation_id: r.get("correlation_id")?,
        agent_id: r.get("agent_id")?,
        session_id: r.get("session_id")?,
        traceparent: r.get("traceparent")?,
        payload: RawValue::from_string(r.get("payload")?).map_err(|_| damaged("an event's payload"))?,
    })
}

/// One event of this tenant and mode.
pub(crate) fn one(scope: Scope, id: EventId) -> Query<Event> {
    Query {
        text: "SELECT * FROM events WHERE id = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: read_event,
    }
}

/// What an idempotency key stands for, lapsed or not.
pub(crate) fn remembered(scope: Scope, d: &Dedupe) -> Query<Remembered> {
    Query {
        text: "SELECT ref, fingerprint, expires_at FROM idempotency WHERE tenant_id = $1 AND mode = $2 AND route = $3 AND key = $4".into(),
        values: values![scope.tenant_id.as_bytes(), scope.mode.as_int(), &d.route, &d.key],
        read: |r: Row<'_>| Ok(Remembered { reference: r.at(0)?, fingerprint: r.at(1)?, expires_at: r.at(2)? }),
    }
}

const REASON_STEP: &str = "SELECT e.*, r.id AS of_run, r.operator, r.bundle, r.offering FROM runs r JOIN events e ON e.id = r.event_id";

fn read_reason_step(r: Row<'_>) -> Result<ReasonRecord> {
    Ok(ReasonRecord {
        run: RunId::from_bytes(r.get("of_run")?),
        operator: r.get("operator")?,
        bundle: r.get("bundle")?,
        event: read_event(r)?,
        offering: r.get("offering")?,
    })
}

/// What asking an operator needs.
pub(crate) fn reason_step(scope: Scope, run: RunId) -> Query<ReasonRecord> {
    Query {
        text: format!("{REASON_STEP} WHERE r.id = $1 AND r.tenant_id = $2 AND r.mode = $3").into(),
        values: values![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: read_reason_step,
    }
}

/// The same of runs by their ids, whose ever they are.
pub(crate) fn reason_steps_together() -> Of<ReasonRecord> {
    let text = format!("{REASON_STEP} WHERE r.id = ANY($1)");
    Of { text, read: read_reason_step, name: |s| (*s.run.as_bytes(), s.event.scope) }
}
