//! Webhooks: the signature over the raw body decides, and nothing is parsed before.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use tollgate_core::ports::Clock as _;
use tollgate_testkit::SimClock;

use crate::support::{Answer, House};

fn mac(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    parts.iter().for_each(|p| mac.update(p));
    mac.finalize().into_bytes().to_vec()
}

async fn github(house: &House, body: &str, signature: &str) -> Answer {
    let call = house.call("POST", "/v1/hooks/github").header("authorization", "").header("x-github-event", "issues");
    call.header("x-hub-signature-256", signature).body(body).go().await
}

#[tokio::test]
async fn a_signed_webhook_becomes_one_event() {
    let house = House::new(Arc::new(SimClock::default())).await;
    let body = r#"{"action": "opened", "issue": 7}"#;
    let signature = format!("sha256={}", HEXLOWER.encode(&mac(b"hush", &[body.as_bytes()])));
    let unset = github(&house, body, &signature).await;
    assert_eq!(unset.status, 503, "no key configured means refused, never skipped");
    let mut said = vec![unset.error()];
    house.secret("github_webhook", "hush").await;
    let first = github(&house, body, &signature).await;
    assert_eq!((first.status.as_u16(), &first.json()["event_type"]), (201, &json!("issues.opened")));
    let again = github(&house, body, &signature).await;
    assert_eq!((again.status.as_u16(), &again.json()["id"]), (200, &first.json()["id"]));
    said.push(github(&house, body, "").await.error());
    said.push(github(&house, body, "sha256=zz").await.error());
    said.push(github(&house, body, &format!("sha256={}", "0".repeat(64))).await.error());
    said.push(github(&house, &body.replace('7', "8"), &signature).await.error());
    // Well signed, but nothing that an event can be made of.
    for body in ["not json", r#"{"action": "a b"}"#, r#"{"action": "opened", "n": 1e99}"#] {
        let signature = format!("sha256={}", HEXLOWER.encode(&mac(b"hush", &[body.as_bytes()])));
        said.push(github(&house, body, &signature).await.error());
    }
    said.push(house.call("POST", "/v1/hooks/notes").go().await.error());
    said.push(house.call("POST", "/v1/hooks/no%0Ane").go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    503 secret_not_set, again in 60 s: the secret `github_webhook` is not set: run `tollgate secrets set github_webhook`
    401 signature_invalid: the signature is missing or malformed: the header `x-hub-signature-256` is missing
    401 signature_invalid: the signature is missing or malformed: the header `x-hub-signature-256` is not hexadecimal
    401 signature_invalid: the signature does not match the body
    401 signature_invalid: the signature does not match the body
    400 invalid_parameter: the body is not JSON: expected ident at line 1 column 2
    400 invalid_parameter: webhook.event_type: `issues.a b` holds ` `: event types use letters, digits, `_`, `-`, `:`, `/` and dots
    400 invalid_parameter: the number 1e+99 at `/body/n` is beyond 2^53 and would change silently: send it as a string
    404 not_found: no connector `notes` takes webhooks
    404 not_found: no connector `no\nne` takes webhooks
    ");
    assert_eq!(house.call("GET", "/v1/events").go().await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_delivery_is_stale_and_a_delivery_id_makes_it_one() {
    let clock = Arc::new(SimClock::default());
    let house = House::new(Arc::clone(&clock) as _).await;
    house.secret("pay_webhook", &format!("whsec_{}", BASE64.encode(b"a secret of the sender"))).await;
    let now = clock.now().as_millis() / 1000;
    let send = |id: &'static str, at: u64, body: &'static str| {
        let at = at.to_string();
        let signed = mac(b"a secret of the sender", &[id.as_bytes(), b".", at.as_bytes(), b".", body.as_bytes()]);
        let call = house.call("POST", "/v1/hooks/pay").header("webhook-id", id).header("webhook-timestamp", at);
        let call = call.header("webhook-signature", format!("v1,{}", BASE64.encode(&signed))).body(body);
        async move { call.go().await }
    };
    let first = send("m1", now, r#"{"kind": "paid"}"#).await;
    assert_eq!((first.status.as_u16(), &first.json()["event_type"]), (201, &json!("pay.paid")));
    assert_eq!(send("m1", now + 1, r#"{"kind": "paid"}"#).await.status, 200, "the id is signed: the same delivery");
    let other = send("m1", now + 2, r#"{"kind": "refunded"}"#).await;
    assert_eq!(other.status, 409);
    let stale = [send("m2", now - 301, r#"{"kind": "paid"}"#).await.error(), send("m3", now + 302, r#"{"kind": "paid"}"#).await.error()];
    insta::assert_snapshot!(stale.join("\n"), @r"
    401 signature_invalid: the timestamp is outside the tolerance of 300 s
    401 signature_invalid: the timestamp is outside the tolerance of 300 s
    ");
    clock.advance(Duration::from_secs(31 * 24 * 3600));
    let late = clock.now().as_millis() / 1000;
    assert_eq!(send("m1", late, r#"{"kind": "paid"}"#).await.status, 201, "deliveries are known again for 30 days");
}
