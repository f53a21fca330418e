//! Keys: missing, malformed, unknown, revoked, too weak, of the other mode.

use std::sync::Arc;

use serde_json::json;
use tollgate_testkit::SimClock;

use crate::support::House;

async fn house() -> House {
    House::new(Arc::new(SimClock::default())).await
}

#[tokio::test]
async fn a_request_without_a_usable_key_is_told_what_to_send() {
    let house = house().await;
    let mut said = Vec::new();
    for header in ["", "sk_live_abc", "Basic dXNlcjpwYXNz", "Bearer pk_live_x", "Bearer sk_live_unknown", "bearer  sk_test_unknown"] {
        let answer = house.call("GET", "/v1/runs").header("authorization", header).go().await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        said.push(format!("{header}\n  {}", answer.error()));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
      401 key_invalid: the request has no API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`
    sk_live_abc
      401 key_invalid: the `Authorization` header is not `Bearer` and an API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`
    Basic dXNlcjpwYXNz
      401 key_invalid: the `Authorization` header is not `Bearer` and an API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`
    Bearer pk_live_x
      401 key_invalid: the `Authorization` header is not `Bearer` and an API key: send `Authorization: Bearer sk_live_...` or `sk_test_...`
    Bearer sk_live_unknown
      401 key_invalid: this API key is not known: check that it was copied whole
    bearer  sk_test_unknown
      401 key_invalid: this API key is not known: check that it was copied whole
    ");
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_does_not_come_back() {
    let house = house().await;
    let made = house.send("POST", "/v1/api_keys", &json!({"name": "ci", "scopes": ["runs:read"]})).go().await.json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(house.call("GET", "/v1/runs").key(key).go().await.status, 200);
    assert_eq!(house.call("DELETE", format!("/v1/api_keys/{id}")).go().await.status, 204);
    let refused = house.call("GET", "/v1/runs").key(key).go().await;
    insta::assert_snapshot!(refused.error(), @"401 key_revoked: this API key was revoked: use another one");
    assert_eq!(house.call("DELETE", format!("/v1/api_keys/{id}")).go().await.status, 404, "it is revoked already");
    let record = house.call("GET", format!("/v1/api_keys/{id}")).go().await.json();
    assert!(record["revoked_at"].is_string() && record.get("key").is_none(), "{record}");
}

#[tokio::test]
async fn a_key_does_only_what_its_scopes_say() {
    let house = house().await;
    let weak = house.send("POST", "/v1/api_keys", &json!({"name": "weak", "scopes": ["runs:read", "keys:write"]})).go().await.json();
    let weak = weak["key"].as_str().unwrap().to_owned();
    assert_eq!(house.call("GET", "/v1/runs").key(&weak).go().await.status, 200);
    let event = json!({"source": "s", "event_type": "a.b", "payload": {}});
    let mut said = vec![house.send("POST", "/v1/events", &event).key(&weak).go().await.error()];
    for path in ["/v1/events", "/v1/approvals", "/v1/receipts", "/v1/operators", "/v1/secrets", "/v1/api_keys"] {
        said.push(house.call("GET", path).key(&weak).go().await.error());
    }
    let grab = json!({"name": "more", "scopes": ["runs:read", "secrets:read"]});
    said.push(house.send("POST", "/v1/api_keys", &grab).key(&weak).go().await.error());
    said.push(house.send("POST", "/v1/api_keys", &json!({"name": "more", "scopes": ["*"]})).key(&weak).go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    403 insufficient_scope: this API key may not do this: it needs the scope `events:write`
    403 insufficient_scope: this API key may not do this: it needs the scope `events:read`
    403 insufficient_scope: this API key may not do this: it needs the scope `approvals:read`
    403 insufficient_scope: this API key may not do this: it needs the scope `receipts:read`
    403 insufficient_scope: this API key may not do this: it needs the scope `config:read`
    403 insufficient_scope: this API key may not do this: it needs the scope `secrets:read`
    403 insufficient_scope: this API key may not do this: it needs the scope `keys:read`
    403 insufficient_scope: this API key may not give away `secrets:read`: it does not have it itself
    403 insufficient_scope: this API key may not give away `*`: it does not have it itself
    ");
}

#[tokio::test]
async fn the_other_mode_does_not_see_what_is_there() {
    let house = house().await;
    let event = json!({"source": "s", "event_type": "a.b", "payload": {}});
    let stored = house.send("POST", "/v1/events", &event).go().await.json();
    let id = stored["id"].as_str().unwrap();
    assert_eq!(stored["mode"], "live");
    let test = &house.test_key;
    assert_eq!(house.call("GET", format!("/v1/events/{id}")).go().await.json(), stored);
    let hidden = house.call("GET", format!("/v1/events/{id}")).key(test).go().await;
    assert_eq!(hidden.error(), format!("404 not_found: there is no event `{id}` in this tenant and mode"));
    assert_eq!(house.call("GET", "/v1/events").key(test).go().await.json()["data"], json!([]));
    // A key of one mode is not listed in the other, and a key made with a test key is a test key.
    let made = house.send("POST", "/v1/api_keys", &json!({"name": "t", "scopes": ["*"]})).key(test).go().await.json();
    assert!(made["key"].as_str().unwrap().starts_with("sk_test_") && made["mode"] == "test");
    let listed = house.call("GET", "/v1/api_keys").go().await.json();
    assert!(listed["data"].as_array().unwrap().iter().all(|k| k["mode"] == "live"), "{listed}");
}
