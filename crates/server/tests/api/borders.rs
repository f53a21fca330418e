//! What a caller who means harm tries: cursors made by hand, and keys that reach past their walls.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use tollgate_testkit::SimClock;

use crate::support::{Answer, House};

async fn house() -> House {
    House::new(Arc::new(SimClock::default())).await
}

fn ids(answer: &Answer) -> BTreeSet<String> {
    answer.json()["data"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect()
}

/// A cursor names its query in bytes that any holder of a key can read off a genuine one; only its row is made up here.
fn forged(genuine: &str, row: u128) -> String {
    let mut bytes = BASE64URL_NOPAD.decode(genuine.as_bytes()).unwrap();
    let at = bytes.len() - 16;
    bytes[at..].copy_from_slice(&row.to_be_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

#[tokio::test]
async fn a_forged_cursor_of_receipts_stays_in_its_own_ledger() {
    let house = house().await;
    let keys = [house.key.clone(), house.test_key.clone()];
    for key in &keys {
        let more = json!({"name": "more", "scopes": ["*"]});
        assert_eq!(house.send("POST", "/v1/api_keys", &more).key(key).go().await.status, 201);
    }
    for key in &keys {
        let own = ids(&house.call("GET", "/v1/receipts?kind=all&limit=100").key(key).go().await);
        let page = house.call("GET", "/v1/receipts?kind=all&limit=1").key(key).go().await.json();
        let genuine = page["next_cursor"].as_str().unwrap();
        for row in [1 << 40, (1 << 41) - 1, 1 << 42, u128::from(u64::MAX >> 1), u128::from(u64::MAX), u128::MAX] {
            let mut seen = BTreeSet::new();
            let mut cursor = forged(genuine, row);
            loop {
                let answer = house.call("GET", format!("/v1/receipts?kind=all&limit=1&cursor={cursor}")).key(key).go().await;
                assert_eq!(answer.status, 200, "{row}");
                seen.extend(ids(&answer));
                let Some(next) = answer.json()["next_cursor"].as_str().map(str::to_owned) else { break };
                cursor = next;
            }
            assert_eq!(seen, own, "a cursor beyond the end lists the whole of its own ledger and nothing else ({row})");
        }
    }
}
