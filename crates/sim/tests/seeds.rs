//! Random histories: several workers over one store, workers that die before, in and after the call, answers that get lost, remotes that
//! apply late. Whatever happens: no effect twice for one key, every intent closed by one result, one receipt per action, no action lost.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tollgate_core::ledger::{Body, Disposition};
use tollgate_core::ports::{Clock, DurableExec, StoreError};
use tollgate_core::spec::Ordering;
use tollgate_sim::House;
use tollgate_testkit::{Behaviour, Loss, Point};

const SEEDS: u64 = 2000;
const TOOLS: [&str; 3] = ["remote.keyed", "remote.verifiable", "remote.once"];

fn behaviour(rng: &mut StdRng) -> Behaviour {
    match rng.random_range(0..14) {
        0 => Behaviour::ApplyAndLoseAnswer,
        1 => Behaviour::ApplyLate(Duration::from_secs(rng.random_range(0..39))),
        2 => Behaviour::Lose,
        3 => Behaviour::Reject(503),
        4 => Behaviour::Reject(422),
        5 => Behaviour::NotSent,
        6 => Behaviour::Hang,
        7 => Behaviour::ApplyThenHang,
        8 | 9 => Behaviour::Slow,
        _ => Behaviour::Apply,
    }
}

type Driven<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Polls a worker's work once; what is not done yet is kept: the worker may come back as a zombie, or never.
fn poll<'a>(mut work: Driven<'a>, asleep: &mut Vec<Driven<'a>>) {
    if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        asleep.push(work);
    }
}

async fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let h = House::new(seed, if seed.is_multiple_of(3) { Ordering::Strict } else { Ordering::Relaxed }).unwrap();
    let workers = [h.worker().await.unwrap(), h.worker().await.unwrap(), h.worker().await.unwrap()];
    // Fewer ids than actions: some share a lane and a key.
    let ids: Vec<String> = (0..rng.random_range(1..5)).map(|i| format!("id{i}")).collect();
    let tool_of: BTreeMap<&str, &str> = ids.iter().map(|id| (id.as_str(), TOOLS[rng.random_range(0..3)])).collect();
    let mut proposed = 0;
    let mut asleep = Vec::new();
    for _ in 0..rng.random_range(5..40) {
        match rng.random_range(0..10) {
            0..=2 => {
                let n = rng.random_range(1..4);
                let plan: Vec<_> =
                    (0..n).map(|_| &ids[rng.random_range(0..ids.len())]).map(|id| House::action(tool_of[id.as_str()], id)).collect();
                proposed += plan.len();
                h.send(&plan).await.unwrap();
            }
            3 => h.clock.advance(Duration::from_secs(rng.random_range(0..50))),
            4 => {
                let point = [Point::Plan, Point::Begin, Point::Defer, Point::Dispose][rng.random_range(0..4)];
                let loss = if rng.next_u32() % 2 == 0 { Loss::AfterCommit } else { Loss::BeforeCommit };
                h.effects.lose(point, loss);
            }
            5 => drop(h.store.reap().await.unwrap()),
            6 if !asleep.is_empty() => {
                let work = asleep.swap_remove(rng.random_range(0..asleep.len()));
                poll(work, &mut asleep);
            }
            _ => {
                h.remote.script([behaviour(&mut rng)]);
                h.store.fire_timers(8).await.unwrap();
                let worker = &workers[rng.random_range(0..3)];
                h.store.open_session(worker.session(), Duration::from_secs(60)).await.unwrap();
                for step in h.store.claim(worker.session(), rng.random_range(1..4)).await.unwrap() {
                    // Now and then it dies before it does anything.
                    if rng.random_range(0..8) > 0 {
                        poll(Box::pin(worker.drive(step)), &mut asleep);
                    }
                }
            }
        }
    }
    rest(&h).await;
    // Zombies that wake when all is over change nothing either.
    for work in std::mem::take(&mut asleep) {
        poll(work, &mut asleep);
    }
    check(&h, seed, proposed, &tool_of).await;
}

/// Everything that is still held lapses, and one good worker brings the world to rest.
async fn rest(h: &House) {
    let last = h.worker().await.unwrap();
    h.remote.clear();
    for _ in 0..20 {
        h.clock.advance(Duration::from_secs(61));
        h.store.reap().await.unwrap();
        // A lost answer ends the drive; the lease lapses and the next round goes on from what is stored.
        if h.settle(&last).await.is_ok() && h.store.reap().await.unwrap() == 0 {
            h.clock.advance(Duration::from_secs(61));
            if h.store.reap().await.unwrap() == 0 {
                return;
            }
        }
    }
    panic!("the world does not come to rest");
}

async fn check(h: &House, seed: u64, proposed: usize, tool_of: &BTreeMap<&str, &str>) {
    assert_eq!(h.faults().await.unwrap(), Vec::<String>::new(), "seed {seed}");
    let ledger = h.ledger().await.unwrap();
    let disposed = h.disposed().await.unwrap();
    let unknown: BTreeSet<_> =
        disposed.iter().filter(|a| a.disposition == Some(Disposition::Unknown)).map(|a| a.key.unwrap().key).collect();
    for (id, tool) in tool_of {
        let n = h.remote.effects(id, h.clock.now());
        assert!(n <= 1, "seed {seed}: {n} effects of {id} by {tool}");
        let of_id: Vec<_> = disposed.iter().filter(|a| a.proposal.args["id"] == **id).collect();
        let applied = of_id.iter().filter(|a| a.disposition == Some(Disposition::Applied)).count();
        assert!(applied <= 1, "seed {seed}: {id} applied {applied} times");
        let in_doubt = of_id.first().is_some_and(|a| unknown.contains(&a.key.unwrap().key));
        assert!(*tool == "remote.once" || !in_doubt, "seed {seed}: {tool} can always be settled");
        assert!(in_doubt || n == applied, "seed {seed}: {n} effects of {id}, {applied} applied");
    }
    // Nothing is lost: every action is disposed, or waits for the resolution of the unknown that holds its key or lane.
    let held = disposed.iter().any(|a| a.disposition == Some(Disposition::Unknown));
    assert!(held || disposed.len() == proposed, "seed {seed}: {} of {proposed} disposed", disposed.len());
    let open = ledger.iter().filter(|e| matches!(&e.body, Body::Intent(_))).count()
        - ledger.iter().filter(|e| matches!(&e.body, Body::Attempt(_))).count();
    assert_eq!(open, 0, "seed {seed}: open intents at rest");
}

#[tokio::test]
async fn random_histories_never_break_a_promise() {
    for seed in 0..SEEDS {
        // Outside tokio's budget of polls, or the order of seeds would decide where a worker stops.
        tokio::task::unconstrained(history(seed)).await;
    }
}
