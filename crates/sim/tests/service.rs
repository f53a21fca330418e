//! The loops of a worker service over a store in memory: what they owe to steps that nobody works on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::time::Duration;

use tollgate_core::ledger::Disposition;
use tollgate_core::spec::Ordering;
use tollgate_sim::House;
use tollgate_testkit::{Loss, Point};
use tollgate_worker::{Options, Service};

const OPTIONS: Options = Options {
    concurrency: 8,
    lease: Duration::from_secs(30),
    poll: Duration::from_secs(5),
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
