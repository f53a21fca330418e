//! Runs of graphs: what running a node needs, specs, large results.

use tollgate_core::graph::{EntryKind, GraphSpec, JournalEntry, Progress};
use tollgate_core::hash::Digest;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, Lease, NodeRecord};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;

use crate::error::{Result, damaged};
use crate::row::Row;
use crate::tx::{Query, StepName, step_of};
use crate::value::values;

/// Reads a progress.
pub(crate) fn read_progress(bytes: &[u8]) -> Result<Progress> {
    Progress::from_bytes(bytes).map_err(|e| tollgate_core::ports::StoreError::Corrupt(e.to_string()))
}

fn read_entry(r: Row<'_>) -> Result<JournalEntry> {
    let result: Option<Vec<u8>> = r.get("result")?;
    Ok(JournalEntry {
        run: RunId::from_bytes(r.get("of_run")?),
        seq: r.get("seq")?,
        kind: EntryKind::from_int(r.get("kind")?).ok_or_else(|| damaged("the kind of a journal's entry"))?,
        step: r.get("step")?,
        request_hash: r.get("request_hash")?,
        result: result.map(|b| serde_json::from_slice(&b).map_err(|_| damaged("a result in a journal"))).transpose()?,
        semantics_version: r.get("semantics_version")?,
    })
}

fn read_node(r: Row<'_>) -> Result<(NodeRecord, JournalEntry)> {
    let record = NodeRecord {
        state: RunState::from_int(r.get("state")?).ok_or_else(|| damaged("a run's state"))?,
        bundle: r.get("bundle")?,
        spec: r.get("graph")?,
        progress: read_progress(&r.get::<Vec<u8>>("progress")?)?,
        journal: Vec::new(),
    };
    Ok((record, read_entry(r)?))
}

/// What running a node needs, once an entry of the run's journal.
pub(crate) fn node(s: Scope, run: RunId) -> Query<(NodeRecord, JournalEntry)> {
    Query {
        text: "SELECT r.id AS of_run, r.state, r.bundle, r.graph, g.progress, j.seq, j.kind, j.step, j.request_hash, j.result, j.semantics_version \
             FROM runs r JOIN graphs g ON g.run_id = r.id JOIN journal j ON j.run_id = r.id \
             WHERE r.id = $1 AND r.tenant_id = $2 AND r.mode = $3 ORDER BY j.seq"
            .into(),
        values: values![run.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()],
        read: read_node,
    }
}

/// The record of all entries.
pub(crate) fn gathered(rows: Vec<(NodeRecord, JournalEntry)>) -> Option<NodeRecord> {
    let mut out: Option<NodeRecord> = None;
    for (record, entry) in rows {
        out.get_or_insert(record).journal.push(entry);
    }
    out
}

/// The spec of a graph.
pub(crate) fn spec(s: Scope, digest: Digest) -> Query<GraphSpec> {
    Query {
        text: "SELECT body FROM artifacts WHERE digest = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![digest, s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| serde_json::from_slice(&r.at::<Vec<u8>>(0)?).map_err(|_| damaged("the spec of a graph")),
    }
}

/// A large result.
pub(crate) fn blob(s: Scope, digest: Digest) -> Query<Vec<u8>> {
    Query {
        text: "SELECT body FROM blobs WHERE digest = $1 AND tenant_id = $2 AND mode = $3".into(),
        values: values![digest, s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| r.at(0),
    }
}

/// The nodes and actions of a run that a session holds.
pub(crate) fn held(s: Scope, run: RunId, session: SessionId) -> Query<Claimed> {
    Query {
        text: "SELECT reseller_id, tenant_id, mode, run_id, step, node, kind, fence, session FROM held \
             WHERE run_id = $1 AND session = $2 AND tenant_id = $3 AND mode = $4 ORDER BY step, node"
            .into(),
        values: values![run.as_bytes(), session.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| {
            let name = StepName { step: r.get("step")?, node: r.get("node")? };
            Ok(Claimed {
                scope: r.scope()?,
                run: RunId::from_bytes(r.get("run_id")?),
                step: step_of(r.get("kind")?, name)?,
                lease: Lease { session: SessionId::from_bytes(r.get("session")?), fence: r.get("fence")? },
            })
        },
    }
}
