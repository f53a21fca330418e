//! What a group writes: each table's changes as one statement over arrays. Every change names what it was decided on, and how many rows
//! that must be: a row that moved meanwhile fails the group, and its commands are decided again.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::error::{Result, damaged};
use crate::postgres::connection::{Param, Request};
use crate::postgres::table::Known;
use crate::postgres::tx::{HeldRow, PgTx};
use crate::tx::{StepName, StepRow, step_kind, step_name};
use crate::value::{Value, values};

mod graphs;
mod keys;

/// Rows of one statement, by column.
struct Columns {
    columns: Vec<Vec<Value>>,
    rows: usize,
}

impl Columns {
    fn of(rows: impl IntoIterator<Item = Vec<Value>>) -> Option<Self> {
        let mut it = Self { columns: Vec::new(), rows: 0 };
        for row in rows {
            if it.columns.is_empty() {
                it.columns = row.iter().map(|_| Vec::new()).collect();
            }
            it.columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
            it.rows += 1;
        }
        (it.rows > 0).then_some(it)
    }

    fn request(self, text: &'static str) -> Request {
        Request::new(text, self.columns.into_iter().map(Param::Many).collect())
    }
}

pub(super) fn put(out: &mut Vec<Request>, text: &'static str, rows: impl IntoIterator<Item = Vec<Value>>) {
    out.extend(Columns::of(rows).map(|c| c.request(text)));
}

/// A change of rows that were read: all of them, or nothing.
pub(super) fn change(out: &mut Vec<Request>, text: &'static str, rows: impl IntoIterator<Item = Vec<Value>>) {
    out.extend(Columns::of(rows).map(|c| {
        let rows = c.rows;
        c.request(text).changing(rows)
    }));
}

fn scoped(s: Scope) -> [Value; 3] {
    [s.reseller_id.as_bytes().into(), s.tenant_id.as_bytes().into(), s.mode.as_int().into()]
}

pub(super) fn with_scope(s: Scope, mut row: Vec<Value>) -> Vec<Value> {
    row.extend(scoped(s));
    row
}

pub(super) const fn is_new<V>(k: &Known<V>) -> bool {
    k.was.is_none() && k.value.is_some()
}

pub(super) const fn is_changed<V>(k: &Known<V>) -> bool {
    k.was.is_some() && k.value.is_some()
}

const fn is_gone<V>(k: &Known<V>) -> bool {
    k.was.is_some() && k.value.is_none()
}

/// Everything that a group changed, in the order in which it must be written: what goes away comes first.
pub(crate) fn requests(tx: &PgTx) -> Result<Vec<Request>> {
    let mut out = Vec::new();
    dispatch(tx, &mut out);
    runs(tx, &mut out);
    graphs::requests(tx, &mut out)?;
    actions(tx, &mut out)?;
    keys::keys(tx, &mut out);
    keys::lanes(tx, &mut out);
    additions(tx, &mut out);
    outbox(tx, &mut out);
    if tx.rev_raised {
        let text = "INSERT INTO meta (k, v) VALUES ('config_rev', $1) ON CONFLICT (k) DO UPDATE SET v = excluded.v";
        out.push(Request::new(text, vec![Param::One(int(tx.rev.0).into())]));
    }
    for s in &tx.out.statements {
        out.push(Request::new(s.text, s.values.iter().cloned().map(Param::One).collect()));
    }
    Ok(out)
}

fn step_columns(row: &StepRow) -> Vec<Value> {
    let name = row.name();
    with_scope(row.scope, values![name.step, name.node, row.run.as_bytes(), step_kind(row.step), int(row.fence)])
}

fn dispatch(tx: &PgTx, out: &mut Vec<Request>) {
    let forgotten: Vec<StepName> = tx.out.forgotten.iter().map(|(run, step)| step_name(*run, *step)).collect();
    // In the order in which others may move a step meanwhile: from a timer to its limit, and from there to the queue.
    for text in [
        "DELETE FROM timers t USING unnest($1::uuid[], $2::bigint[]) AS u(step, node) WHERE t.step = u.step AND t.node = u.node",
        "DELETE FROM parked p USING unnest($1::uuid[], $2::bigint[]) AS u(step, node) WHERE p.step = u.step AND p.node = u.node",
        "DELETE FROM ready r USING unnest($1::uuid[], $2::bigint[]) AS u(step, node) WHERE r.step = u.step AND r.node = u.node",
    ] {
        put(out, text, forgotten.iter().map(|n| values![n.step, n.node]));
    }
    let moved = moves(tx);
    change(
        out,
        "UPDATE held h SET node = u.to_node, fence = u.to_fence \
         FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[]) \
           AS u(step, node, session, fence, to_node, to_fence) \
         WHERE h.step = u.step AND h.node = u.node AND h.session = u.session AND h.fence = u.fence",
        moved.iter().map(|(from, to)| {
            let name = from.row.name();
            let to = (to.row.name().node, int(to.row.fence));
            values![name.step, name.node, from.session.as_bytes(), int(from.row.fence), to.0, to.1]
        }),
    );
    let stays: BTreeSet<StepName> = moved.iter().flat_map(|(from, to)| [from.row.name(), to.row.name()]).collect();
    // The claim that was checked, and no other, is ended.
    change(
        out,
        "DELETE FROM held h USING unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bigint[]) AS u(step, node, session, fence) \
         WHERE h.step = u.step AND h.node = u.node AND h.session = u.session AND h.fence = u.fence",
        tx.held.changed().filter(|(name, _)| !stays.contains(name)).filter_map(|(name, k)| {
            let was = k.was.as_ref()?;
            Some(values![name.step, name.node, was.session.as_bytes(), int(was.row.fence)])
        }),
    );
    put(
        out,
        "INSERT INTO held (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, session) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::smallint[], \
           $9::uuid[])",
        tx.held.changed().filter(|(name, _)| !stays.contains(name)).filter_map(|(_, k)| {
            let held = k.value.as_ref()?;
            let mut row = step_columns(&held.row);
            row.push(held.session.as_bytes().into());
            Some(row)
        }),
    );
    put(
        out,
        "INSERT INTO ready (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::smallint[], \
           $9::bigint[], $10::bigint[], $11::bigint[])",
        tx.out.ready.iter().filter(|row| row.terms.limits().next().is_none()).map(|row| placed(row, tx.now)),
    );
    limited(tx, out);
    put(
        out,
        "INSERT INTO timers (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, at, label, priority, limits) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::smallint[], \
           $9::bigint[], $10::bigint[], $11::smallint[], $12::bytea[])",
        tx.out.timers.iter().map(|(row, at)| {
            let mut columns = step_columns(row);
            columns.extend(values![*at, row.terms.label, i64::from(row.terms.priority), row.terms.limit_bytes()]);
            columns
        }),
    );
}

/// A row of the queue, with its place.
fn placed(row: &StepRow, now: Timestamp) -> Vec<Value> {
    let mut columns = step_columns(row);
    columns.extend(values![row.terms.label, now.as_micros() - row.terms.lead(), now]);
    columns
}

/// Limited steps wait under the narrowest of their limits; whoever claims next gives them places.
fn limited(tx: &PgTx, out: &mut Vec<Request>) {
    let rows = || tx.out.ready.iter().filter_map(|row| Some((row, row.terms.limits().next()?)));
    put(
        out,
        "INSERT INTO parked (step, node, run_id, kind, fence, reseller_id, tenant_id, mode, label, due, at, limit_id, limits) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::smallint[], \
           $9::bigint[], $10::bigint[], $11::bigint[], $12::uuid[], $13::bytea[])",
        rows().map(|(row, first)| {
            let mut columns = placed(row, tx.now);
            columns.extend(values![first.id, row.terms.limit_bytes()]);
            columns
        }),
    );
    let opened: BTreeMap<[u8; 16], Scope> = rows().map(|(row, first)| (first.id, row.scope)).collect();
    put(
        out,
        "INSERT INTO openings (label, limit_id, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[])",
        opened.into_iter().map(|(id, scope)| with_scope(scope, values![-1_i64, id])),
    );
}

/// Claims that go on to another node of their run: one row changes in its place, instead of one going and another coming.
fn moves(tx: &PgTx) -> Vec<(&HeldRow, &HeldRow)> {
    let gone = tx.held.changed().filter(|(name, k)| name.node > 0 && is_gone(k)).filter_map(|(_, k)| k.was.as_ref());
    let mut gone: BTreeMap<_, _> = gone.map(|h| ((h.row.run, h.session), h)).collect();
    let come = tx.held.changed().filter(|(name, k)| name.node > 0 && is_new(k)).filter_map(|(_, k)| k.value.as_ref());
    come.filter_map(|h| gone.remove(&(h.row.run, h.session)).map(|from| (from, h))).collect()
}

fn runs(tx: &PgTx, out: &mut Vec<Request>) {
    put(
        out,
        "INSERT INTO runs (id, event_id, operator, offering, principal, bundle, strict, state, cancelling, reason, actions, created_at, \
           planned_at, updated_at, graph, terms, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::boolean[], $8::smallint[], \
           $9::boolean[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[], $17::uuid[], $18::uuid[], \
           $19::smallint[])",
        tx.runs.changed().filter(|(_, k)| is_new(k)).filter_map(|(id, k)| {
            let run = k.value.as_ref()?;
            let n = run.new.as_ref()?;
            let row = values![
                id.as_bytes(),
                n.event.map(|e| *e.as_bytes()),
                n.operator.clone(),
                int(n.offering),
                &n.principal,
                n.bundle,
                n.strict,
                run.row.state.as_int(),
                run.row.cancelling,
                run.reason.clone(),
                run.row.actions,
                n.at,
                run.planned_at,
                run.updated_at,
                n.graph,
                n.terms.to_bytes(),
            ];
            Some(with_scope(run.scope, row))
        }),
    );
    change(
        out,
        "UPDATE runs r SET state = u.state, cancelling = u.cancelling, reason = u.reason, actions = u.actions, planned_at = u.planned_at, \
           updated_at = u.updated_at \
         FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[]) \
           AS u(id, state, cancelling, reason, actions, planned_at, updated_at) WHERE r.id = u.id",
        tx.runs.changed().filter(|(_, k)| is_changed(k)).filter_map(|(id, k)| {
            let r = k.value.as_ref()?;
            let (reason, state) = (r.reason.clone(), r.row.state.as_int());
            Some(values![id.as_bytes(), state, r.row.cancelling, reason, r.row.actions, r.planned_at, r.updated_at])
        }),
    );
}

const INSERT_ACTIONS: &str = "INSERT INTO actions (id, run_id, seq, tool, tool_digest, effect, proposal, flags, salt, lane, key, fingerprint, \
       strict, state, reason, detail, fence, approval, compensates, created_at, updated_at, node, request, terms, reseller_id, tenant_id, mode) \
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[], $6::boolean[], $7::bytea[], $8::bigint[], $9::bytea[], \
       $10::bytea[], $11::bytea[], $12::bytea[], $13::boolean[], $14::smallint[], $15::text[], $16::text[], $17::bigint[], $18::uuid[], \
       $19::uuid[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bytea[], $24::bytea[], $25::uuid[], $26::uuid[], $27::smallint[])";

const UPDATE_ACTIONS: &str = "UPDATE actions a SET state = u.state, disposition = u.disposition, resolved = u.resolved, attempts = u.attempts, \
       generation = u.generation, in_doubt = u.in_doubt, generation_began = u.generation_began, doubt_deadline = u.doubt_deadline, \
       verify_failures = u.verify_failures, fence = u.fence, deadline_at = u.deadline_at, last_intent = u.last_intent, last_end = u.last_end, \
       open_session = u.open_session, approval = u.approval, updated_at = u.updated_at, \
       reason = CASE WHEN u.noted THEN u.reason ELSE a.reason END, detail = CASE WHEN u.noted THEN u.detail ELSE a.detail END, \
       receipt = COALESCE(u.receipt, a.receipt), output = CASE WHEN u.receipt IS NULL THEN a.output ELSE u.output END, \
       rendered = CASE WHEN u.renders THEN u.rendered ELSE a.rendered END \
     FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::boolean[], $6::bigint[], $7::bigint[], $8::boolean[], \
       $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::uuid[], $15::uuid[], $16::uuid[], $17::uuid[], \
       $18::bigint[], $19::boolean[], $20::text[], $21::text[], $22::uuid[], $23::bytea[], $24::boolean[], $25::bytea[]) \
       AS u(id, was, state, disposition, resolved, attempts, generation, in_doubt, generation_began, doubt_deadline, verify_failures, \
       fence, deadline_at, last_intent, last_end, open_session, approval, updated_at, noted, reason, detail, receipt, output, renders, \
       rendered) WHERE a.id = u.id AND a.state = u.was";

fn actions(tx: &PgTx, out: &mut Vec<Request>) -> Result<()> {
    let mut new = Vec::new();
    for (id, a) in tx.actions.changed().filter(|(_, k)| is_new(k)).filter_map(|(id, k)| Some((id, k.value.as_ref()?))) {
        let (n, at) = a.new.as_deref().ok_or_else(|| damaged("a new action"))?;
        let proposal = serde_json::to_vec(&n.proposal).map_err(|_| damaged("a proposal"))?;
        let (reason, detail) = a.noted.clone().unwrap_or_default();
        let row = values![
            id.as_bytes(),
            a.run.as_bytes(),
            a.seq,
            &n.proposal.tool,
            n.tool_digest,
            n.effect == tollgate_core::spec::Effect::Write,
            proposal,
            i64::from(a.independent) | i64::from(a.continue_on_failure) << 1,
            n.salt,
            a.lane,
            a.key.map(|k| k.key),
            a.key.map(|k| k.fingerprint),
            a.strict,
            a.state.as_int(),
            reason,
            detail,
            int(a.fence),
            a.approval.map(|x| *x.as_bytes()),
            a.compensates.map(|x| *x.as_bytes()),
            *at,
            a.updated_at,
            a.node.map(|(node, _)| node),
            a.node.map(|(_, request)| request),
            a.terms.to_bytes(),
        ];
        new.push(with_scope(a.scope, row));
    }
    put(out, INSERT_ACTIONS, new);
    change(
        out,
        UPDATE_ACTIONS,
        tx.actions.changed().filter_map(|(id, k)| {
            let (was, a) = (k.was.as_ref()?, k.value.as_ref()?);
            let (reason, detail) = a.noted.clone().unwrap_or_default();
            let (receipt, output) = a.ended.clone().map_or((None, None), |(r, o)| (Some(*r.as_bytes()), o));
            Some(values![
                id.as_bytes(),
                was.state.as_int(),
                a.state.as_int(),
                a.disposition.map(tollgate_core::ledger::Disposition::as_str),
                a.resolved,
                a.attempts,
                a.generation,
                a.in_doubt,
                a.generation_began,
                a.doubt_deadline,
                a.verify_failures,
                int(a.fence),
                a.deadline_at,
                a.last_intent.map(|x| *x.as_bytes()),
                a.last_end.map(|x| *x.as_bytes()),
                a.open_session.map(|x| *x.as_bytes()),
                a.approval.map(|x| *x.as_bytes()),
                a.updated_at,
                a.noted.is_some(),
                reason,
                detail,
                receipt,
                output,
                a.rendered.is_some(),
                a.rendered.clone().flatten(),
            ])
        }),
    );
    Ok(())
}

fn outbox(tx: &PgTx, out: &mut Vec<Request>) {
    put(
        out,
        "INSERT INTO outbox_queue (changes, at, runs, body, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::uuid[], $6::uuid[], $7::smallint[])",
        tx.out.notes.parcels().map(|p| {
            let runs: Vec<u8> = p.runs.iter().flat_map(|r| *r.as_bytes()).collect();
            with_scope(p.scope, values![p.changes, p.at, runs, p.body])
        }),
    );
}

fn additions(tx: &PgTx, out: &mut Vec<Request>) {
    put(
        out,
        "INSERT INTO events (id, source, event_type, subject, time, received_at, correlation_id, agent_id, session_id, traceparent, payload, \
           reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], \
           $10::text[], $11::text[], $12::uuid[], $13::uuid[], $14::smallint[])",
        tx.out.events.iter().map(|e| {
            let row = values![
                e.id.as_bytes(),
                &e.source,
                &e.event_type,
                e.subject.clone(),
                e.time,
                e.received_at,
                e.correlation_id.clone(),
                e.agent_id.clone(),
                e.session_id.clone(),
                e.traceparent.clone(),
                e.payload.get(),
            ];
            with_scope(e.scope, row)
        }),
    );
    put(
        out,
        "INSERT INTO unpublished (event, reseller_id, tenant_id, mode) \
         SELECT u.a, u.b, u.c, u.d FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[]) WITH ORDINALITY AS u(a, b, c, d, o) ORDER BY u.o",
        tx.out.events.iter().map(|e| with_scope(e.scope, values![e.id.as_bytes()])),
    );
    put(
        out,
        "INSERT INTO idempotency (tenant_id, mode, route, key, reseller_id, fingerprint, ref, expires_at) \
         SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::uuid[], $6::bytea[], $7::uuid[], $8::bigint[]) \
         ON CONFLICT (tenant_id, mode, route, key) \
         DO UPDATE SET fingerprint = excluded.fingerprint, ref = excluded.ref, expires_at = excluded.expires_at",
        tx.requests.changed().filter_map(|(_, k)| {
            let r = k.value.as_ref()?;
            let (s, is) = (r.scope, r.is);
            let (tenant, reseller) = (s.tenant_id.as_bytes(), s.reseller_id.as_bytes());
            Some(values![tenant, s.mode.as_int(), &r.route, &r.key, reseller, is.fingerprint, is.reference, is.expires_at])
        }),
    );
    entries(tx, out);
}

fn entries(tx: &PgTx, out: &mut Vec<Request>) {
    let keys = tx.out.entries.iter().filter_map(|(s, e)| Some((*s, e.sealed.as_ref()?.new_key.as_ref()?)));
    let keys: std::collections::BTreeMap<_, _> = keys.map(|(s, k)| (k.key_id, (s, k))).collect();
    if let Some(c) = Columns::of(keys.into_values().map(|(s, k)| with_scope(s, values![k.key_id, k.subject, &k.wrapped]))) {
        // The same key travels until its maker has heard that it is stored.
        let text = "INSERT INTO subject_keys (key_id, subject, wrapped, reseller_id, tenant_id, mode) \
             SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::uuid[], $5::uuid[], $6::smallint[]) ON CONFLICT (key_id) DO NOTHING";
        out.push(c.request(text));
    }
    put(
        out,
        "INSERT INTO entries (id, kind, at, action, leaf, leaf_hash, sealed, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::bytea[], $6::bytea[], $7::bytea[], $8::uuid[], $9::uuid[], \
           $10::smallint[])",
        tx.out.entries.iter().map(|(s, e)| {
            let sealed = e.sealed.as_ref().map(|x| x.bytes.clone());
            let action = e.action.map(|a| *a.as_bytes());
            with_scope(*s, values![e.id.as_bytes(), e.kind.as_str(), e.at, action, &e.leaf, e.leaf_hash, sealed])
        }),
    );
    put(
        out,
        "INSERT INTO unsequenced (entry, leaf_hash, reseller_id, tenant_id, mode) SELECT u.a, u.b, u.c, u.d, u.e \
         FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::smallint[]) WITH ORDINALITY AS u(a, b, c, d, e, o) ORDER BY u.o",
        tx.out.entries.iter().map(|(s, e)| with_scope(*s, values![e.id.as_bytes(), e.leaf_hash])),
    );
}
