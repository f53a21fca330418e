//! Runs of graphs: each command moves the pure machine, writes down what happened, and hands out what became ready.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use serde_json::json;
use tollgate_core::action::{ActionState, Trigger};
use tollgate_core::graph::{self, EntryKind, GraphPlan, GraphSpec, Outcome, Progress, Refused, Stored, run_request};
use tollgate_core::hash::Digest;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Blob, Disposed, FinishNode, Lease, NewAction, NodeEnd, StartGraph, Step, StoreError, first_fence, set_aside};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::terms::Terms;
use tollgate_core::time::Timestamp;

use crate::command::runs::{load_run, set_state};
use crate::command::{dispatch, epoch};
use crate::error::{Result, damaged};
use crate::query;
use crate::tx::{ActionHead, GraphRow, NewActionRow, NewRunRow, RunChange, RunRow, Statement, StepRow, Tx, fetch_one};
use crate::value::values;

/// Plans kept by one process. They are content-addressed and hold nothing of a tenant but what its own digest names.
const PLANS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
static KNOWN: LazyLock<Mutex<lru::LruCache<Digest, Arc<GraphPlan>>>> = LazyLock::new(|| Mutex::new(lru::LruCache::new(PLANS)));

/// The run that a command moves.
struct Moving<'p> {
    scope: Scope,
    run: RunId,
    plan: &'p GraphPlan,
    row: RunRow,
    at: Timestamp,
    claim: Option<SessionId>,
}

fn refused(why: Refused) -> StoreError {
    StoreError::Conflict(why.to_string())
}

/// Starts a run: its spec, its input, its first nodes.
pub(crate) fn start(tx: &mut dyn Tx, c: &StartGraph) -> Result<Disposed> {
    epoch::check(tx)?;
    let input = c.input.digest().map_err(|e| StoreError::Conflict(e.to_string()))?;
    let (mut progress, advance) = graph::start(&c.plan);
    let created = tx.insert_run(&NewRunRow {
        id: c.run,
        scope: c.scope,
        event: None,
        operator: None,
        offering: 0,
        principal: c.principal.label(),
        bundle: c.bundle,
        strict: false,
        state: advance.state,
        actions: 0,
        graph: Some(c.plan.digest()),
        terms: c.terms,
        planned_at: Some(c.at),
        at: c.at,
    })?;
    if !created {
        return Err(StoreError::Conflict("the run was started before".to_owned()));
    }
    tx.keep_spec(c.scope, &c.plan)?;
    if let Some(blob) = &c.blob {
        tx.keep_blob(c.scope, blob)?;
    }
    let entry = progress.record(c.run, EntryKind::Started, None, run_request(&c.plan, input), Some(c.input.clone()));
    tx.journal(c.scope, &entry, c.at)?;
    let fence = first_fence(progress.next_seq());
    tx.insert_graph(c.scope, c.run, &GraphRow { input, progress })?;
    hand_out(tx, &Handed { scope: c.scope, run: c.run, terms: c.terms, fence }, &advance.ready, c.claim, advance.state)
}

/// Nodes of a run that are handed out together.
struct Handed {
    scope: Scope,
    run: RunId,
    terms: Terms,
    fence: u64,
}

/// Makes nodes claimable; the first goes to the session that asks, if its lease stands.
fn hand_out(tx: &mut dyn Tx, to: &Handed, ready: &[usize], mut claim: Option<SessionId>, state: RunState) -> Result<Disposed> {
    let mut out = Disposed { claimed: Vec::new(), woken: 0, run: state };
    for node in ready {
        let step = Step::Node(u32::try_from(*node).map_err(|_| damaged("a node"))?);
        match dispatch::make_ready(tx, &StepRow { scope: to.scope, run: to.run, step, fence: to.fence, terms: to.terms }, claim.take())? {
            Some(claimed) => out.claimed.push(claimed),
            None => out.woken += 1,
        }
    }
    Ok(out)
}

/// Ends a claim on a node.
pub(crate) fn finish(tx: &mut dyn Tx, c: &FinishNode) -> Result<Disposed> {
    epoch::check(tx)?;
    let step = Step::Node(c.node);
    dispatch::check(tx, c.run, step, c.lease)?;
    let row = load_run(tx, c.scope, c.run)?;
    if row.state.is_final() {
        tx.release(c.run, step)?;
        return Ok(Disposed { claimed: Vec::new(), woken: 0, run: row.state });
    }
    if row.graph != Some(c.plan.digest()) {
        return Err(StoreError::Conflict("the run is pinned to another graph".to_owned()));
    }
    let stands = tx.graph(c.scope, c.run)?.ok_or_else(|| damaged("where a graph stands"))?;
    let terms = row.terms;
    let moving = Moving { scope: c.scope, run: c.run, plan: &c.plan, row, at: c.at, claim: c.claim };
    let cancelling = stands.progress.is_cancelling();
    let (outcome, result) = match &c.end {
        NodeEnd::Succeeded(output) => (Outcome::Succeeded, Some(output)),
        NodeEnd::Failed(error) => (Outcome::Failed, Some(error)),
        NodeEnd::Deferred(error, _) if cancelling => (Outcome::Cancelled, Some(error)),
        NodeEnd::Deferred(error, _) => (Outcome::Deferred, Some(error)),
        NodeEnd::Acts(action) if !cancelling => {
            tx.release(c.run, step)?;
            return act(tx, &moving, c, action);
        }
        NodeEnd::Acts(_) | NodeEnd::Cancelled => (Outcome::Cancelled, None),
    };
    if let Some(blob) = &c.blob {
        tx.keep_blob(c.scope, blob)?;
    }
    tx.release(c.run, step)?;
    let (done, progress) = end(tx, &moving, stands.progress, (c.node, c.request), outcome, result.cloned())?;
    if let (Outcome::Deferred, NodeEnd::Deferred(_, wait)) = (outcome, &c.end) {
        // Above every fence that was given out, however often the claim changed hands.
        let fence = first_fence(progress.next_seq()).max(set_aside(c.lease.fence));
        tx.put_timer(&StepRow { scope: c.scope, run: c.run, step, fence, terms }, tx.now().plus(*wait))?;
        tx.wake();
    }
    Ok(done)
}

/// Ends an attempt at a node: machine, journal, progress, what became ready, how the run stands.
fn end(
    tx: &mut dyn Tx,
    m: &Moving<'_>,
    mut progress: Progress,
    (node, request): (u32, Digest),
    outcome: Outcome,
    result: Option<Stored>,
) -> Result<(Disposed, Progress)> {
    let advance = graph::finish(m.plan, &mut progress, node as usize, outcome).map_err(refused)?;
    let entry = progress.record(m.run, outcome.into(), Some(node as usize), request, result);
    tx.journal(m.scope, &entry, m.at)?;
    tx.move_graph(m.run, &progress)?;
    let fence = first_fence(progress.next_seq());
    let handed = Handed { scope: m.scope, run: m.run, terms: m.row.terms, fence };
    let mut done = hand_out(tx, &handed, &advance.ready, m.claim, advance.state)?;
    done.run = stand(tx, m, advance.state)?;
    Ok((done, progress))
}

/// Writes how the run stands: what takes effects back must end too.
fn stand(tx: &mut dyn Tx, m: &Moving<'_>, by_graph: RunState) -> Result<RunState> {
    let mut state = by_graph;
    if by_graph.is_final() && m.row.actions > 0 {
        let views = tx.views(m.scope, m.run)?;
        if views.iter().any(|v| !v.view.state.is_disposed()) {
            state = RunState::Running;
        } else if views.iter().any(|v| v.view.state == ActionState::Unknown) {
            state = RunState::NeedsResolution;
        }
    }
    if state != m.row.state {
        tx.change_run(m.scope, m.run, &RunChange::State(state), m.at)?;
    }
    Ok(state)
}

/// A node goes on as an action of the run.
fn act(tx: &mut dyn Tx, m: &Moving<'_>, c: &FinishNode, action: &NewAction) -> Result<Disposed> {
    let (scope, run) = (c.scope, c.run);
    let node = Some((c.node, c.request));
    tx.insert_action(&NewActionRow { scope, run, seq: m.row.actions, action, strict: false, compensates: None, node, at: c.at })?;
    tx.change_run(scope, run, &RunChange::OneMore, c.at)?;
    set_state(tx, (scope, run), action.id, ActionState::Proposed, Trigger::Callable)?;
    let claimed = dispatch::make_ready(tx, &StepRow { scope, run, step: Step::Action(action.id), fence: 0, terms: action.terms }, c.claim)?;
    Ok(Disposed { woken: u32::from(claimed.is_none()), claimed: claimed.into_iter().collect(), run: m.row.state })
}

/// How the action of a node ended.
pub(crate) struct ActionEnd<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) reason: &'a str,
    /// What the tool returned, as JSON.
    pub(crate) output: Option<&'a [u8]>,
}

/// Ends the node of an action that was disposed or resolved.
pub(crate) fn end_action(
    tx: &mut dyn Tx,
    a: &ActionHead,
    node: (u32, Digest),
    e: &ActionEnd<'_>,
    at: Timestamp,
    claim: Option<SessionId>,
) -> Result<Disposed> {
    let row = load_run(tx, a.scope, a.run)?;
    if row.state.is_final() {
        return Ok(Disposed { claimed: Vec::new(), woken: 0, run: row.state });
    }
    let stands = tx.graph(a.scope, a.run)?.ok_or_else(|| damaged("where a graph stands"))?;
    let plan = plan(tx, a.scope, row.graph)?;
    let outcome = match e.outcome {
        // Nobody cancels the run: its action was, by a person.
        Outcome::Cancelled if !stands.progress.is_cancelling() => Outcome::Failed,
        other => other,
    };
    let result = match outcome {
        Outcome::Succeeded => output(tx, a.scope, e.output)?,
        Outcome::Failed => Some(Stored::Inline(json!({"reason": e.reason}))),
        _ => None,
    };
    let m = Moving { scope: a.scope, run: a.run, plan: &plan, row, at, claim };
    end(tx, &m, stands.progress, node, outcome, result).map(|(done, _)| done)
}

/// An action's output as the journal keeps it; none when it cannot be kept: the effect stands, and nobody reads what it returned.
fn output(tx: &mut dyn Tx, scope: Scope, bytes: Option<&[u8]>) -> Result<Option<Stored>> {
    let Some(value) = bytes.and_then(|b| serde_json::from_slice(b).ok()) else { return Ok(None) };
    let Ok((stored, blob)) = Blob::keep(&value) else { return Ok(None) };
    if let Some(blob) = &blob {
        tx.keep_blob(scope, blob)?;
    }
    Ok(Some(stored))
}

/// A plan that moves a run: what depends on what. Nothing is evaluated with it, so that it needs no expression language.
fn plan(tx: &mut dyn Tx, scope: Scope, digest: Option<Digest>) -> Result<Arc<GraphPlan>> {
    let digest = digest.ok_or_else(|| damaged("the graph of a run"))?;
    if let Some(found) = KNOWN.lock().get(&digest) {
        return Ok(Arc::clone(found));
    }
    let spec: GraphSpec = fetch_one(tx, &query::graphs::spec(scope, digest))?.ok_or_else(|| damaged("the spec of a graph"))?;
    let plan = GraphPlan::compile(spec, &mut |_| Ok(BTreeSet::new())).map_err(|_| damaged("the spec of a graph"))?;
    if plan.digest() != digest {
        return Err(damaged("the spec of a graph"));
    }
    KNOWN.lock().put(digest, Arc::clone(&plan));
    Ok(plan)
}

/// An action that is no node ended, one that takes an effect back: how does the run stand now?
pub(crate) fn look_again(tx: &mut dyn Tx, scope: Scope, run: RunId, row: &RunRow, at: Timestamp) -> Result<Disposed> {
    let stands = tx.graph(scope, run)?.ok_or_else(|| damaged("where a graph stands"))?;
    let plan = plan(tx, scope, row.graph)?;
    let m = Moving { scope, run, plan: &plan, row: row.clone(), at, claim: None };
    let state = if row.state.is_final() { row.state } else { stand(tx, &m, stands.progress.run_state())? };
    Ok(Disposed { claimed: Vec::new(), woken: 0, run: state })
}

/// Cancels a run. What is handed out and held by nobody is ended by whoever claims it next: only a worker knows what it asked for.
pub(crate) fn cancel(tx: &mut dyn Tx, scope: Scope, run: RunId, row: &RunRow, at: Timestamp) -> Result<()> {
    let GraphRow { input, mut progress } = tx.graph(scope, run)?.ok_or_else(|| damaged("where a graph stands"))?;
    if progress.is_cancelling() {
        return Ok(());
    }
    let plan = plan(tx, scope, row.graph)?;
    let advance = graph::cancel(&plan, &mut progress).map_err(refused)?;
    let entry = progress.record(run, EntryKind::Cancelling, None, run_request(&plan, input), None);
    tx.journal(scope, &entry, at)?;
    tx.move_graph(run, &progress)?;
    // What waits for another attempt ends now.
    tx.execute(Statement { text: "UPDATE timers SET at = 0 WHERE step = $1 AND node > 0", values: values![run.as_bytes()] })?;
    tx.wake();
    let m = Moving { scope, run, plan: &plan, row: row.clone(), at, claim: None };
    stand(tx, &m, advance.state).map(|_| ())
}

/// Goes on with a failed run from its last durable steps.
pub(crate) fn resume(tx: &mut dyn Tx, scope: Scope, run: RunId, at: Timestamp) -> Result<Disposed> {
    epoch::check(tx)?;
    let row = load_run(tx, scope, run)?;
    let Some(GraphRow { input, mut progress }) = tx.graph(scope, run)? else {
        return Err(StoreError::Conflict("the run has no graph: replay its event instead".to_owned()));
    };
    if row.state != RunState::Failed {
        return Err(StoreError::Conflict(format!("the run is {}, not failed", row.state)));
    }
    let plan = plan(tx, scope, row.graph)?;
    let advance = graph::resume(&plan, &mut progress).map_err(refused)?;
    let entry = progress.record(run, EntryKind::Resumed, None, run_request(&plan, input), None);
    tx.journal(scope, &entry, at)?;
    tx.move_graph(run, &progress)?;
    tx.change_run(scope, run, &RunChange::State(advance.state), at)?;
    let handed = Handed { scope, run, terms: row.terms, fence: first_fence(progress.next_seq()) };
    hand_out(tx, &handed, &advance.ready, None, advance.state)
}

/// Stops a run whose journal and graph do not agree. Other claims on its nodes end without effect.
pub(crate) fn stop(tx: &mut dyn Tx, scope: Scope, run: RunId, node: u32, lease: Lease, why: &str) -> Result<()> {
    dispatch::check(tx, run, Step::Node(node), lease)?;
    let row = load_run(tx, scope, run)?;
    tx.release(run, Step::Node(node))?;
    if !row.state.is_final() {
        tx.change_run(scope, run, &RunChange::Stopped(why.to_owned()), tx.now())?;
    }
    Ok(())
}
