//! A tenant is removed while its work is under way.

use tollgate_core::ledger::{Body, Disposition, SignedCheckpoint};
use tollgate_core::ports::{Desk, DeskError, DirectAction, Keep, WrappedTenantKey};
use tollgate_sim::{House, someone};
use tollgate_testkit::{Behaviour, scope};
use tollgate_worker::TenantDesk;

use super::{crash, ends, house};

async fn submit(h: &House, id: &str) {
    let proposal = serde_json::from_value(House::action("remote.keyed", id)).unwrap();
    let direct = DirectAction { proposal, dedupe: None, wait: std::time::Duration::ZERO };
    h.desk().submit(&someone(), direct).await.unwrap();
}

/// Suspended: no new intents. Drained: what is under way ends, and what is in doubt is not called again. The last checkpoint covers everything.
/// Then the keys are erased, and what is left proves itself.
#[tokio::test]
async fn tenant_removed_mid_run() {
    let h = house();
    let w = h.worker().await.unwrap();
    h.store.put_tenant_key(scope(), WrappedTenantKey { key_id: [1; 16], wrapped: vec![1] }).await.unwrap();
    submit(&h, "before").await;
    h.settle(&w).await.unwrap();
    h.remote.script([Behaviour::Hang]);
    submit(&h, "during").await;
    let step = h.claim(&w).await.unwrap()[0];
    crash(w.drive(step));
    submit(&h, "waits").await;

    let counter = h.desk();
    let desk = TenantDesk::new(&counter, &*h.store as &dyn Keep);
    let calls = h.remote.calls();
    let said = desk.remove(&someone()).await.unwrap_err();
    assert!(matches!(&said, DeskError::Conflict(m) if m.contains("are not over")), "{said}");
    submit(&h, "after").await;
    assert_eq!(h.lapse().await.unwrap(), 1);
    let w = h.worker().await.unwrap();
    h.settle(&w).await.unwrap();
    assert_eq!(h.remote.calls(), calls, "nothing is called for a tenant that is suspended");
    let ended = |d: Disposition, all: &[Disposition]| all.iter().filter(|x| **x == d).count();
    let all = ends(&h).await;
    assert_eq!((ended(Disposition::Unknown, &all), ended(Disposition::Refused, &all)), (1, 2), "{all:?}");
    desk.remove(&someone()).await.unwrap_err();
    let doubt = h.actions().await.unwrap().into_values().find(House::waits_for_person).unwrap();
    h.desk().resolve(&someone(), doubt.id, true, None).await.unwrap();
    h.store.publish().await.unwrap();
    assert_eq!(h.unverifiable().await.unwrap(), None);

    let gone = desk.remove(&someone()).await.unwrap();
    assert_eq!((gone["runs"], gone["actions"], gone["tenant_keys"]), (4, 4, 1));
    assert!(h.store.tenant_key(scope()).await.unwrap().is_none());
    assert!(h.actions().await.unwrap().is_empty());
    let log = h.ledger().await.unwrap();
    let said: Vec<&str> = log.iter().filter_map(|e| if let Body::Change(c) = &e.body { Some(c.status.as_str()) } else { None }).collect();
    assert_eq!(said.last(), Some(&"removed"), "{said:?}");
    let signed: SignedCheckpoint = serde_json::from_str(&h.store.checkpoint(scope()).await.unwrap().unwrap()).unwrap();
    assert_eq!(signed.checkpoint.size, log.len() as u64, "the last checkpoint covers everything");
    h.signer().check().await.unwrap();

    assert_eq!(desk.remove(&someone()).await.unwrap().values().sum::<u64>(), 0, "twice is harmless");
    assert_eq!(h.ledger().await.unwrap().len(), log.len());
}
