//! The egress guard on the way: names that resolve inwards, addresses in URLs, plain http.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::attempt::AttemptOutcome::{Applied, NotSent};
use tollgate_core::spec::{AuthSpec, ConnectorSpec};

use super::support::*;

fn guarded(base: &str, allow: &[&str]) -> ConnectorSpec {
    let mut spec = connector(base);
    spec.egress.allow_private = allow.iter().map(|a| (*a).to_owned()).collect();
    spec
}

#[tokio::test]
async fn addresses_in_urls_are_judged() {
    let remote = Remote::json(200, json!({})).await;
    let port = remote.addr.port();
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "[fd00:ec2::254]", "localhost"] {
        let connectors = compile(guarded(&format!("http://{host}:{port}"), &[]), vec![post()]).unwrap();
        let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
        assert!(matches!(&outcome, NotSent { message, retryable: false } if message.contains("egress guard")), "{host}: {outcome:?}");
    }
    assert!(remote.seen().is_empty());
}

#[tokio::test]
async fn a_named_host_or_endpoint_is_reached_and_no_other() {
    let remote = Remote::json(200, json!({})).await;
    let endpoint = remote.addr.to_string();
    for (allow, reached) in [("127.0.0.1", true), (endpoint.as_str(), true), ("127.0.0.1:1", false), ("127.0.0.2", false)] {
        let connectors = compile(guarded(&remote.base(), &[allow]), vec![post()]).unwrap();
        let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
        assert_eq!(matches!(outcome, Applied { .. }), reached, "{allow}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_name_that_turns_inwards_is_refused_at_every_connection() {
    let remote = Remote::json(200, json!({})).await;
    // Each connection resolves once, and what that resolution says is both judged and connected to.
    let names = Names::of(&[&["127.0.0.1"], &["10.0.0.7", "::1"], &["169.254.169.254"]]);
    let base = format!("http://shop.example:{}", remote.addr.port());
    let connectors = compile_with(guarded(&base, &[]), vec![post()], "/".as_ref(), &(names.clone() as _)).unwrap();
    for turn in 1..=3 {
        let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
        assert!(matches!(&outcome, NotSent { message, retryable: false } if message.contains("`shop.example`")), "{outcome:?}");
        assert_eq!(names.asked.lock().unwrap().len(), turn, "one resolution per connection, none besides");
    }
    assert!(remote.seen().is_empty());
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let remote = Remote::json(200, json!({})).await;
    let names = Names::of(&[&["127.0.0.1"], &["127.0.0.9"]]);
    let base = format!("http://shop.example:{}", remote.addr.port());
    let connectors = compile_with(guarded(&base, &["shop.example"]), vec![post()], "/".as_ref(), &(names.clone() as _)).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(outcome, Applied { .. }), "{outcome:?}");
    assert_eq!(names.asked.lock().unwrap().as_slice(), ["shop.example"]);
}

#[tokio::test]
async fn secrets_do_not_travel_in_the_clear() {
    let mut spec = guarded("http://shop.example", &[]);
    spec.auth = AuthSpec::Bearer { secret: "token".into() };
    let faults = compile(spec.clone(), vec![post()]).unwrap_err();
    assert!(faults[0].message.contains("unencrypted to `shop.example`"), "{faults:?}");
    assert_eq!((faults[0].place.as_str(), faults[0].tool.as_deref()), ("request.url", Some("shop.order")));
    spec.egress.allow_private = ["shop.example".to_owned()].into();
    assert!(compile(spec.clone(), vec![post()]).is_ok());
    spec.egress.allow_private.clear();
    spec.auth = AuthSpec::None;
    assert!(compile(spec, vec![post()]).is_ok());
}

#[test]
fn what_is_no_host_is_a_fault() {
    let faults =
        compile_with(guarded("https://x.example", &["http://x", "*.x"]), vec![], "/".as_ref(), &(Arc::new(Silent) as _)).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().all(|f| f.place == "egress.allow_private"));
}
