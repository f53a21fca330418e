//! Actions on SQLite.

use rusqlite::{OptionalExtension, params};
use tollgate_core::action::ActionState;
use tollgate_core::attempt::Attempts;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ActionRecord, KeyClaim, OpenAttempt};
use tollgate_core::run::ActionView;
use tollgate_core::scope::Scope;
use tollgate_core::spec::Effect;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::codec::{int, terms};
use crate::error::{OrStore, Result, damaged};
use crate::query::actions::one;
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{ActionChange, ActionHead, Actions, NewActionRow, View, fetch_one, inherits};

// No join but the key's, no JSON, columns by place: it is read in every write of the hot path.
const HEAD: &str = "SELECT a.run_id, a.lane, a.key, a.fingerprint, a.state, a.attempts, a.in_doubt, a.doubt_deadline, a.verify_failures, \
     a.deadline_at, a.generation, a.generation_began, a.open_session, a.last_intent, a.approval, k.generation, k.began, \
     a.compensates IS NOT NULL, a.strict, a.fence, a.node, a.request, a.terms \
     FROM actions a LEFT JOIN effect_keys k ON k.key = a.key AND k.state = 3 \
     WHERE a.id = ?1 AND a.tenant_id = ?2 AND a.mode = ?3";

const INSERT: &str = "INSERT INTO actions (id, run_id, seq, reseller_id, tenant_id, mode, tool, tool_digest, effect, proposal, salt, lane, key, \
     fingerprint, strict, state, compensates, flags, created_at, updated_at, node, request, terms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?19, ?20, ?21, ?22)";

fn read_head(r: Row<'_>, scope: Scope, id: ActionId) -> Result<ActionHead> {
    let attempts = r.at(5)?;
    let key = match (r.at(2)?, r.at(3)?) {
        (Some(key), Some(fingerprint)) => Some(KeyClaim { key, fingerprint }),
        (None, None) => None,
        _ => return Err(damaged("an action's key")),
    };
    let open = match (r.at::<Option<[u8; 16]>>(12)?, r.at::<Option<[u8; 16]>>(13)?) {
        (Some(session), Some(intent)) => {
            Some(OpenAttempt { attempt: attempts, intent: EntryId::from_bytes(intent), session: SessionId::from_bytes(session) })
        }
        (Some(_), None) => return Err(damaged("an open attempt")),
        _ => None,
    };
    let state = ActionState::from_int(r.at(4)?).ok_or_else(|| damaged("an action's state"))?;
    let own = r.at(10)?;
    let (generation, generation_began) = match r.at::<Option<u32>>(15)? {
        Some(of_key) if inherits(state.is_disposed(), attempts, own, of_key) => (of_key, r.at(16)?),
        _ => (own, r.at(11)?),
    };
    Ok(ActionHead {
        id,
        scope,
        run: RunId::from_bytes(r.at(0)?),
        lane: r.at(1)?,
        key,
        strict: r.at(18)?,
        state,
        attempts: Attempts { count: attempts, in_doubt: r.at(6)?, generation_began, doubt_deadline: r.at(7)?, verify_failures: r.at(8)? },
        deadline_at: r.at::<Option<Timestamp>>(9)?,
        generation,
        open,
        approval: r.at::<Option<[u8; 16]>>(14)?.map(ApprovalId::from_bytes),
        compensates: r.at(17)?,
        node: r.at::<Option<u32>>(20)?.zip(r.at(21)?),
        fence: r.at(19)?,
        terms: terms(r.at(22)?)?,
    })
}

impl Actions for SqliteTx<'_> {
    fn head(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionHead>> {
        let mut sql = self.sql(HEAD)?;
        let values = params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()];
        sql.query_row(values, |r| Ok(read_head(Row::Sqlite(r), scope, id))).optional().or_store()?.transpose()
    }

    fn record(&mut self, scope: Scope, id: ActionId) -> Result<Option<ActionRecord>> {
        fetch_one(self, &one(scope, id))
    }

    fn waiting(&mut self, scope: Scope, id: ActionId) -> Result<Option<(u64, Terms)>> {
        let mut sql = self.sql("SELECT fence, terms FROM actions WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3")?;
        let values = params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()];
        sql.query_row(values, |r| Ok(Row::Sqlite(r)).map(|r| Ok((r.at(0)?, terms(r.at(1)?)?)))).optional().or_store()?.transpose()
    }

    fn views(&mut self, _: Scope, run: RunId) -> Result<Vec<View>> {
        let mut sql = self.sql(
            "SELECT id, state, disposition, resolved, flags, compensates IS NOT NULL, terms FROM actions WHERE run_id = ?1 ORDER BY seq",
        )?;
        let mut rows = sql.query([run.as_bytes()]).or_store()?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().or_store()? {
            let r = Row::Sqlite(row);
            let disposition: Option<String> = r.at(2)?;
            let flags: i64 = r.at(4)?;
            out.push(View {
                id: ActionId::from_bytes(r.at(0)?),
                compensates: r.at(5)?,
                terms: terms(r.at(6)?)?,
                view: ActionView {
                    state: ActionState::from_int(r.at(1)?).ok_or_else(|| damaged("an action's state"))?,
                    disposition: disposition
                        .as_deref()
                        .map(|d| Disposition::parse(d).ok_or_else(|| damaged("a disposition")))
                        .transpose()?,
                    resolved_applied: r.at::<Option<bool>>(3)? == Some(true),
                    independent: flags & 1 != 0,
                    continue_on_failure: flags & 2 != 0,
                },
            });
        }
        Ok(out)
    }

    fn write_action(&mut self, n: &NewActionRow<'_>) -> Result<()> {
        let (a, scope) = (n.action, n.scope);
        let proposal = serde_json::to_vec(&a.proposal).map_err(|_| damaged("a proposal"))?;
        let values = params![
            a.id.as_bytes(),
            n.run.as_bytes(),
            n.seq,
            scope.reseller_id.as_bytes(),
            scope.tenant_id.as_bytes(),
            scope.mode.as_int(),
            a.proposal.tool,
            a.tool_digest.map(|d| d.0),
            a.effect == Effect::Write,
            proposal,
            a.salt,
            a.lane.map(|d| d.0),
            a.key.map(|k| k.key.0),
            a.key.map(|k| k.fingerprint.0),
            n.strict,
            ActionState::Proposed.as_int(),
            n.compensates.map(|c| *c.as_bytes()),
            n.flags(),
            n.at.as_micros(),
            n.node.map(|(node, _)| node),
            n.node.map(|(_, request)| request.0),
            a.terms.to_bytes()
        ];
        self.exec(INSERT, values).map(|_| ())
    }

    fn write_move(&mut self, id: ActionId, from: ActionState, to: ActionState) -> Result<bool> {
        let now = self.instant().as_micros();
        let n = self.exec(
            "UPDATE actions SET state = ?3, updated_at = ?4 WHERE id = ?1 AND state = ?2",
            params![id.as_bytes(), from.as_int(), to.as_int(), now],
        )?;
        Ok(n == 1)
    }

    fn write_change(&mut self, id: ActionId, change: &ActionChange<'_>) -> Result<()> {
        let id = id.as_bytes();
        match *change {
            ActionChange::Began { attempt, generation, generation_began, rendered, deadline_at, intent, session } => self.exec(
                "UPDATE actions SET attempts = ?2, generation = ?3, rendered = ?4, deadline_at = ?5, last_intent = ?6, open_session = ?7,
                   generation_began = ?8 WHERE id = ?1",
                params![
                    id,
                    attempt,
                    generation,
                    rendered,
                    deadline_at.as_micros(),
                    intent.as_bytes(),
                    session.as_bytes(),
                    generation_began.as_micros()
                ],
            ),
            ActionChange::Closed { end } => {
                self.exec("UPDATE actions SET last_end = ?2, open_session = NULL WHERE id = ?1", params![id, end.as_bytes()])
            }
            ActionChange::Deferred { in_doubt, generation, doubt_deadline, verify_failures, fence } => self.exec(
                "UPDATE actions SET in_doubt = ?2, generation_began = CASE WHEN generation = ?3 THEN generation_began ELSE 0 END,
                   generation = ?3, doubt_deadline = ?4, verify_failures = ?5, fence = ?6 WHERE id = ?1",
                params![id, in_doubt, generation, doubt_deadline.as_micros(), verify_failures, int(fence)],
            ),
            ActionChange::Fence(fence) => self.exec("UPDATE actions SET fence = ?2 WHERE id = ?1", params![id, int(fence)]),
            ActionChange::Approval(approval) => {
                self.exec("UPDATE actions SET approval = ?2 WHERE id = ?1", params![id, approval.as_bytes()])
            }
            ActionChange::Noted { reason, detail } => {
                self.exec("UPDATE actions SET reason = ?2, detail = ?3 WHERE id = ?1", params![id, reason, detail])
            }
            ActionChange::Disposed { disposition, reason, detail, receipt, output } => self.exec(
                "UPDATE actions SET disposition = ?2, reason = ?3, detail = ?4, receipt = ?5, output = ?6, open_session = NULL,
                   rendered = NULL WHERE id = ?1",
                params![id, disposition.as_str(), reason, detail, receipt.as_bytes(), output],
            ),
            ActionChange::Resolved(applied) => self.exec("UPDATE actions SET resolved = ?2 WHERE id = ?1", params![id, applied]),
        }
        .map(|_| ())
    }
}
