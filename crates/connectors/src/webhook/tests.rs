//! Published vectors, and every way a signature can fail.

use serde_json::{Value, json};
use tollgate_core::ports::{SecretLease, VerifiedWebhook, WebhookError};
use tollgate_core::spec::WebhookSpec;
use tollgate_core::time::Timestamp;

use super::Webhook;

fn webhook(spec: Value) -> Webhook {
    let mut spec = spec;
    for (key, value) in [("secret", "hook"), ("event_type", "shop.${body.kind}")] {
        if spec.get(key).is_none() {
            spec[key] = value.into();
        }
    }
    Webhook::compile(&serde_json::from_value::<WebhookSpec>(spec).unwrap()).unwrap()
}

fn verify(hook: &Webhook, secret: &str, headers: &[(&str, &str)], body: &[u8], now_s: i64) -> Result<VerifiedWebhook, WebhookError> {
    let lookup = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    hook.verify(&lookup, body, &SecretLease::new(secret.as_bytes().to_vec(), 1), Timestamp::from_micros(now_s * 1_000_000))
}

fn sign(secret: &[u8], message: &[u8]) -> String {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(message);
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

const GITHUB: &str = "${headers['x-github-event']}.${body.action}";

/// The vector of GitHub's documentation, "Validating webhook deliveries": it signs plain text, so that the signature
/// holds and the body is then refused as what it is.
#[test]
fn githubs_published_vector() {
    let hook = webhook(json!({"scheme": "github", "event_type": GITHUB}));
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let outcome = verify(&hook, "It's a Secret to Everybody", &[("x-hub-signature-256", good)], b"Hello, World!", 0);
    assert!(matches!(&outcome, Err(WebhookError::BadBody(m)) if m.contains("not JSON: expected value at line 1 column 1")), "{outcome:?}");
    let outcome = verify(&hook, "It's a Secret to Everybody", &[("x-hub-signature-256", good)], b"Hello, World?", 0);
    assert_eq!(outcome.unwrap_err(), WebhookError::BadSignature);
}

#[test]
fn github_deliveries() {
    let hook = webhook(json!({"scheme": "github", "event_type": GITHUB, "subject": "issue:${body.issue.number}"}));
    let body = br#" {"action":"opened","issue":{"number":7}} "#;
    let signature = format!("sha256={}", sign(b"s", body));
    let ok = verify(&hook, "s", &[("x-hub-signature-256", &signature), ("x-github-event", "issues")], body, 0).unwrap();
    assert_eq!((ok.event_type.as_str(), ok.subject.as_deref()), ("issues.opened", Some("issue:7")));
    assert_eq!(ok.dedupe_key, format!("sha256:{}", tollgate_core::hash::Digest::of(body)));
    assert_eq!(ok.payload.get(), r#"{"action":"opened","issue":{"number":7}}"#);
    // What GitHub does not sign cannot change what a delivery is deduplicated on.
    let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "push"), ("x-github-delivery", "other")];
    assert_eq!(verify(&hook, "s", &headers, body, 0).unwrap().dedupe_key, ok.dedupe_key);
    let push = br#"{"ref":"main"}"#;
    let pushed =
        verify(&hook, "s", &[("x-hub-signature-256", &format!("sha256={}", sign(b"s", push))), ("x-github-event", "push")], push, 0)
            .unwrap();
    assert_eq!((pushed.event_type.as_str(), pushed.subject), ("push", None));
    assert!(
        verify(
            &hook,
            "s",
            &[("x-hub-signature-256", &signature.to_uppercase().replace("SHA256", "sha256")), ("x-github-event", "x")],
            body,
            0
        )
        .is_ok()
    );
}

#[test]
fn github_signatures_that_do_not_hold() {
    let hook = webhook(json!({"scheme": "github", "event_type": GITHUB}));
    let body = br#"{"action":"x"}"#;
    let good = sign(b"s", body);
    for (headers, missing) in [
        (vec![], true),
        (vec![("x-hub-signature-256", String::new())], true),
        (vec![("x-hub-signature-256", good.clone())], true),
        (vec![("x-hub-signature-256", format!("sha1={good}"))], true),
        (vec![("x-hub-signature-256", "sha256=zz".to_owned())], true),
        (vec![("x-hub-signature-256", "sha256=".to_owned())], false),
        (vec![("x-hub-signature-256", format!("sha256={}", &good[..62]))], false),
        (vec![("x-hub-signature-256", format!("sha256={}", sign(b"other", body)))], false),
        (vec![("x-hub-signature", format!("sha1={good}"))], true),
    ] {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let error = verify(&hook, "s", &headers, body, 0).unwrap_err();
        assert_eq!(matches!(error, WebhookError::MissingSignature(_)), missing, "{headers:?}: {error}");
        assert_eq!(matches!(error, WebhookError::BadSignature), !missing, "{headers:?}: {error}");
    }
    // Anyone can sign under an empty key.
    let forged = format!("sha256={}", sign(b"", body));
    assert!(matches!(verify(&hook, "", &[("x-hub-signature-256", &forged)], body, 0), Err(WebhookError::BadBody(_))));
}

#[test]
fn form_encoded_deliveries_get_a_hint_after_they_are_verified() {
    let hook = webhook(json!({"scheme": "github", "event_type": GITHUB}));
    let body = b"payload=%7B%7D";
    let signature = format!("sha256={}", sign(b"s", body));
    let headers = [("x-hub-signature-256", signature.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let error = verify(&hook, "s", &headers, body, 0).unwrap_err();
    insta::assert_snapshot!(error, @"the body is form-encoded: set the webhook's content type to `application/json` at the sender");
    assert_eq!(verify(&hook, "t", &headers, body, 0).unwrap_err(), WebhookError::BadSignature);
}

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_BODY: &[u8] = br#"{"test": 2432232314}"#;
const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

/// The vector that the Standard Webhooks libraries share.
#[test]
fn standard_webhooks_published_vector() {
    let hook = webhook(json!({"scheme": "standard_webhooks", "event_type": "test.done"}));
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let at = 1_614_265_330;
    let verify_with = |signature: &str, stamp: &str, secret: &str, now| {
        verify(&hook, secret, &[("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature)], STANDARD_BODY, now)
    };
    let ok = verify_with(STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, at).unwrap();
    assert_eq!((ok.dedupe_key.as_str(), ok.event_type.as_str()), (id, "test.done"));
    assert!(verify_with(STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET.trim_start_matches("whsec_"), at).is_ok());
    let several = format!("v1a,abc v1,AAAA {STANDARD_SIGNATURE} v2,x");
    assert!(verify_with(&several, "1614265330", STANDARD_SECRET, at + 300).is_ok());
    for now in [at + 301, at - 301] {
        assert_eq!(
            verify_with(STANDARD_SIGNATURE, "1614265330", STANDARD_SECRET, now).unwrap_err(),
            WebhookError::Stale { tolerance_s: 300 }
        );
    }
    assert_eq!(verify_with(STANDARD_SIGNATURE, "1614265331", STANDARD_SECRET, at).unwrap_err(), WebhookError::BadSignature);
    assert_eq!(verify_with("v1,AAAA", "1614265330", STANDARD_SECRET, at).unwrap_err(), WebhookError::BadSignature);
    for (signature, stamp) in [
        ("v1a,xyz", "1614265330"),
        ("", "1614265330"),
        (STANDARD_SIGNATURE, "-1"),
        (STANDARD_SIGNATURE, "1614265330.5"),
        (STANDARD_SIGNATURE, "soon"),
    ] {
        assert!(
            matches!(verify_with(signature, stamp, STANDARD_SECRET, at), Err(WebhookError::MissingSignature(_))),
            "{signature} {stamp}"
        );
    }
    let unusable = verify_with(STANDARD_SIGNATURE, "1614265330", "whsec_not base64", at).unwrap_err().to_string();
    assert!(unusable.contains("whsec_") && !unusable.contains("not base64"), "{unusable}");
    assert!(
        verify(
            &hook,
            STANDARD_SECRET,
            &[("webhook-timestamp", "1614265330"), ("webhook-signature", STANDARD_SIGNATURE)],
            STANDARD_BODY,
            at
        )
        .is_err()
    );
}

#[test]
fn custom_hmacs() {
    let body = br#"{"kind":"order","data":{"id":42}}"#;
    let plain = webhook(json!({"scheme": "hmac", "signature_header": "X-Sig", "prefix": "v0=", "delivery_id": "/data/id"}));
    let ok = verify(&plain, "s", &[("x-sig", &format!("v0={}", sign(b"s", body)))], body, 0).unwrap();
    assert_eq!((ok.event_type.as_str(), ok.dedupe_key.as_str()), ("shop.order", "id:42"));
    let without = br#"{"kind":"order"}"#;
    let ok = verify(&plain, "s", &[("x-sig", &format!("v0={}", sign(b"s", without)))], without, 0).unwrap();
    assert!(ok.dedupe_key.starts_with("sha256:"));
    let timed = webhook(
        json!({"scheme": "hmac", "signature_header": "x-sig", "encoding": "base64", "timestamp_header": "X-Time", "tolerance": "10s"}),
    );
    let raw = data_encoding::HEXLOWER.decode(sign(b"s", &[b"1000.", body.as_slice()].concat()).as_bytes()).unwrap();
    let signature = data_encoding::BASE64.encode(&raw);
    let at = |stamp: &str, now| verify(&timed, "s", &[("x-sig", &signature), ("x-time", stamp)], body, now);
    assert!(at("1000", 1010).is_ok() && at("1000", 990).is_ok());
    assert_eq!(at("1000", 1011).unwrap_err(), WebhookError::Stale { tolerance_s: 10 });
    assert_eq!(at("1000", 989).unwrap_err(), WebhookError::Stale { tolerance_s: 10 });
    assert_eq!(at("1001", 1000).unwrap_err(), WebhookError::BadSignature);
    assert!(
        matches!(verify(&timed, "s", &[("x-sig", &signature)], body, 1000), Err(WebhookError::MissingSignature(m)) if m.contains("x-time"))
    );
}

#[test]
fn mappings_that_fit_no_event_are_refused() {
    let hook = webhook(json!({"scheme": "github", "event_type": "${body.kind}", "subject": "${body.s}"}));
    for (body, says) in [
        (json!({"kind": "a b"}), "event types use letters"),
        (json!({"kind": "a..b"}), "empty segment"),
        (json!({}), "1 to 200 bytes"),
        (json!({"kind": ["x"]}), "webhook.event_type"),
        (json!({"kind": "x", "s": {}}), "webhook.subject"),
        (json!({"kind": "x", "s": "y".repeat(256)}), "webhook.subject"),
    ] {
        let body = body.to_string();
        let signature = format!("sha256={}", sign(b"s", body.as_bytes()));
        let outcome = verify(&hook, "s", &[("x-hub-signature-256", &signature)], body.as_bytes(), 0);
        assert!(matches!(&outcome, Err(WebhookError::BadBody(m)) if m.contains(says)), "{body}: {outcome:?}");
    }
    for body in [&b"{\"kind\":\"x\",}"[..], b"", b"{} {}", b"\xff{}", "[".repeat(1000).as_bytes()] {
        let signature = format!("sha256={}", sign(b"s", body));
        let outcome = verify(&hook, "s", &[("x-hub-signature-256", &signature)], body, 0);
        assert!(matches!(&outcome, Err(WebhookError::BadBody(m)) if m.contains("line 1 column")), "{outcome:?}");
    }
}

#[test]
fn bad_specs_are_faults() {
    let spec = json!({"scheme": "hmac", "signature_header": "a b", "timestamp_header": "", "delivery_id": "id", "secret": " ", "event_type": "a..b", "subject": "${args.x}"});
    let faults = Webhook::compile(&serde_json::from_value(spec).unwrap()).err().unwrap();
    let places: Vec<_> = faults.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "webhook.event_type",
            "webhook.subject",
            "webhook.signature_header",
            "webhook.timestamp_header",
            "webhook.delivery_id",
            "webhook.secret"
        ]
    );
}

#[test]
fn a_tolerance_beyond_a_day_is_a_fault() {
    for scheme in
        [json!({"scheme": "standard_webhooks"}), json!({"scheme": "hmac", "signature_header": "x-sign", "timestamp_header": "x-time"})]
    {
        for (tolerance, places) in [("24h", vec![]), ("5m", vec![]), ("25h", vec!["webhook.tolerance"]), ("60d", vec!["webhook.tolerance"])]
        {
            let mut spec = scheme.clone();
            for (key, value) in [("secret", "hook"), ("event_type", "shop.x"), ("tolerance", tolerance)] {
                spec[key] = value.into();
            }
            let faults = Webhook::compile(&serde_json::from_value(spec).unwrap()).err().unwrap_or_default();
            assert_eq!(faults.iter().map(|f| f.place.as_str()).collect::<Vec<_>>(), places, "{tolerance}");
        }
    }
}
