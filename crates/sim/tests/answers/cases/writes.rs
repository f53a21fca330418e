//! Commands that fail inside the store: they leave nothing behind, in memory as on disk.

use tollgate_core::entries::new_entry;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::{Body, Change, Subject};
use tollgate_core::ports::{Clock, NewEntry};
use tollgate_sim::{Fault, House};
use tollgate_testkit::scope;

use super::house;

fn change(h: &House, id: u8) -> NewEntry {
    let change = Change {
        subject: Subject::Key,
        name: "k".to_owned(),
        by: "ann".to_owned(),
        status: "revoked".to_owned(),
        digest: None,
        previous: None,
        version: None,
        deployment: None,
    };
    new_entry(EntryId::from_bytes([id; 16]), scope(), h.clock.now(), Body::Change(Box::new(change))).unwrap()
}

#[tokio::test]
async fn an_entry_that_is_refused_leaves_no_leaf_in_the_tree() {
    let h = house();
    h.store.append(scope(), change(&h, 1)).await.unwrap();
    // Its id is taken: the first thing that this command would write is refused.
    assert!(h.store.append(scope(), change(&h, 1)).await.is_err());
    h.store.append(scope(), change(&h, 2)).await.unwrap();
    h.store.sequence().await.unwrap();
    assert_eq!(h.store.frontier(scope()).await.unwrap().size(), 2);
    assert_eq!(h.faults().await.unwrap(), Vec::<Fault>::new());
    assert_eq!(h.unverifiable().await.unwrap(), None);
}
