//! What a group writes of effect keys, of who waits for them, and of lanes.

use tollgate_core::scope::Scope;

use super::{Columns, change, is_gone, is_new, put, with_scope};
use crate::postgres::connection::{Param, Request};
use crate::postgres::table::Known;
use crate::postgres::tx::PgTx;
use crate::value::{Value, values};

pub(super) fn keys(tx: &PgTx, out: &mut Vec<Request>) {
    let row = |key: &tollgate_core::hash::Digest, s: Scope, k: &crate::tx::KeyRecord| {
        let receipt = k.receipt.map(|r| *r.as_bytes());
        with_scope(s, values![*key, k.state.as_int(), k.action.as_bytes(), receipt, k.fingerprint, k.generation, k.began])
    };
    put(
        out,
        "INSERT INTO effect_keys (key, state, action, receipt, fingerprint, generation, began, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bigint[], $7::bigint[], $8::uuid[], \
           $9::uuid[], $10::smallint[])",
        tx.keys.changed().filter(|(_, k)| is_new(k)).filter_map(|(key, k)| k.value.as_ref().map(|(s, v)| row(key, *s, v))),
    );
    change(
        out,
        "UPDATE effect_keys k SET state = u.state, action = u.action, receipt = u.receipt, fingerprint = u.fingerprint, \
           generation = u.generation, began = u.began \
         FROM unnest($1::bytea[], $2::smallint[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bigint[], $7::bigint[], $8::smallint[]) \
           AS u(key, state, action, receipt, fingerprint, generation, began, was) WHERE k.key = u.key AND k.state = u.was AND k.state <> 2",
        tx.keys.changed().filter_map(|(key, k)| {
            let ((_, was), (s, now)) = (k.was.as_ref()?, k.value.as_ref()?);
            let mut columns = row(key, *s, now);
            columns.truncate(7);
            columns.push(was.state.as_int().into());
            Some(columns)
        }),
    );
    let stale: Vec<Value> = tx.waiters.changed().filter(|(_, k)| k.was.is_some()).map(|(key, _)| (*key).into()).collect();
    if !stale.is_empty() {
        out.push(Request::new("DELETE FROM key_waiters WHERE key = ANY($1)", vec![Param::Many(stale)]));
    }
    put(
        out,
        "INSERT INTO key_waiters (key, action, run_id, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::smallint[])",
        tx.waiters.changed().filter_map(|(key, k)| Some((key, k.value.as_ref()?))).flat_map(|(key, w)| {
            w.who.iter().map(|(action, run)| with_scope(w.scope, values![*key, action.as_bytes(), run.as_bytes()])).collect::<Vec<_>>()
        }),
    );
    let denials = |wanted: fn(&Known<(Scope, tollgate_core::id::EntryId)>) -> bool| tx.denials.changed().filter(move |(_, k)| wanted(k));
    change(
        out,
        "DELETE FROM denials d USING unnest($1::bytea[], $2::bytea[]) AS u(key, fingerprint) \
         WHERE d.key = u.key AND d.fingerprint = u.fingerprint",
        denials(is_gone).map(|((key, fingerprint), _)| values![*key, *fingerprint]),
    );
    put(
        out,
        "INSERT INTO denials (key, fingerprint, entry, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::uuid[], $4::uuid[], $5::uuid[], $6::smallint[]) \
         ON CONFLICT (key, fingerprint) DO UPDATE SET entry = excluded.entry",
        denials(|k| k.value.is_some()).filter_map(|((key, fingerprint), k)| {
            let (s, entry) = k.value.as_ref()?;
            Some(with_scope(*s, values![*key, *fingerprint, entry.as_bytes()]))
        }),
    );
}

pub(super) fn lanes(tx: &PgTx, out: &mut Vec<Request>) {
    let (mut gone, mut handed, mut pushed) = (Vec::new(), Vec::new(), Vec::new());
    for (lane, book) in &tx.lanes {
        let done = &book.done;
        gone.extend(done.dropped.iter().map(|row| values![*lane, *row]));
        let stay = done.handed.iter().filter(|(row, _)| !done.dropped.contains(*row));
        handed.extend(stay.map(|(row, to)| values![*lane, *row, *to]));
        let Some(scope) = book.scope else { continue };
        pushed.extend(done.pushed.iter().zip(book.last + 1..).map(|(t, n)| with_scope(scope, values![*lane, n, t.step, t.run.as_bytes()])));
    }
    if let Some(c) = Columns::of(gone) {
        // Who has no place is no fault: an action leaves whether it held one or not.
        let text = "DELETE FROM lanes l USING unnest($1::bytea[], $2::uuid[]) AS u(lane, step) WHERE l.lane = u.lane AND l.step = u.step";
        out.push(c.request(text));
    }
    change(
        out,
        "UPDATE lanes l SET step = u.to_step FROM unnest($1::bytea[], $2::uuid[], $3::uuid[]) AS u(lane, from_step, to_step) \
         WHERE l.lane = u.lane AND l.step = u.from_step",
        handed,
    );
    put(
        out,
        "INSERT INTO lanes (lane, ticket, step, run_id, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[])",
        pushed,
    );
}
