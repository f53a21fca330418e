//! What the store and its ledger say when everything is over, read from the folder that the killed processes left.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::attempt::AttemptResult;
use tollgate_core::event::Event;
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ledger::{Body, Disposition, Entry, PublicKey, Report};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, Desk, EventFilter, ExportFilter, ListOut, Page, Ports, RunFilter, RunRecord, StoreError,
};
use tollgate_core::scope::{Mode, Scope};

use crate::commands::receipts::check;
use crate::failure::Failure;
use crate::node::{Node, Setup, actor, scopes};

const PAGE: u32 = 1000;

/// An event as stored: its id, and the number in its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    pub id: String,
    pub n: u64,
}

/// A run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredRun {
    pub event: String,
    pub operator: String,
    pub state: String,
    pub actions: u32,
}

/// An action, with what the ledger says of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredAction {
    pub tool: String,
    pub op: String,
    pub event: String,
    pub disposition: Option<Disposition>,
    /// The dispositions of its receipts.
    pub receipts: Vec<Disposition>,
    /// How its attempts ended.
    pub attempts: Vec<AttemptResult>,
}

/// Everything.
#[derive(Default)]
pub struct Facts {
    pub events: Vec<StoredEvent>,
    pub runs: Vec<StoredRun>,
    pub actions: Vec<StoredAction>,
    /// Attempt results by intent: each must have one.
    pub closed: BTreeMap<EntryId, u32>,
    /// Whether the export verifies.
    pub verified: Option<Result<Report, String>>,
}

/// Opens the store once more, with the machine's own file layer, and reads.
///
/// # Errors
/// When it does not open: that is a broken promise, too, and its message says which.
pub async fn read(setup: &Setup) -> Result<Facts, Failure> {
    of(&Node::open(setup).await?).await
}

/// Reads what an open node has.
///
/// # Errors
/// When the store says no.
pub async fn of(node: &Node) -> Result<Facts, Failure> {
    let [live, _] = scopes();
    let store = &*node.store;
    let events = all(|p| store.list_events(live, EventFilter::default(), p)).await?;
    let runs = all(|p| store.list_runs(live, RunFilter::default(), p)).await?;
    let actions = all(|p| store.list_actions(live, ActionFilter::default(), p)).await?;
    let mut facts =
        Facts { events: events.iter().map(stored_event).collect(), runs: runs.iter().map(stored_run).collect(), ..Facts::default() };
    let mut by_id: BTreeMap<ActionId, StoredAction> = actions.iter().map(|a| (a.id, stored_action(a))).collect();
    ledger(store, live, &mut facts, &mut by_id).await?;
    facts.actions = by_id.into_values().collect();
    facts.verified = Some(verified(node).await?);
    Ok(facts)
}

async fn verified(node: &Node) -> Result<Result<Report, String>, Failure> {
    let export = node.desk.export(&actor(Mode::Live), ExportFilter::default()).await?;
    let key: PublicKey = node.signer.public();
    Ok(check(export.as_bytes(), Some(&key), None).map_err(|e| e.to_string()))
}

/// Every item of a list.
async fn all<'a, T>(ask: impl Fn(Page) -> ListOut<'a, T>) -> Result<Vec<T>, StoreError> {
    let (mut out, mut before) = (Vec::new(), None);
    loop {
        let page = ask(Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { return Ok(out) };
        before = Some(last.row);
        out.extend(page.into_iter().map(|l| l.item));
    }
}

fn stored_event(e: &Event) -> StoredEvent {
    let payload: Value = serde_json::from_str(e.payload.get()).unwrap_or_default();
    StoredEvent { id: e.id.to_string(), n: payload["n"].as_u64().unwrap_or(u64::MAX) }
}

fn stored_run(r: &RunRecord) -> StoredRun {
    StoredRun {
        event: r.event.map(|e| e.to_string()).unwrap_or_default(),
        operator: r.operator.clone().unwrap_or_default(),
        state: r.state.as_str().to_owned(),
        actions: r.actions,
    }
}

fn stored_action(a: &ActionRecord) -> StoredAction {
    StoredAction {
        tool: a.proposal.tool.clone(),
        op: a.proposal.args["op"].as_str().unwrap_or_default().to_owned(),
        event: a.event.map(|e| e.to_string()).unwrap_or_default(),
        disposition: a.disposition,
        receipts: Vec::new(),
        attempts: Vec::new(),
    }
}

async fn ledger(store: &dyn Ports, scope: Scope, facts: &mut Facts, actions: &mut BTreeMap<ActionId, StoredAction>) -> Result<(), Failure> {
    let mut at = 0;
    loop {
        let slice = store.entries(scope, at, PAGE).await?;
        let Some(position) = slice.last().and_then(|e| e.position) else { return Ok(()) };
        at = position + 1;
        for stored in &slice {
            let entry = Entry::from_leaf(&stored.leaf).map_err(Failure::plain)?;
            match entry.body {
                Body::Intent(_) => {
                    facts.closed.entry(stored.id).or_default();
                }
                Body::Attempt(a) => {
                    *facts.closed.entry(a.intent).or_default() += 1;
                    actions.entry(a.of.action).or_default().attempts.push(a.result);
                }
                Body::Receipt(r) => actions.entry(r.of.action).or_default().receipts.push(r.disposition),
                Body::Approval(_) | Body::Resolution(_) | Body::Evidence(_) | Body::Change(_) | Body::Erasure(_) => {}
            }
        }
    }
}
