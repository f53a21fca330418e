//! What a group reads: the rows that its commands want, many at a time, by their keys.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row as PgRow;
use tollgate_core::action::ActionState as State;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId, SessionId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::KeyClaim;
use tollgate_core::run::RunState as Standing;
use tollgate_core::terms::Terms;

use crate::codec::{int, terms};
use crate::error::{Result, damaged};
use crate::postgres::connection::{Param, Request};
use crate::postgres::tx::{ActionState, GraphState, HeldRow, LaneBook, PgTx, RequestRow, RunState, Select, Waiters};
use crate::query::graphs::read_progress;
use crate::row::Row;
use crate::tx::{GraphRow, KeyRecord, KeyRowState, Remembered, RunRow, StepName, StepRow, Ticket, step_of};
use crate::value::Value;

const SESSIONS: &str = "SELECT id, expires_at FROM sessions WHERE id = ANY($1)";
// Locked: whoever hands a lapsed session's steps to others waits for this transaction, or was faster.
const HELD: &str = "SELECT h.step, h.run_id, h.kind, h.fence, h.session, h.node, h.limits IS NOT NULL AS limited, h.reseller_id, h.tenant_id, h.mode \
     FROM unnest($1::uuid[], $2::bigint[]) AS q(step, node) JOIN held h ON h.step = q.step AND h.node = q.node ORDER BY h.step, h.node FOR UPDATE OF h";
const GRAPHS: &str = "SELECT run_id, input, progress, reseller_id, tenant_id, mode FROM graphs WHERE run_id = ANY($1)";
const RUNS: &str = "SELECT id, state, cancelling, strict, operator, actions, reason, planned_at, updated_at, graph, terms, reseller_id, tenant_id, mode \
     FROM runs WHERE id = ANY($1)";
const ACTIONS: &str = "SELECT id, run_id, seq, lane, key, fingerprint, strict, flags, compensates, state, disposition, resolved, attempts, \
     generation, in_doubt, generation_began, doubt_deadline, verify_failures, fence, deadline_at, last_intent, last_end, open_session, \
     approval, updated_at, node, request, terms, reseller_id, tenant_id, mode FROM actions";
const KEYS: &str = "SELECT key, state, action, receipt, fingerprint, generation, began, reseller_id, tenant_id, mode \
     FROM effect_keys WHERE key = ANY($1)";
const DENIALS: &str = "SELECT d.key, d.fingerprint, d.entry, d.reseller_id, d.tenant_id, d.mode \
     FROM unnest($1::bytea[], $2::bytea[]) AS q(key, fingerprint) JOIN denials d ON d.key = q.key AND d.fingerprint = q.fingerprint";
const WAITERS: &str = "SELECT key, action, run_id, reseller_id, tenant_id, mode FROM key_waiters WHERE key = ANY($1) ORDER BY key, action";
const REQUESTS: &str = "SELECT i.tenant_id, i.mode, i.route, i.key, i.ref, i.fingerprint, i.expires_at \
     FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[]) AS q(tenant_id, mode, route, key) \
     JOIN idempotency i ON i.tenant_id = q.tenant_id AND i.mode = q.mode AND i.route = q.route AND i.key = q.key";
const LANES: &str = "SELECT q.lane, l.step, l.run_id, (SELECT max(m.ticket) FROM lanes m WHERE m.lane = q.lane) AS last \
     FROM unnest($1::bytea[], $2::bigint[]) AS q(lane, front) CROSS JOIN LATERAL \
     (SELECT step, run_id FROM lanes WHERE lane = q.lane ORDER BY ticket LIMIT q.front) l";
const BEHIND: &str = "SELECT l.lane, l.step FROM unnest($1::bytea[], $2::uuid[]) AS q(lane, step) \
     JOIN lanes l ON l.lane = q.lane AND l.step = q.step";

/// What an answer is of.
pub(crate) enum Asked {
    Graphs(BTreeSet<RunId>),
    Sessions(BTreeSet<SessionId>),
    Held(BTreeSet<StepName>),
    Runs(BTreeSet<RunId>),
    Plans(BTreeSet<RunId>),
    Actions(BTreeSet<ActionId>),
    Keys(BTreeSet<Digest>),
    Denials(BTreeSet<(Digest, Digest)>),
    Waiters(BTreeSet<Digest>),
    Requests(BTreeMap<(Vec<u8>, i64, String, String), Digest>),
    Lanes(BTreeMap<Digest, usize>),
    Behind(BTreeSet<(Digest, [u8; 16])>),
    Select(Select),
}

fn many<T: Into<Value>>(values: impl IntoIterator<Item = T>) -> Param {
    Param::Many(values.into_iter().map(Into::into).collect())
}

/// The requests for everything that is wanted, each with what it asks.
pub(crate) fn wanted(tx: &mut PgTx) -> Vec<(Asked, Request)> {
    let mut out = Vec::new();
    let mut ask = |is_empty: bool, asked: Asked, text: String, params: Vec<Param>| {
        if !is_empty {
            out.push((asked, Request::new(text, params)));
        }
    };
    let sessions = tx.sessions.wanted();
    let ids = many(sessions.iter().map(SessionId::as_bytes));
    ask(sessions.is_empty(), Asked::Sessions(sessions), SESSIONS.to_owned(), vec![ids]);
    let held = tx.held.wanted();
    let names = vec![many(held.iter().map(|n| n.step)), many(held.iter().map(|n| n.node))];
    ask(held.is_empty(), Asked::Held(held), HELD.to_owned(), names);
    let graphs = tx.graphs.wanted();
    let ids = many(graphs.iter().map(RunId::as_bytes));
    ask(graphs.is_empty(), Asked::Graphs(graphs), GRAPHS.to_owned(), vec![ids]);
    let runs = tx.runs.wanted();
    let ids = many(runs.iter().map(RunId::as_bytes));
    ask(runs.is_empty(), Asked::Runs(runs), RUNS.to_owned(), vec![ids]);
    let plans = tx.plans.wanted();
    let ids = many(plans.iter().map(RunId::as_bytes));
    ask(plans.is_empty(), Asked::Plans(plans), format!("{ACTIONS} WHERE run_id = ANY($1) ORDER BY run_id, seq"), vec![ids]);
    let actions = tx.actions.wanted();
    let ids = many(actions.iter().map(ActionId::as_bytes));
    ask(actions.is_empty(), Asked::Actions(actions), format!("{ACTIONS} WHERE id = ANY($1)"), vec![ids]);
    let keys = tx.keys.wanted();
    let ids = many(keys.iter().copied());
    ask(keys.is_empty(), Asked::Keys(keys), KEYS.to_owned(), vec![ids]);
    let denials = tx.denials.wanted();
    let pair = vec![many(denials.iter().map(|d| d.0)), many(denials.iter().map(|d| d.1))];
    ask(denials.is_empty(), Asked::Denials(denials), DENIALS.to_owned(), pair);
    let waiters = tx.waiters.wanted();
    let ids = many(waiters.iter().copied());
    ask(waiters.is_empty(), Asked::Waiters(waiters), WAITERS.to_owned(), vec![ids]);
    requests(tx, &mut ask);
    lanes(tx, &mut ask);
    for select in tx.memo.wanted() {
        let params = select.values.iter().cloned().map(Param::One).collect();
        ask(false, Asked::Select(select.clone()), select.text.clone(), params);
    }
    out
}

type Ask<'a> = dyn FnMut(bool, Asked, String, Vec<Param>) + 'a;

fn requests(tx: &mut PgTx, ask: &mut Ask<'_>) {
    let names = tx.requests.wanted();
    let known = names.iter().filter_map(|n| Some((n, tx.request_names.get(n)?)));
    let rows: Vec<_> = known.map(|(n, (s, route, key))| (*n, *s, route.clone(), key.clone())).collect();
    let params = vec![
        many(rows.iter().map(|(_, s, ..)| s.tenant_id.as_bytes())),
        many(rows.iter().map(|(_, s, ..)| s.mode.as_int())),
        many(rows.iter().map(|(_, _, route, _)| route)),
        many(rows.iter().map(|(.., key)| key)),
    ];
    let back = rows.into_iter().map(|(n, s, route, key)| ((s.tenant_id.as_bytes().to_vec(), s.mode.as_int(), route, key), n)).collect();
    ask(names.is_empty(), Asked::Requests(back), REQUESTS.to_owned(), params);
}

fn lanes(tx: &mut PgTx, ask: &mut Ask<'_>) {
    let (mut fronts, mut behind) = (BTreeMap::new(), BTreeSet::new());
    for (lane, book) in &mut tx.lanes {
        if book.wanted_front > 0 {
            fronts.insert(*lane, std::mem::take(&mut book.wanted_front));
        }
        behind.extend(std::mem::take(&mut book.wanted_steps).into_iter().map(|s| (*lane, s)));
    }
    // One more than wanted tells whether there are more.
    let params = vec![many(fronts.keys().copied()), many(fronts.values().map(|n| int(*n as u64 + 1)))];
    ask(fronts.is_empty(), Asked::Lanes(fronts), LANES.to_owned(), params);
    let params = vec![many(behind.iter().map(|b| b.0)), many(behind.iter().map(|b| b.1))];
    ask(behind.is_empty(), Asked::Behind(behind), BEHIND.to_owned(), params);
}

/// Takes in an answer.
pub(crate) fn fetched(tx: &mut PgTx, asked: Asked, rows: Vec<PgRow>) -> Result<()> {
    match asked {
        Asked::Sessions(want) => {
            for r in rows.iter().map(Row::Postgres) {
                tx.sessions.fetched(SessionId::from_bytes(r.at(0)?), Some(r.at(1)?));
            }
            tx.sessions.settle(want);
        }
        Asked::Held(want) => {
            for r in rows.iter().map(Row::Postgres) {
                let name = StepName { step: r.at(0)?, node: r.at(5)? };
                let row = StepRow {
                    scope: r.scope()?,
                    run: RunId::from_bytes(r.at(1)?),
                    step: step_of(r.at(2)?, name)?,
                    fence: r.at(3)?,
                    terms: Terms::default(),
                };
                tx.held.fetched(name, Some(HeldRow { row, session: SessionId::from_bytes(r.at(4)?), limited: r.at(6)? }));
            }
            tx.held.settle(want);
        }
        Asked::Graphs(want) => {
            for r in rows.iter().map(Row::Postgres) {
                let row = GraphRow { input: r.at(1)?, progress: read_progress(&r.at::<Vec<u8>>(2)?)? };
                tx.graphs.fetched(RunId::from_bytes(r.at(0)?), Some(GraphState { scope: r.scope()?, row }));
            }
            tx.graphs.settle(want);
        }
        Asked::Runs(want) => {
            for r in rows.iter().map(Row::Postgres) {
                tx.runs.fetched(RunId::from_bytes(r.at(0)?), Some(read_run(r)?));
            }
            tx.runs.settle(want);
        }
        Asked::Plans(want) => plans(tx, want, &rows)?,
        Asked::Actions(want) => {
            for r in rows.iter().map(Row::Postgres) {
                tx.actions.fetched(ActionId::from_bytes(r.at(0)?), Some(read_action(r)?));
            }
            tx.actions.settle(want);
        }
        Asked::Keys(want) => {
            for r in rows.iter().map(Row::Postgres) {
                tx.keys.fetched(r.at(0)?, Some((r.scope()?, read_key(r)?)));
            }
            tx.keys.settle(want);
        }
        Asked::Denials(want) => {
            for r in rows.iter().map(Row::Postgres) {
                tx.denials.fetched((r.at(0)?, r.at(1)?), Some((r.scope()?, EntryId::from_bytes(r.at(2)?))));
            }
            tx.denials.settle(want);
        }
        Asked::Waiters(want) => {
            let mut found: BTreeMap<Digest, Waiters> = BTreeMap::new();
            for r in rows.iter().map(Row::Postgres) {
                let waiters = found.entry(r.at(0)?).or_insert(Waiters { scope: r.scope()?, who: BTreeMap::new() });
                waiters.who.insert(ActionId::from_bytes(r.at(1)?), RunId::from_bytes(r.at(2)?));
            }
            found.into_iter().for_each(|(key, waiters)| tx.waiters.fetched(key, Some(waiters)));
            tx.waiters.settle(want);
        }
        Asked::Requests(names) => {
            for r in rows.iter().map(Row::Postgres) {
                let (tenant, mode): ([u8; 16], i64) = (r.at(0)?, r.at(1)?);
                let (route, key): (String, String) = (r.at(2)?, r.at(3)?);
                let Some(name) = names.get(&(tenant.to_vec(), mode, route.clone(), key.clone())) else { continue };
                let Some((scope, ..)) = tx.request_names.get(name).cloned() else { continue };
                let is = Remembered { reference: r.at(4)?, fingerprint: r.at(5)?, expires_at: r.at(6)? };
                tx.requests.fetched(*name, Some(RequestRow { scope, route, key, is }));
            }
            tx.requests.settle(names.into_values());
        }
        Asked::Lanes(fronts) => read_lanes(tx, &fronts, &rows)?,
        Asked::Behind(want) => {
            let found: BTreeSet<(Digest, [u8; 16])> =
                rows.iter().map(Row::Postgres).map(|r| Ok((r.at(0)?, r.at(1)?))).collect::<Result<_>>()?;
            for (lane, step) in want {
                if let Some(book) = tx.lanes.get_mut(&lane) {
                    book.behind.insert(step, found.contains(&(lane, step)));
                }
            }
        }
        Asked::Select(select) => tx.memo.fetched(&select, rows),
    }
    Ok(())
}

fn plans(tx: &mut PgTx, want: BTreeSet<RunId>, rows: &[PgRow]) -> Result<()> {
    let mut found: BTreeMap<RunId, Vec<ActionId>> = BTreeMap::new();
    for r in rows.iter().map(Row::Postgres) {
        let (id, action) = (ActionId::from_bytes(r.at(0)?), read_action(r)?);
        found.entry(action.run).or_default().push(id);
        tx.actions.fetched(id, Some(action));
    }
    for run in want {
        let plan = found.remove(&run).unwrap_or_default();
        tx.plans.fetched(run, Some(plan));
    }
    Ok(())
}

fn read_lanes(tx: &mut PgTx, fronts: &BTreeMap<Digest, usize>, rows: &[PgRow]) -> Result<()> {
    let mut found: BTreeMap<Digest, (Vec<Ticket>, i64)> = BTreeMap::new();
    for r in rows.iter().map(Row::Postgres) {
        let lane = found.entry(r.at(0)?).or_default();
        lane.0.push(Ticket { step: r.at(1)?, run: RunId::from_bytes(r.at(2)?) });
        lane.1 = r.at(3)?;
    }
    for (lane, want) in fronts {
        let (mut front, last) = found.remove(lane).unwrap_or_default();
        let book: &mut LaneBook = tx.lanes.entry(*lane).or_default();
        book.more = front.len() > *want;
        front.truncate(*want);
        book.front = front;
        book.last = last;
        book.is_fetched = true;
    }
    Ok(())
}

fn read_run(r: Row<'_>) -> Result<RunState> {
    let row = RunRow {
        state: Standing::from_int(r.at(1)?).ok_or_else(|| damaged("a run's state"))?,
        cancelling: r.at(2)?,
        strict: r.at(3)?,
        operator: r.at(4)?,
        actions: r.at(5)?,
        graph: r.at(9)?,
        terms: terms(r.at(10)?)?,
    };
    Ok(RunState { scope: r.scope()?, row, reason: r.at(6)?, planned_at: r.at(7)?, updated_at: r.at(8)?, new: None })
}

fn read_key(r: Row<'_>) -> Result<KeyRecord> {
    Ok(KeyRecord {
        state: KeyRowState::from_int(r.at(1)?)?,
        action: ActionId::from_bytes(r.at(2)?),
        receipt: r.at::<Option<[u8; 16]>>(3)?.map(EntryId::from_bytes),
        fingerprint: r.at(4)?,
        generation: r.at(5)?,
        began: r.at(6)?,
    })
}

fn read_action(r: Row<'_>) -> Result<ActionState> {
    let key = match (r.at(4)?, r.at(5)?) {
        (Some(key), Some(fingerprint)) => Some(KeyClaim { key, fingerprint }),
        (None, None) => None,
        _ => return Err(damaged("an action's key")),
    };
    let flags: i64 = r.at(7)?;
    let disposition: Option<String> = r.at(10)?;
    let id = |at: usize| r.at::<Option<[u8; 16]>>(at);
    Ok(ActionState {
        scope: r.scope()?,
        run: RunId::from_bytes(r.at(1)?),
        seq: r.at(2)?,
        lane: r.at(3)?,
        key,
        strict: r.at(6)?,
        independent: flags & 1 != 0,
        continue_on_failure: flags & 2 != 0,
        compensates: id(8)?.map(ActionId::from_bytes),
        state: State::from_int(r.at(9)?).ok_or_else(|| damaged("an action's state"))?,
        disposition: disposition.as_deref().map(|d| Disposition::parse(d).ok_or_else(|| damaged("a disposition"))).transpose()?,
        resolved: r.at(11)?,
        attempts: r.at(12)?,
        generation: r.at(13)?,
        in_doubt: r.at(14)?,
        generation_began: r.at(15)?,
        doubt_deadline: r.at(16)?,
        verify_failures: r.at(17)?,
        fence: r.at(18)?,
        terms: terms(r.at(27)?)?,
        deadline_at: r.at(19)?,
        last_intent: id(20)?.map(EntryId::from_bytes),
        last_end: id(21)?.map(EntryId::from_bytes),
        open_session: id(22)?.map(SessionId::from_bytes),
        approval: id(23)?.map(ApprovalId::from_bytes),
        updated_at: r.at(24)?,
        node: r.at::<Option<u32>>(25)?.zip(r.at(26)?),
        noted: None,
        ended: None,
        rendered: None,
        new: None,
    })
}
