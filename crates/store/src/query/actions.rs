//! Actions with all that deciding their next step needs.

use tollgate_core::action::ActionState;
use tollgate_core::attempt::Attempts;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, EventId, PlanId, ResellerId, RunId, SessionId, TenantId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, KeyClaim, OpenAttempt};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::spec::Effect;
use tollgate_core::time::Timestamp;

use crate::codec::read_principal;
use crate::error::{Result, damaged};
use crate::postgres::Of;
use crate::row::{Cell, Row};
use crate::tx::{Query, inherits};
use crate::value::values;

/// The columns that [`read_action`] needs. A key that is free again hands its generation to whoever comes next.
pub(crate) const COLUMNS: &str = "SELECT a.id, a.reseller_id, a.tenant_id, a.mode, a.run_id, a.attempts, a.last_intent, a.open_session, a.key, \
     a.fingerprint, a.disposition, k.generation AS key_generation, k.began AS key_began, a.generation, a.generation_began, r.event_id, \
     e.subject, r.bundle, r.principal, a.seq, r.actions, a.proposal, a.tool_digest, a.effect, a.salt, a.lane, a.state, a.reason, a.detail, \
     a.receipt, a.output, a.in_doubt, a.doubt_deadline, a.verify_failures, a.deadline_at, a.rendered, a.last_end, a.approval, a.compensates, \
     r.cancelling, \
     a.created_at, a.updated_at";
/// Where they come from.
pub(crate) const FROM: &str = "FROM actions a JOIN runs r ON r.id = a.run_id LEFT JOIN events e ON e.id = r.event_id \
     LEFT JOIN effect_keys k ON k.key = a.key AND k.state = 3";

/// One action of this tenant and mode.
pub(crate) fn one(scope: Scope, id: ActionId) -> Query<ActionRecord> {
    Query {
        text: format!("{COLUMNS} {FROM} WHERE a.id = $1 AND a.tenant_id = $2 AND a.mode = $3").into(),
        values: values![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: read_action,
    }
}

/// Actions by their ids, whose ever they are.
pub(crate) fn together() -> Of<ActionRecord> {
    Of { text: format!("{COLUMNS} {FROM} WHERE a.id = ANY($1)"), read: read_action, name: |a| (*a.id.as_bytes(), a.scope) }
}

/// The actions of a run, in the order of its plan.
pub(crate) fn of_run(scope: Scope, run: RunId) -> Query<ActionRecord> {
    Query {
        text: format!("{COLUMNS} {FROM} WHERE a.run_id = $1 AND a.tenant_id = $2 AND a.mode = $3 ORDER BY a.seq").into(),
        values: values![run.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()],
        read: read_action,
    }
}

/// The columns of a row in the order of the statement: by place, since looking forty names up costs more than the query.
struct Columns<'r> {
    row: Row<'r>,
    at: usize,
}

impl Columns<'_> {
    /// The next column, which must be this one.
    fn next<T: Cell>(&mut self, name: &'static str) -> Result<T> {
        debug_assert_eq!(self.row.name(self.at), Some(name), "the statement's columns are read in their order");
        self.at += 1;
        self.row.at(self.at - 1)
    }

    fn id(&mut self, name: &'static str) -> Result<[u8; 16]> {
        self.next(name)
    }

    fn opt_id(&mut self, name: &'static str) -> Result<Option<[u8; 16]>> {
        self.next(name)
    }

    fn opt_digest(&mut self, name: &'static str) -> Result<Option<Digest>> {
        self.next(name)
    }

    fn instant(&mut self, name: &'static str) -> Result<Timestamp> {
        self.next(name)
    }

    fn count(&mut self, name: &'static str) -> Result<u32> {
        self.next(name)
    }

    fn scope(&mut self) -> Result<Scope> {
        Ok(Scope {
            reseller_id: ResellerId::from_bytes(self.id("reseller_id")?),
            tenant_id: TenantId::from_bytes(self.id("tenant_id")?),
            mode: Mode::from_int(self.next("mode")?).ok_or_else(|| damaged("a mode"))?,
        })
    }
}

/// Reads a row of [`COLUMNS`].
pub(crate) fn read_action(row: Row<'_>) -> Result<ActionRecord> {
    let mut c = Columns { row, at: 0 };
    let id = ActionId::from_bytes(c.id("id")?);
    let scope = c.scope()?;
    let run = RunId::from_bytes(c.id("run_id")?);
    let attempts = c.count("attempts")?;
    let last_intent = c.opt_id("last_intent")?.map(EntryId::from_bytes);
    let open = match (c.opt_id("open_session")?, last_intent) {
        (Some(session), Some(intent)) => Some(OpenAttempt { attempt: attempts, intent, session: SessionId::from_bytes(session) }),
        (Some(_), None) => return Err(damaged("an open attempt")),
        _ => None,
    };
    let key = match (c.opt_digest("key")?, c.opt_digest("fingerprint")?) {
        (Some(key), Some(fingerprint)) => Some(KeyClaim { key, fingerprint }),
        (None, None) => None,
        _ => return Err(damaged("an action's key")),
    };
    let disposition: Option<String> = c.next("disposition")?;
    let of_key = (c.next::<Option<u32>>("key_generation")?, c.next::<Option<Timestamp>>("key_began")?);
    let own = (c.count("generation")?, c.instant("generation_began")?);
    let (generation, generation_began) = match of_key {
        (Some(generation), Some(began)) if inherits(disposition.is_some(), attempts, own.0, generation) => (generation, began),
        _ => own,
    };
    Ok(ActionRecord {
        id,
        scope,
        run,
        plan: PlanId::from_bytes(*run.as_bytes()),
        event: c.opt_id("event_id")?.map(EventId::from_bytes),
        subject: c.next("subject")?,
        bundle: c.next("bundle")?,
        principal: read_principal(&c.next::<String>("principal")?)?,
        seq: c.count("seq")?,
        plan_len: c.count("actions")?,
        proposal: serde_json::from_slice(&c.next::<Vec<u8>>("proposal")?).map_err(|_| damaged("an action's proposal"))?,
        tool_digest: c.opt_digest("tool_digest")?,
        effect: if c.next("effect")? { Effect::Write } else { Effect::Read },
        salt: c.next("salt")?,
        lane: c.opt_digest("lane")?,
        key,
        state: ActionState::from_int(c.next("state")?).ok_or_else(|| damaged("an action's state"))?,
        disposition: disposition.as_deref().map(|d| Disposition::parse(d).ok_or_else(|| damaged("a disposition"))).transpose()?,
        reason: c.next("reason")?,
        detail: c.next("detail")?,
        receipt: c.opt_id("receipt")?.map(EntryId::from_bytes),
        output: c.next("output")?,
        attempts: Attempts {
            count: attempts,
            in_doubt: c.next("in_doubt")?,
            generation_began,
            doubt_deadline: c.instant("doubt_deadline")?,
            verify_failures: c.count("verify_failures")?,
        },
        deadline_at: c.next("deadline_at")?,
        generation,
        rendered: c.next("rendered")?,
        last_intent,
        last_end: c.opt_id("last_end")?.map(EntryId::from_bytes),
        open,
        approval: c.opt_id("approval")?.map(ApprovalId::from_bytes),
        compensates: c.opt_id("compensates")?.map(ActionId::from_bytes),
        cancelling: c.next("cancelling")?,
        created_at: c.instant("created_at")?,
        updated_at: c.instant("updated_at")?,
    })
}
