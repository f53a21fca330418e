//! Rows of the table in which people answer: approvals, denials, cancellations.

use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{Answer, Desk};
use tollgate_core::verdict::Verdict;
use tollgate_sim::{House, someone};
use tollgate_testkit::Behaviour;

use super::{asked, effects, ends, house};

fn answer(approval: tollgate_core::id::ApprovalId) -> Answer {
    Answer { approval, queue: None, binding: None, comment: None }
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
