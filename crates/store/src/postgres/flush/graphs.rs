//! What a group writes of runs of graphs.

use super::{change, is_changed, is_new, put, with_scope};
use crate::error::{Result, damaged};
use crate::postgres::connection::Request;
use crate::postgres::tx::PgTx;
use crate::value::values;

/// Where runs stand, and their journals.
pub(super) fn requests(tx: &PgTx, out: &mut Vec<Request>) -> Result<()> {
    put(
        out,
        "INSERT INTO graphs (run_id, input, entries, progress, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bytea[], $5::uuid[], $6::uuid[], $7::smallint[])",
        tx.graphs.changed().filter(|(_, k)| is_new(k)).filter_map(|(run, k)| {
            let g = k.value.as_ref()?;
            let progress = &g.row.progress;
            Some(with_scope(g.scope, values![run.as_bytes(), g.row.input, progress.next_seq(), progress.to_bytes()]))
        }),
    );
    change(
        out,
        "UPDATE graphs g SET entries = u.entries, progress = u.progress \
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[]) AS u(run_id, was, entries, progress) \
         WHERE g.run_id = u.run_id AND g.entries = u.was",
        tx.graphs.changed().filter(|(_, k)| is_changed(k)).filter_map(|(run, k)| {
            let (was, is) = (&k.was.as_ref()?.row.progress, &k.value.as_ref()?.row.progress);
            Some(values![run.as_bytes(), was.next_seq(), is.next_seq(), is.to_bytes()])
        }),
    );
    let mut rows = Vec::with_capacity(tx.out.journal.len());
    for (scope, e, at) in &tx.out.journal {
        let result = e.result.as_ref().map(serde_json::to_vec).transpose().map_err(|_| damaged("a result"))?;
        let row = values![e.run.as_bytes(), e.seq, e.kind.as_int(), e.step, e.request_hash, result, e.semantics_version, *at];
        rows.push(with_scope(*scope, row));
    }
    put(
        out,
        "INSERT INTO journal (run_id, seq, kind, step, request_hash, result, semantics_version, at, reseller_id, tenant_id, mode) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bigint[], \
           $9::uuid[], $10::uuid[], $11::smallint[])",
        rows,
    );
    Ok(())
}
