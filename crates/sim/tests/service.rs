//! The loops of a worker service over a store in memory: what they owe to steps that nobody works on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId};
use tollgate_core::ledger::{Disposition, Frontier};
use tollgate_core::ports::{Answer, ApprovalFilter, BoxFuture, Desk, LedgerLog, Page, StoreError, StoredEntry, SubjectKeyRow};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;
use tollgate_core::spec::Ordering;
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Loss, Point, scope};
use tollgate_worker::{Options, Service};

const OPTIONS: Options = Options {
    concurrency: 8,
    lease: Duration::from_secs(30),
    poll: Duration::from_secs(5),
    retries_max: 9,
    grace: Duration::from_secs(10),
    labels: tollgate_core::terms::Labels(None),
};
/// Looks at the world, a second apart on a paused clock, before a test gives up.
const LOOKS: u32 = 300;

/// Waits until so many actions have their receipt.
async fn disposed(h: &House, n: usize) -> Vec<Disposition> {
    for _ in 0..LOOKS {
        let all = h.disposed().await.unwrap();
        if all.len() >= n {
            return all.iter().map(|a| a.disposition.unwrap()).collect();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{n} actions never ended: {:?}", h.actions().await.unwrap().into_values().map(|a| a.state).collect::<Vec<_>>());
}

async fn started(h: &House) -> Service {
    let service = h.service(OPTIONS);
    service.start().await.unwrap();
    service
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_session_that_lapses_while_the_service_runs_are_taken_over() {
    let h = House::new(1, Ordering::Relaxed).unwrap();
    let gone = h.worker().await.unwrap();
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    assert_eq!(h.claim(&gone).await.unwrap().len(), 1);
    let service = started(&h).await;
    // Nobody works on the claimed step: its worker slept past its lease, as a machine does whose lid is closed.
    h.clock.advance(tollgate_sim::LEASE);
    assert_eq!(disposed(&h, 1).await, [Disposition::Applied]);
    assert_eq!(h.remote.effects("a", tollgate_core::ports::Clock::now(&*h.clock)), 1);
    service.stop().await;
}

#[tokio::test(start_paused = true)]
async fn steps_that_a_lost_answer_handed_on_are_handed_back() {
    for point in [Point::Plan, Point::Dispose] {
        let h = House::new(1, Ordering::Relaxed).unwrap();
        let service = started(&h).await;
        h.effects.lose(point, Loss::AfterCommit);
        h.send(&[House::action("remote.keyed", "a"), House::action("remote.keyed", "b")]).await.unwrap();
        // The world's clock stands still: no lease lapses, so that only the worker itself can find what it was given.
        assert_eq!(disposed(&h, 2).await, [Disposition::Applied, Disposition::Applied], "{point:?}");
        service.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_for_one_run_ends_with_it_and_leaves_the_rest() {
    for lost in [None, Some(Point::Plan), Some(Point::Dispose)] {
        let h = House::new(1, Ordering::Relaxed).unwrap();
        h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
        let (_, mine) = h.send(&[House::action("remote.keyed", "b"), House::action("remote.once", "c")]).await.unwrap();
        if let Some(point) = lost {
            h.effects.lose(point, Loss::AfterCommit);
        }
        let service = h.service(OPTIONS);
        let end = service.start_run(scope(), mine).await.unwrap().await.unwrap();
        assert_eq!(end.state, RunState::Succeeded, "{lost:?}");
        service.stop().await;
        let done: Vec<_> = h.disposed().await.unwrap().iter().map(|a| a.run).collect();
        assert_eq!(done, [mine, mine], "{lost:?}");
        assert!(h.store.pending().await.unwrap(), "{lost:?}: another run waits for another worker");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_for_one_run_waits_with_it_until_it_is_told_to_stop() {
    let h = House::new(1, Ordering::Relaxed).unwrap();
    h.policy.set(Verdict::RequireApproval);
    let (_, mine) = h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    let asked = async || {
        let filter = ApprovalFilter { status: Some("open".to_owned()), queue: None };
        h.store.list_approvals(scope(), filter, Page { before: None, limit: 9 }).await.unwrap().pop().map(|l| l.item.id)
    };
    let service = h.service(OPTIONS);
    let over = service.start_run(scope(), mine).await.unwrap();
    while asked().await.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    service.stop().await;
    assert!(over.await.is_err(), "it has not ended");
    // The next one goes on where it stands.
    let service = h.service(OPTIONS);
    let over = service.start_run(scope(), mine).await.unwrap();
    let answer = Answer { approval: asked().await.unwrap(), queue: None, binding: None, comment: None };
    h.desk().approve(&someone(), answer).await.unwrap();
    assert_eq!(over.await.unwrap().state, RunState::Succeeded);
    service.stop().await;
}

/// A ledger in which an entry waits for its position until somebody signs again.
struct Waits(Arc<dyn LedgerLog>, AtomicBool);

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl LedgerLog for Waits {
    fn waiting(&self) -> Out<'_, Option<u64>> {
        Box::pin(async { Ok(self.1.load(SeqCst).then_some(7)) })
    }
    fn start(&self, s: Scope) -> Out<'_, u64> {
        self.0.start(s)
    }
    fn entries(&self, s: Scope, from: u64, limit: u32) -> Out<'_, Vec<StoredEntry>> {
        self.0.entries(s, from, limit)
    }
    fn entry(&self, s: Scope, id: EntryId) -> Out<'_, Option<StoredEntry>> {
        self.0.entry(s, id)
    }
    fn entries_of(&self, s: Scope, action: ActionId) -> Out<'_, Vec<StoredEntry>> {
        self.0.entries_of(s, action)
    }
    fn frontier(&self, s: Scope) -> Out<'_, Frontier> {
        self.0.frontier(s)
    }
    fn leaf_hashes(&self, s: Scope, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.0.leaf_hashes(s, from, to)
    }
    fn tiles(&self, s: Scope, level: u8, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.0.tiles(s, level, from, to)
    }
    fn subject_key(&self, s: Scope, key_id: [u8; 16]) -> Out<'_, Option<SubjectKeyRow>> {
        self.0.subject_key(s, key_id)
    }
    fn checkpoint(&self, s: Scope) -> Out<'_, Option<String>> {
        self.0.checkpoint(s)
    }
    fn sequence(&self) -> Out<'_, u64> {
        self.0.sequence()
    }
    fn put_checkpoint(&self, s: Scope, size: u64, signed: String) -> Out<'_, ()> {
        self.0.put_checkpoint(s, size, signed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_takes_nothing_while_nobody_signs() {
    let h = House::new(1, Ordering::Relaxed).unwrap();
    let ledger = Arc::new(Waits(Arc::clone(&h.store) as _, AtomicBool::new(true)));
    let service = h.service_of_steps(OPTIONS, Arc::clone(&ledger) as _);
    service.start_steps().await.unwrap();
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    assert_eq!(disposed(&h, 1).await.len(), 1, "it has only just begun to wait");
    h.clock.advance(Duration::from_secs(31));
    h.send(&[House::action("remote.keyed", "b")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(service.gate().unwrap_err().contains("have not been signed for 31 s"));
    assert_eq!(h.disposed().await.unwrap().len(), 1);
    ledger.1.store(false, SeqCst);
    h.clock.advance(Duration::from_secs(6));
    assert_eq!(disposed(&h, 2).await.len(), 2);
    assert_eq!(service.gate(), Ok(()));
    service.stop().await;
}
