//! Rows of the table in which people answer: approvals, denials and expiry, and which of two answers wins.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_core::action::ActionState;
use tollgate_core::id::ApprovalId;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Answer, Answered, Desk, DeskError, Effects, StoreError};
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, Odds, scope};
use tollgate_worker::{Engine, expire};

use super::{asked, effects, ends, house};

/// Longer than a request stays open.
const LAPSE: Duration = Duration::from_secs(73 * 3600);
/// More awaits than any answer has.
const AWAITS: usize = 16;

fn answer(approval: ApprovalId) -> Answer {
    Answer { approval, queue: None, binding: None, comment: None }
}

/// A house in which one action waits for a person.
async fn waiting(tool: &str) -> (House, Engine, ApprovalId) {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    h.send(&[House::action(tool, "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    let [id] = asked(&h).await[..] else { panic!("one request") };
    (h, w, id)
}

/// Polls so often; the answer if it came.
fn poll<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>, times: usize) -> Option<T> {
    for _ in 0..times {
        // The budget of the test's task is never filled up while it polls by hand.
        let mut future = std::pin::pin!(tokio::task::unconstrained(future.as_mut()));
        if let Poll::Ready(out) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(out);
        }
    }
    None
}

/// What an approver is told: nothing when it counts, else what came before it.
fn told(out: Result<Answered, DeskError>) -> Option<String> {
    match out {
        Ok(Answered::Approved) => None,
        Ok(Answered::Expired) => Some("expired".to_owned()),
        Ok(Answered::AlreadyEnded(how)) => Some(how),
        Err(DeskError::Conflict(m)) => Some(m),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn approval_after_expires_at_sweeper_late() {
    let (h, w, id) = waiting("remote.once").await;
    h.clock.advance(LAPSE);
    assert_eq!(told(h.desk().approve(&someone(), answer(id)).await).as_deref(), Some("expired"));
    // Refused, whatever else happened: only the sweeper ends it.
    assert!(ends(&h).await.is_empty());
    assert_eq!(h.effects.lapsed_approvals(10).await.unwrap(), [(scope(), id)]);
    expire(&h.deps(), scope(), id).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Expired], 0));
}

#[tokio::test]
async fn a_denial_given_while_a_call_is_in_doubt_leaves_it_to_a_person() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.policy.set(Verdict::RequireApproval);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    h.settle(&w).await.unwrap();
    h.policy.set(Verdict::Allow);
    h.remote.script([Behaviour::ApplyAndLoseAnswer]);
    h.send(&[House::action("remote.keyed", "a")]).await.unwrap();
    for step in h.claim(&w).await.unwrap() {
        w.drive(step).await.unwrap();
    }
    // The same operation is denied between the call that nobody knows of and the one that would settle it.
    h.desk().deny(&someone(), answer(asked(&h).await[0])).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(ends(&h).await, [Disposition::Denied, Disposition::Unknown]);
    assert_eq!((effects(&h, "a"), h.remote.calls()), (1, 1));
}

/// The approval gets as far as each of its awaits before the other comes; whichever commits first wins, and the other is told.
#[tokio::test]
async fn approval_races_expiry() {
    let mut won = [0, 0];
    for awaits in 0..AWAITS {
        let (h, w, id) = waiting("remote.once").await;
        let (someone, desk) = (someone(), h.desk_over(h.interrupted()));
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        let mut yes = desk.approve(&someone, answer(id));
        let early = poll(&mut yes, awaits);
        h.clock.advance(LAPSE);
        let lapsed = expire(&h.deps(), scope(), id).await;
        let yes = early.or_else(|| poll(&mut yes, AWAITS)).unwrap();
        h.fates.set_odds(Odds::CALM);
        h.settle(&w).await.unwrap();
        match (told(yes), lapsed) {
            (None, Err(StoreError::Conflict(_))) => {
                won[0] += 1;
                assert_eq!(ends(&h).await, [Disposition::Applied], "after {awaits} awaits");
            }
            (Some(m), Ok(())) if m.contains("expired") => {
                won[1] += 1;
                assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Expired], 0), "after {awaits} awaits");
            }
            other => panic!("after {awaits} awaits: {other:?}"),
        }
    }
    assert!(won[0] > 0 && won[1] > 0, "each wins when it is first: {won:?}");
}

#[tokio::test]
async fn denial_races_approval() {
    let mut won = [0, 0];
    for awaits in 0..AWAITS {
        let (h, w, id) = waiting("remote.once").await;
        let (someone, desk) = (someone(), h.desk_over(h.interrupted()));
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        let mut yes = desk.approve(&someone, answer(id));
        let early = poll(&mut yes, awaits);
        let no = h.desk().deny(&someone, answer(id)).await;
        let yes = early.or_else(|| poll(&mut yes, AWAITS)).unwrap();
        h.fates.set_odds(Odds::CALM);
        h.settle(&w).await.unwrap();
        match (told(yes), no) {
            (None, Err(DeskError::Conflict(m))) if m.contains("approved") => {
                won[0] += 1;
                assert_eq!(ends(&h).await, [Disposition::Applied], "after {awaits} awaits");
            }
            (Some(m), Ok(_)) if m.contains("denied") => {
                won[1] += 1;
                assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Denied], 0), "after {awaits} awaits");
            }
            other => panic!("after {awaits} awaits: {other:?}"),
        }
    }
    assert!(won[0] > 0 && won[1] > 0, "each wins when it is first: {won:?}");
}

#[tokio::test]
async fn two_approvals_race() {
    for awaits in 0..AWAITS {
        let (h, w, id) = waiting("remote.once").await;
        let (someone, desk) = (someone(), h.desk_over(h.interrupted()));
        h.fates.set_odds(Odds { wait: 1000, ..Odds::CALM });
        let mut first = desk.approve(&someone, answer(id));
        let early = poll(&mut first, awaits);
        let second = h.desk().approve(&someone, answer(id)).await;
        let first = early.or_else(|| poll(&mut first, AWAITS)).unwrap();
        h.fates.set_odds(Odds::CALM);
        h.settle(&w).await.unwrap();
        let told: Vec<_> = [first, second].into_iter().filter_map(told).collect();
        assert!(matches!(&told[..], [m] if m.contains("approved")), "after {awaits} awaits: {told:?}");
        assert_eq!((ends(&h).await, h.remote.calls()), (vec![Disposition::Applied], 1), "after {awaits} awaits");
    }
}

#[tokio::test]
async fn nothing_holds_a_lane_while_a_person_thinks() {
    let (h, w, _) = waiting("remote.once").await;
    h.policy.set(Verdict::Allow);
    let mut other = House::action("remote.once", "b");
    other["entity_key"] = "e:a".into();
    h.send(&[other]).await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!((ends(&h).await, effects(&h, "b")), (vec![Disposition::Applied], 1));
    let states: Vec<_> = h.actions().await.unwrap().into_values().map(|a| a.state).collect();
    assert_eq!(states, [ActionState::WaitingApproval, ActionState::Done]);
}
