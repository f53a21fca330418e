//! What steps wait for: workers with their labels, their turn, room under their limits.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_core::hash::Digest;
use tollgate_core::id::{DeploymentId, RunId, SessionId};
use tollgate_core::ports::{Claimed, Clock, Deploy, DurableExec, Effects};
use tollgate_core::terms::{Labels, Limit, PRIORITY_MAX, Rules, Terms, label_of};
use tollgate_sim::{Fault, House, LEASE};
use tollgate_testkit::scope;

use super::house;

pub(super) fn set(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(|l| (*l).to_owned()).collect()
}

/// A limit of a tool, for one of its keys.
pub(super) fn limit(tool: &str, key: Option<&str>) -> Limit {
    Limit::tool(&scope(), tool, key)
}

pub(super) fn under(limits: impl IntoIterator<Item = Limit>) -> Terms {
    Terms::new(0, 0, limits)
}

pub(super) async fn deploy(h: &House, maxima: &[(Limit, u32)], labels: &[&[&str]]) {
    let rules = Rules { maxima: maxima.iter().map(|(l, n)| (l.class, *n)).collect(), labels: labels.iter().map(|l| set(l)).collect() };
    let (id, at) = (DeploymentId::from_bytes(h.ids.uuid()), h.clock.now());
    let deploy = Deploy { id, bundle: Digest::of(b"bundle"), artifacts: Vec::new(), rules, entries: Vec::new(), at };
    h.store.deploy(scope(), deploy).await.unwrap();
}

pub(super) async fn runs(h: &House, terms: Terms, n: usize) -> Vec<RunId> {
    let mut out = Vec::new();
    for _ in 0..n {
        out.push(h.send_on(terms, &[]).await.unwrap().1);
        h.clock.advance(Duration::from_millis(1));
    }
    out
}

/// A session with these labels.
pub(super) async fn session(h: &House, labels: Option<&[&str]>) -> SessionId {
    let id = SessionId::from_bytes(h.ids.uuid());
    h.watch.open_session(id, LEASE, Labels(labels.map(set))).await.unwrap();
    id
}

async fn claimed(h: &House, session: SessionId) -> Vec<RunId> {
    h.watch.claim(session, 64).await.unwrap().into_iter().map(|c: Claimed| c.run).collect()
}

#[tokio::test]
async fn a_limit_holds_over_all_workers_and_deaths() {
    let h = house();
    let tool = limit("t.x", None);
    deploy(&h, &[(tool, 2)], &[]).await;
    runs(&h, under([tool]), 7).await;
    let (a, b) = (h.worker().await.unwrap(), h.worker().await.unwrap());
    let first = h.claim(&a).await.unwrap();
    assert_eq!((first.len(), h.claim(&b).await.unwrap().len()), (2, 0));
    // One ends, and another worker has its place.
    a.drive(first[0]).await.unwrap();
    let second = h.claim(&b).await.unwrap();
    assert_eq!((second.len(), h.claim(&a).await.unwrap().len()), (1, 0));
    // Both die. Their places come back with their leases, and no earlier.
    let c = h.worker().await.unwrap();
    assert_eq!(h.claim(&c).await.unwrap().len(), 0);
    assert_eq!(h.lapse().await.unwrap(), 2);
    let c = h.worker().await.unwrap();
    let third = h.claim(&c).await.unwrap();
    assert_eq!(third.len(), 2);
    assert_eq!(BTreeSet::from_iter(third.iter().map(|s| s.run)), BTreeSet::from([first[1].run, second[0].run]), "they keep their turn");
    for step in third {
        c.drive(step).await.unwrap();
    }
    h.settle(&c).await.unwrap();
    assert!(!h.store.pending().await.unwrap(), "all went through");
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
}

#[tokio::test]
async fn a_full_key_leaves_other_keys_and_what_is_not_limited_free() {
    let h = house();
    let (x, y) = (limit("t.x", Some("x")), limit("t.x", Some("y")));
    deploy(&h, &[(x, 1)], &[]).await;
    runs(&h, under([x]), 5).await;
    let late = [runs(&h, under([y]), 1).await[0], runs(&h, Terms::default(), 1).await[0]];
    let s = session(&h, None).await;
    let got = claimed(&h, s).await;
    assert_eq!(got.len(), 3, "one of each key, and the one that nothing limits");
    assert!(late.iter().all(|run| got.contains(run)));
}

#[tokio::test]
async fn every_limit_of_a_step_must_have_room() {
    let h = house();
    let (key, operator, tenant) = (limit("t.x", Some("k")), Limit::operator(&scope(), "op", None), Limit::tenant(&scope()));
    let other = limit("t.y", None);
    deploy(&h, &[(key, 3), (operator, 2), (tenant, 3), (other, 9)], &[]).await;
    runs(&h, under([key, operator, tenant]), 5).await;
    runs(&h, under([other, tenant]), 5).await;
    let w = h.worker().await.unwrap();
    let mut all = 0;
    loop {
        let held = h.claim(&w).await.unwrap();
        assert!(held.len() <= 3, "the tenant's");
        if held.is_empty() {
            break;
        }
        all += held.len();
        for step in held {
            w.drive(step).await.unwrap();
        }
    }
    assert_eq!(all, 10, "nothing is left behind under a limit that it no longer waits for");
}

#[tokio::test]
async fn a_deployment_changes_limits_at_once() {
    let h = house();
    let tool = limit("t.x", None);
    deploy(&h, &[(tool, 3)], &[]).await;
    runs(&h, under([tool]), 8).await;
    let w = h.worker().await.unwrap();
    let held = h.claim(&w).await.unwrap();
    assert_eq!(held.len(), 3);
    deploy(&h, &[(tool, 1)], &[]).await;
    for (n, step) in held.into_iter().enumerate() {
        assert_eq!(h.claim(&w).await.unwrap().len(), 0, "{n} of three have ended");
        w.drive(step).await.unwrap();
    }
    let one = h.claim(&w).await.unwrap();
    assert_eq!(one.len(), 1);
    deploy(&h, &[(tool, 2)], &[]).await;
    assert_eq!(h.claim(&w).await.unwrap().len(), 1, "there is room for one more");
    deploy(&h, &[], &[]).await;
    assert_eq!(h.claim(&w).await.unwrap().len(), 3, "it is no limit any more");
}

#[tokio::test]
async fn a_cancelled_step_leaves_its_turn_and_its_place() {
    let h = house();
    let tool = limit("t.x", None);
    deploy(&h, &[(tool, 1)], &[]).await;
    let runs = runs(&h, under([tool]), 3).await;
    let s = session(&h, None).await;
    assert_eq!(claimed(&h, s).await, [runs[0]]);
    let at = h.clock.now();
    // One that waits, and the one that is held: its operator's answer is not waited for.
    h.effects.cancel_run(scope(), runs[1], at).await.unwrap();
    h.effects.cancel_run(scope(), runs[0], at).await.unwrap();
    assert_eq!(claimed(&h, s).await, [runs[2]]);
}

#[tokio::test]
async fn only_a_worker_with_all_its_labels_takes_a_step() {
    let h = house();
    let (gpu, both) = (label_of(&set(&["gpu"])), label_of(&set(&["eu", "gpu"])));
    deploy(&h, &[], &[&["gpu"], &["gpu", "eu"]]).await;
    let needs_gpu = runs(&h, Terms::new(gpu, 0, []), 1).await[0];
    let needs_both = runs(&h, Terms::new(both, 0, []), 1).await[0];
    let needs_none = runs(&h, Terms::default(), 1).await[0];
    let (plain, with_eu) = (session(&h, Some(&[])).await, session(&h, Some(&["eu", "arm"])).await);
    assert_eq!(claimed(&h, plain).await, [needs_none]);
    assert_eq!(claimed(&h, with_eu).await, []);
    let with_gpu = session(&h, Some(&["gpu"])).await;
    assert_eq!(claimed(&h, with_gpu).await, [needs_gpu]);
    let everything = session(&h, None).await;
    assert_eq!(claimed(&h, everything).await, [needs_both]);
}

#[tokio::test]
async fn a_limited_step_waits_for_its_labels_without_a_place() {
    let h = house();
    let (tool, gpu) = (limit("t.x", None), label_of(&set(&["gpu"])));
    deploy(&h, &[(tool, 1)], &[&["gpu"]]).await;
    let first = runs(&h, Terms::new(gpu, 0, [tool]), 1).await[0];
    let second = runs(&h, under([tool]), 1).await[0];
    let plain = session(&h, Some(&[])).await;
    assert_eq!(claimed(&h, plain).await, [second], "nobody who could take the first one is there");
    let with_gpu = session(&h, Some(&["gpu"])).await;
    assert_eq!(claimed(&h, with_gpu).await, []);
    h.watch.close_session(plain).await.unwrap();
    assert_eq!(claimed(&h, with_gpu).await, [first]);
}

#[tokio::test]
async fn a_priority_is_a_head_start() {
    let h = house();
    let s = session(&h, None).await;
    let low = runs(&h, Terms::default(), 1).await[0];
    h.clock.advance(Duration::from_secs(269));
    let s = if h.watch.renew(s, LEASE).await.is_ok() { s } else { session(&h, None).await };
    let high = runs(&h, Terms::new(0, PRIORITY_MAX, []), 1).await[0];
    let next = h.watch.claim(s, 1).await.unwrap()[0].run;
    assert_eq!(next, high, "nine points are worth 270 s");
    h.clock.advance(Duration::from_secs(2));
    runs(&h, Terms::new(0, PRIORITY_MAX, []), 1).await;
    assert_eq!(h.watch.claim(s, 1).await.unwrap()[0].run, low, "and no more");
}

#[tokio::test]
async fn nothing_starves_whatever_the_priorities() {
    for seed in 1..=6_u64 {
        let h = house();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut roll = |n: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % n
        };
        let mut came: Vec<(RunId, u64)> = Vec::new();
        let mut now = 0;
        for _ in 0..40 {
            // Two come for each one that goes.
            for _ in 0..2 {
                let priority = u8::try_from(roll(10)).unwrap();
                came.push((runs(&h, Terms::new(0, priority, []), 1).await[0], now));
            }
            let step = roll(60);
            now += step;
            h.clock.advance(Duration::from_secs(step));
            let s = session(&h, None).await;
            let run = h.watch.claim(s, 1).await.unwrap()[0].run;
            let (_, since) = came.remove(came.iter().position(|(r, _)| *r == run).unwrap());
            let longest = came.iter().map(|(_, at)| *at).min().unwrap_or(since);
            assert!(since <= longest + 9 * 30, "seed {seed}: a step was passed by one that came {} s after it", since - longest);
        }
    }
}
