//! Lists for people and programs.

use tollgate_core::event::Event;
use tollgate_core::id::{ReplayId, RunId};
use tollgate_core::ports::{
    ActionFilter, ActionRecord, ApprovalFilter, ApprovalRecord, EntryFilter, EventFilter, ListOut, Listed, Lists, Page, QueueLine,
    ReplayState, RunFilter, RunRecord, StoredEntry,
};
use tollgate_core::scope::Scope;

use super::Out;
use crate::backend::{Ordered, Store};
use crate::query;

/// Its place in a list that is ordered by UUIDv7.
fn listed<T>(id: &[u8; 16], item: T) -> Listed<T> {
    Listed { row: u128::from_be_bytes(*id), item }
}

impl<B: Ordered> Lists for Store<B> {
    fn list_events(&self, scope: Scope, filter: EventFilter, page: Page) -> ListOut<'_, Event> {
        self.engine.list_events(scope, filter, page)
    }
    fn list_runs(&self, scope: Scope, filter: RunFilter, page: Page) -> ListOut<'_, RunRecord> {
        Box::pin(async move {
            let found = self.engine.walk(query::lists::runs(scope, &filter, page), scope).await?;
            Ok(found.into_iter().map(|r| listed(r.id.as_bytes(), r.clone())).collect())
        })
    }
    fn run(&self, scope: Scope, id: RunId) -> Out<'_, Option<RunRecord>> {
        self.engine.one(query::lists::run(scope, id), scope)
    }
    fn actions_of(&self, scope: Scope, run: RunId) -> Out<'_, Vec<ActionRecord>> {
        self.engine.all(query::actions::of_run(scope, run), scope)
    }
    fn list_actions(&self, scope: Scope, filter: ActionFilter, page: Page) -> ListOut<'_, ActionRecord> {
        self.engine.list_actions(scope, filter, page)
    }
    fn list_approvals(&self, scope: Scope, filter: ApprovalFilter, page: Page) -> ListOut<'_, ApprovalRecord> {
        Box::pin(async move {
            let mut out = Vec::new();
            for found in self.engine.walk(query::approvals::list(scope, &filter, page), scope).await? {
                let queues = self.engine.all(query::approvals::queues(found.id), scope).await?;
                let id = *found.id.as_bytes();
                out.push(listed(&id, query::approvals::with(found, queues)));
            }
            Ok(out)
        })
    }
    fn list_entries(&self, scope: Scope, filter: EntryFilter, page: Page) -> ListOut<'_, StoredEntry> {
        self.engine.list_entries(scope, filter, page)
    }
    fn list_replays(&self, scope: Scope, page: Page) -> ListOut<'_, ReplayState> {
        Box::pin(async move {
            let found = self.engine.walk(query::lists::replays(scope, page), scope).await?;
            Ok(found.into_iter().map(|(_, r)| listed(r.range.id.as_bytes(), r.clone())).collect())
        })
    }
    fn queue(&self, scope: Option<Scope>) -> Out<'_, Vec<QueueLine>> {
        self.engine.queue(scope)
    }
    fn replay(&self, scope: Scope, id: ReplayId) -> Out<'_, Option<ReplayState>> {
        Box::pin(async move { Ok(self.engine.one(query::lists::replay(scope, id), scope).await?.map(|(_, r)| r)) })
    }
}
