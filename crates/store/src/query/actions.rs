//! Actions with all that deciding their next step needs.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tollgate_core::action::ActionState;
use tollgate_core::attempt::Attempts;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, EventId, PlanId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, KeyClaim, OpenAttempt};
use tollgate_core::scope::Scope;
use tollgate_core::spec::Effect;

use crate::codec::{col, count, digest, id16, instant, opt_digest, opt16, read_principal, scope};
use crate::error::{OrStore, Result, damaged};

/// The columns that [`read_action`] needs. A key that is free again hands its generation to whoever comes next.
pub(crate) const ACTION: &str = "SELECT a.*, r.event_id, r.bundle, r.principal, r.actions, e.subject, k.generation AS key_generation, k.began AS key_began \
     FROM actions a JOIN runs r ON r.id = a.run_id LEFT JOIN events e ON e.id = r.event_id LEFT JOIN effect_keys k ON k.key = a.key AND k.state = 3";

/// One action of this tenant and mode.
pub(crate) fn load_action(conn: &Connection, scope: Scope, id: ActionId) -> Result<Option<ActionRecord>> {
    let mut sql = conn.prepare_cached(&format!("{ACTION} WHERE a.id = ?1 AND a.tenant_id = ?2 AND a.mode = ?3")).or_store()?;
    let found = sql
        .query_row(params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok(read_action(r)))
        .optional()
        .or_store()?;
    found.transpose()
}

/// Reads a row of an action with its run's and event's columns.
pub(crate) fn read_action(r: &Row<'_>) -> Result<ActionRecord> {
    let run = RunId::from_bytes(id16(r, "run_id")?);
    let attempts = count(r, "attempts")?;
    let last_intent = opt16(r, "last_intent")?.map(EntryId::from_bytes);
    let open = match (opt16(r, "open_session")?, last_intent) {
        (Some(session), Some(intent)) => Some(OpenAttempt { attempt: attempts, intent, session: SessionId::from_bytes(session) }),
        (Some(_), None) => return Err(damaged("an open attempt")),
        _ => None,
    };
    let key = match (opt_digest(r, "key")?, opt_digest(r, "fingerprint")?) {
        (Some(key), Some(fingerprint)) => Some(KeyClaim { key, fingerprint }),
        (None, None) => None,
        _ => return Err(damaged("an action's key")),
    };
    let disposition: Option<String> = col(r, "disposition")?;
    // Before its first attempt an action has no generation of its own.
    let inherited = if attempts == 0 { col::<Option<u32>>(r, "key_generation")? } else { None };
    let (generation, generation_began) = match inherited {
        Some(generation) => (generation, instant(r, "key_began")?),
        None => (count(r, "generation")?, instant(r, "generation_began")?),
    };
    Ok(ActionRecord {
        id: ActionId::from_bytes(id16(r, "id")?),
        scope: scope(r)?,
        run,
        plan: PlanId::from_bytes(*run.as_bytes()),
        event: opt16(r, "event_id")?.map(EventId::from_bytes),
        subject: col(r, "subject")?,
        bundle: digest(r, "bundle")?,
        principal: read_principal(&col::<String>(r, "principal")?)?,
        seq: count(r, "seq")?,
        plan_len: count(r, "actions")?,
        proposal: serde_json::from_slice(&col::<Vec<u8>>(r, "proposal")?).map_err(|_| damaged("an action's proposal"))?,
        tool_digest: opt_digest(r, "tool_digest")?,
        effect: if col::<bool>(r, "effect")? { Effect::Write } else { Effect::Read },
        salt: col(r, "salt")?,
        lane: opt_digest(r, "lane")?,
        key,
        state: ActionState::from_int(col(r, "state")?).ok_or_else(|| damaged("an action's state"))?,
        disposition: disposition.as_deref().map(|d| Disposition::parse(d).ok_or_else(|| damaged("a disposition"))).transpose()?,
        reason: col(r, "reason")?,
        detail: col(r, "detail")?,
        receipt: opt16(r, "receipt")?.map(EntryId::from_bytes),
        output: col(r, "output")?,
        attempts: Attempts {
            count: attempts,
            in_doubt: col(r, "in_doubt")?,
            generation_began,
            doubt_deadline: instant(r, "doubt_deadline")?,
            verify_failures: count(r, "verify_failures")?,
        },
        deadline_at: col::<Option<i64>>(r, "deadline_at")?.map(tollgate_core::time::Timestamp::from_micros),
        generation,
        rendered: col(r, "rendered")?,
        last_intent,
        last_end: opt16(r, "last_end")?.map(EntryId::from_bytes),
        open,
        approval: opt16(r, "approval")?.map(ApprovalId::from_bytes),
        created_at: instant(r, "created_at")?,
        updated_at: instant(r, "updated_at")?,
    })
}
