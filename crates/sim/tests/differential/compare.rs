//! Everything that can be read is the same on both: records, lists, ledger, streams.

use std::sync::Arc;

use tollgate_core::change::Change;
use tollgate_core::id::RunId;
use tollgate_core::ports::{ActionFilter, ApprovalFilter, EntryFilter, EventFilter, Listed, Page, Ports, RunFilter, StoreError};
use tollgate_core::scope::Scope;

use crate::world::{World, both, scopes};

const ALL: Page = Page { before: None, limit: 100_000 };

type Said<T> = Result<T, StoreError>;

/// The items of a list. What its rows are numbered by is each engine's own affair.
fn items<T>(list: Said<Vec<Listed<T>>>) -> Said<Vec<T>> {
    list.map(|l| l.into_iter().map(|l| l.item).collect())
}

/// All changes, without their positions: one engine gives them commit by commit, the other for several at once, tenant by tenant.
async fn changes(s: Arc<dyn Ports>, scope: Scope, run: Option<RunId>) -> Said<Vec<Change>> {
    let (mut position, mut out) = (0, Vec::new());
    loop {
        let page = s.changes_after(scope, run, position).await?;
        out.extend(page.found.into_iter().map(|(_, c)| c));
        position = page.to;
        if !page.more {
            return Ok(out);
        }
    }
}

async fn paged(s: Arc<dyn Ports>, scope: Scope) -> Said<Vec<tollgate_core::ports::RunRecord>> {
    let (mut before, mut out) = (None, Vec::new());
    loop {
        let page = s.list_runs(scope, RunFilter::default(), Page { before, limit: 3 }).await?;
        before = page.last().map(|l| l.row);
        if page.is_empty() {
            return Ok(out);
        }
        out.extend(page.into_iter().map(|l| l.item));
    }
}

async fn lists(s: Arc<dyn Ports>, scope: Scope) -> Said<Vec<String>> {
    let mut out = Vec::new();
    let mut say = |text: String| out.push(text);
    say(format!("{:?}", items(s.list_runs(scope, RunFilter::default(), ALL).await)?));
    say(format!("{:?}", items(s.list_actions(scope, ActionFilter::default(), ALL).await)?));
    let done = ActionFilter { state: Some("done".to_owned()), ..ActionFilter::default() };
    say(format!("{:?}", items(s.list_actions(scope, done, ALL).await)?));
    say(format!("{:?}", items(s.list_approvals(scope, ApprovalFilter::default(), ALL).await)?));
    let open = ApprovalFilter { status: Some("open".to_owned()), queue: Some("finance".to_owned()) };
    say(format!("{:?}", items(s.list_approvals(scope, open, ALL).await)?));
    say(format!("{:?}", items(s.list_events(scope, EventFilter::default(), ALL).await)?));
    say(format!("{:?}", items(s.list_entries(scope, EntryFilter::default(), ALL).await)?));
    say(format!("{:?}", items(s.list_replays(scope, ALL).await)?));
    say(format!("{:?}", s.statuses(scope).await?));
    say(format!("{:?}", s.secrets(scope).await?));
    say(format!("{:?}", s.active_bundle(scope).await?));
    say(format!("{:?}", s.queue(Some(scope)).await?));
    Ok(out)
}

impl World {
    pub async fn compare(&mut self) {
        // What a process does after commits.
        for store in [&self.sqlite.store, &self.postgres.store] {
            store.sequence().await.unwrap();
            store.publish().await.unwrap();
        }
        for scope in scopes() {
            self.of_scope(scope).await;
        }
        for (scope, run) in self.runs.clone() {
            let _ = both!(self, |s| s.run(scope, run));
            let _ = both!(self, |s| s.actions_of(scope, run));
            let _ = both!(self, |s| changes(s, scope, Some(run)));
            if self.graphs.contains_key(&run) {
                let _ = both!(self, |s| s.node_step(scope, run));
            }
        }
        for (scope, _, action) in self.actions.clone() {
            let _ = both!(self, |s| s.action(scope, action));
            let _ = both!(self, |s| s.consumed_output(scope, action));
            let _ = both!(self, |s| s.entries_of(scope, action));
        }
        for (scope, approval, _) in self.approvals.clone() {
            let _ = both!(self, |s| s.approval(scope, approval));
        }
        let _ = both!(self, |s| s.lapsed_approvals(1000));
        let _ = both!(self, |s| s.pending());
        let _ = both!(self, |s| s.open_replays());
        let _ = both!(self, |s| s.api_keys());
        let _ = both!(self, |s| s.config_rev());
    }

    async fn of_scope(&mut self, scope: Scope) {
        let one = lists(Arc::clone(&self.sqlite.store), scope).await;
        let other = lists(Arc::clone(&self.postgres.store), scope).await;
        match (one, other) {
            (Ok(one), Ok(other)) => {
                one.into_iter().zip(other).enumerate().for_each(|(i, (a, b))| drop(self.same(&format!("list {i}"), a, b)))
            }
            (one, other) => drop(self.same("lists", one, other)),
        }
        let _ = both!(self, |s| paged(s, scope));
        let _ = both!(self, |s| s.entries(scope, 0, 100_000));
        let frontier = both!(self, |s| s.frontier(scope)).unwrap();
        let _ = both!(self, |s| s.leaf_hashes(scope, 0, frontier.size()));
        let _ = both!(self, |s| changes(s, scope, None));
        let events = |s: Arc<dyn Ports>| async move {
            s.events_after(scope, 0, 100_000).await.map(|l| l.into_iter().map(|(_, e)| e).collect::<Vec<_>>())
        };
        let _ = both!(self, |s| events(s));
    }
}
