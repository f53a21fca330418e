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

/// A list in a list in a list, as text: what is parsed and dropped by recursion somewhere on its way.
fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn arguments_of_any_depth_are_refused_or_can_be_read_for_ever() {
    let house = house().await;
    let mut stored = 0;
    for levels in (58..70).chain([120, 125, 126, 127, 128, 10_000]) {
        let body = format!(
            r#"{{"tool":"notes.write","args":{{"name":{}}},"entity_key":"n:{levels}","idempotency_key":"n:{levels}","wait_ms":20000}}"#,
            nested(levels)
        );
        let taken = house.call("POST", "/v1/actions").header("content-type", "application/json").body(body).go().await;
        if taken.status == 400 {
            assert!(levels > 63 && (levels > 120 || taken.error().contains("64 deep in each other")), "{}", taken.error());
            continue;
        }
        assert_eq!(taken.status, 201, "{levels}: {}", String::from_utf8_lossy(&taken.body));
        stored += 1;
        let action = taken.json();
        assert_eq!(action["disposition"], "invalid", "{levels}: {action}");
        let id = action["id"].as_str().unwrap();
        for path in [format!("/v1/actions/{id}"), "/v1/actions?limit=1".to_owned(), format!("/v1/receipts?action={id}")] {
            assert_eq!(house.call("GET", path).go().await.status, 200, "{levels}");
        }
        let receipt = action["receipt_id"].as_str().unwrap_or_else(|| panic!("{action}"));
        assert_eq!(house.call("GET", format!("/v1/receipts/{receipt}")).go().await.status, 200, "{levels}");
    }
    assert!(stored > 0);
    assert_eq!(house.call("GET", "/v1/receipts/export").go().await.status, 200);
}

#[tokio::test]
async fn an_event_of_any_depth_is_refused_or_its_run_ends() {
    let house = house().await;
    let mut stored = 0;
    for levels in (58..70).chain([125, 126, 127, 10_000]) {
        let body = format!(r#"{{"source":"s","event_type":"note.made","payload":{{"name":"n{levels}","text":{}}}}}"#, nested(levels));
        let taken = house.call("POST", "/v1/events").header("content-type", "application/json").body(body).go().await;
        if taken.status == 400 {
            assert!(levels > 63 && (levels > 120 || taken.error().contains("64 deep in each other")), "{}", taken.error());
            continue;
        }
        stored += 1;
        let id = taken.json()["id"].as_str().unwrap().to_owned();
        let ended = |runs: &serde_json::Value| matches!(runs["data"][0]["state"].as_str(), Some("succeeded" | "failed"));
        let run = crate::flow::until(&house, &format!("/v1/runs?event={id}"), ended).await["data"][0].clone();
        let actions = house.call("GET", format!("/v1/actions?run={}", run["id"].as_str().unwrap())).go().await;
        assert_eq!(actions.status, 200, "{levels}: {}", String::from_utf8_lossy(&actions.body));
        assert_eq!(house.call("GET", format!("/v1/events/{id}")).go().await.status, 200, "{levels}");
    }
    assert!(stored > 0);
    assert_eq!(house.call("GET", "/v1/receipts/export").go().await.status, 200);
}

#[tokio::test]
async fn no_answer_is_kept_guessed_at_or_framed() {
    let house = house().await;
    for (path, accept) in
        [("/v1/events", ""), ("/errors/not_found", "text/html"), ("/%3Cscript%3E", "text/html"), ("/metrics", ""), ("/v1/secrets", "")]
    {
        let answer = house.call("GET", path).header("accept", accept).go().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(answer.header("access-control-allow-origin").is_empty(), "no page of another origin reads anything");
    }
}

#[tokio::test]
async fn a_key_takes_no_other_service_accounts_name() {
    let house = house().await;
    let make = async |key: &str, name: &str| {
        house.send("POST", "/v1/api_keys", &json!({"name": name, "scopes": ["actions:write", "keys:write"]})).key(key).go().await
    };
    let agent = make(&house.key, "agent").await.json()["key"].as_str().unwrap().to_owned();
    let release = make(&house.key, "release").await.json()["id"].as_str().unwrap().to_owned();
    let refused = make(&agent, "release").await;
    insta::assert_snapshot!(refused.error(), @"403 insufficient_scope: `name`: the service account `release` has a key already, and only a key with the scope `*` makes another one for it");
    assert_eq!(house.call("DELETE", format!("/v1/api_keys/{release}")).go().await.status, 204);
    assert_eq!(make(&agent, "release").await.status, 403, "policies still name it");
    for (key, name) in [(&agent, "agent"), (&agent, "fresh"), (&house.key, "release")] {
        assert_eq!(make(key, name).await.status, 201, "{name}");
    }
    assert_eq!(make(&house.test_key, "agent").await.status, 201, "the other mode has names of its own");
}

#[tokio::test]
async fn a_secret_of_the_wrong_type_is_refused_without_being_repeated() {
    let house = house().await;
    for body in
        [json!({"value": 4_242_424_242_u64}), json!({"value": true}), json!({"value": ["4242424242"]}), json!({"value": {"4242424242": 1}})]
    {
        let refused = house.send("PUT", "/v1/secrets/token", &body).go().await.error();
        assert!(refused.starts_with("400 invalid_parameter: `value`: ") && !refused.contains("4242424242"), "{refused}");
    }
    let set = house.send("PUT", "/v1/secrets/token", &json!({"value": "canary"})).go().await;
    assert!(set.status == 200 && !String::from_utf8_lossy(&set.body).contains("canary"));
}
