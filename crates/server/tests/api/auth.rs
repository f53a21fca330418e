//! Keys: missing, malformed, unknown, revoked, too weak, of the other mode.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::scope::Mode;
use tollgate_testkit::SimClock;

use crate::support::House;

#[tokio::test]
async fn a_request_without_a_usable_key_is_told_what_to_send() {
    let house = House::new(Arc::new(SimClock::default())).await;
    let mut said = Vec::new();
    for header in ["", "sk_live_abc", "Basic dXNlcjpwYXNz", "Bearer pk_live_x", "Bearer sk_live_unknown", "bearer  sk_test_unknown"] {
        let answer = house.call("GET", "/v1/runs").header("authorization", header).go().await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.error().contains("unknown"), "a key must not be quoted");
        said.push(answer.error());
    }
    insta::assert_snapshot!(said.join("\n"), @"");
    let _ = (json!({}), Mode::Live);
}
