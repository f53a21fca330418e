//! Events in: what is refused, with which words, and what a key makes the same.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use serde_json::json;
use tollgate_server::Options;
use tollgate_testkit::SimClock;

use crate::support::{Answer, House};

async fn house() -> House {
    House::new(Arc::new(SimClock::default())).await
}

async fn post(house: &House, body: &str) -> Answer {
    house.call("POST", "/v1/events").header("content-type", "application/json").body(body).go().await
}

#[tokio::test]
async fn each_bad_body_is_told_where_and_what() {
    let house = house().await;
    let mut said = Vec::new();
    for body in [
        "",
        "{\"source\": \"s\",\n  \"event_type\" \"a.b\"}",
        "{\"source\": \"s\"",
        "[]",
        "\"text\"",
        "{}",
        r#"{"source": "s", "event_type": "a.b"}"#,
        r#"{"source": 7, "event_type": "a.b", "payload": {}}"#,
        r#"{"source": "", "event_type": "a.b", "payload": {}}"#,
        r#"{"source": "s", "event_type": "a..b", "payload": {}}"#,
        r#"{"source": "s", "event_type": "a b", "payload": {}}"#,
        r#"{"source": "s", "event_tpye": "a.b", "payload": {}}"#,
        r#"{"source": "s", "type": "a.b", "payload": {}}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {}, "subjekt": "x"}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {}, "subject": ["x"]}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {}, "subject": "a\nb"}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {}, "time": "yesterday"}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {"n": [1, 9007199254740993]}}"#,
        r#"{"source": "s", "source": "t", "event_type": "a.b", "payload": {}}"#,
        r#"{"source": "s", "event_type": "a.b", "payload": {}, "idempotency_key": "k"}"#,
        r#"{"specversion": "0.3", "id": "1", "source": "s", "type": "a.b"}"#,
        r#"{"specversion": "1.0", "source": "s", "type": "a.b"}"#,
        r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "data_base64": "AA=="}"#,
    ] {
        said.push(format!("{body}\n  {}", post(&house, body).await.error()));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
      400 invalid_json: the body is empty: send a JSON object
    {"source": "s",
      "event_type" "a.b"}
      400 invalid_json: the body is not well-formed JSON: expected `:` (line 2, column 16)
    {"source": "s"
      400 invalid_json: the body is not well-formed JSON: EOF while parsing an object (line 1, column 14)
    []
      400 invalid_parameter: a list was found instead of an object with `source`, `event_type` and `payload` (line 1, column 1)
    "text"
      400 invalid_parameter: text was found instead of an object with `source`, `event_type` and `payload` (line 1, column 6)
    {}
      400 invalid_parameter: `source` is missing: an event has `source`, `event_type` and `payload`
    {"source": "s", "event_type": "a.b"}
      400 invalid_parameter: `payload` is missing: an event has `source`, `event_type` and `payload`
    {"source": 7, "event_type": "a.b", "payload": {}}
      400 invalid_parameter: a number was found instead of a string for `source` (line 1, column 12)
    {"source": "", "event_type": "a.b", "payload": {}}
      400 invalid_parameter: `source` is empty: name the system that the event comes from
    {"source": "s", "event_type": "a..b", "payload": {}}
      400 invalid_parameter: `event_type`: `a..b` has an empty segment: write dotted words such as `issues.opened`
    {"source": "s", "event_type": "a b", "payload": {}}
      400 invalid_parameter: `event_type`: `a b` holds ` `: event types use letters, digits, `_`, `-`, `:`, `/` and dots
    {"source": "s", "event_tpye": "a.b", "payload": {}}
      400 invalid_parameter: the field `event_tpye` is not known: did you mean `event_type`?
    {"source": "s", "type": "a.b", "payload": {}}
      400 invalid_parameter: `type` is a field of CloudEvents, which also need `specversion`: did you mean `event_type`?
    {"source": "s", "event_type": "a.b", "payload": {}, "subjekt": "x"}
      400 invalid_parameter: the field `subjekt` is not known: did you mean `subject`?
    {"source": "s", "event_type": "a.b", "payload": {}, "subject": ["x"]}
      400 invalid_parameter: a list was found instead of a string for `subject` (line 1, column 64)
    {"source": "s", "event_type": "a.b", "payload": {}, "subject": "a\nb"}
      400 invalid_parameter: `subject` holds a control character: it is plain text on one line
    {"source": "s", "event_type": "a.b", "payload": {}, "time": "yesterday"}
      400 invalid_parameter: `time`: `yesterday` is not an RFC 3339 time such as 2026-01-31T12:00:00Z
    {"source": "s", "event_type": "a.b", "payload": {"n": [1, 9007199254740993]}}
      400 invalid_parameter: the number 9007199254740993 at `/payload/n/1` is beyond 2^53 and would change silently: send it as a string
    {"source": "s", "source": "t", "event_type": "a.b", "payload": {}}
      400 invalid_parameter: `source` is given twice (line 1, column 24)
    {"source": "s", "event_type": "a.b", "payload": {}, "idempotency_key": "k"}
      400 invalid_parameter: `idempotency_key` in the body is for batches: send it as the header `Idempotency-Key`
    {"specversion": "0.3", "id": "1", "source": "s", "type": "a.b"}
      400 invalid_parameter: `specversion`: `0.3` is not known: only CloudEvents 1.0 are taken
    {"specversion": "1.0", "source": "s", "type": "a.b"}
      400 invalid_parameter: `id` is missing: a CloudEvent has `specversion`, `id`, `source` and `type`
    {"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "data_base64": "AA=="}
      400 invalid_parameter: `data_base64` is not taken: payloads are JSON, so send `data`
    "#);
    assert_eq!(house.call("GET", "/v1/events").go().await.json()["data"], json!([]), "nothing of it was stored");
}

#[tokio::test]
async fn headers_are_judged_too() {
    let house = house().await;
    let good = r#"{"source": "s", "event_type": "a.b", "payload": {}}"#;
    let mut said = Vec::new();
    for (name, value) in [
        ("content-type", b"" as &[u8]),
        ("content-type", b"text/plain"),
        ("content-type", b"application/xml; charset=utf-8"),
        ("ce-specversion", b"1.0"),
        ("idempotency-key", &[b'k'; 256]),
        ("idempotency-key", b"\xff\xfe"),
    ] {
        let call = house.call("POST", "/v1/events").header("content-type", "application/json").header(name, value).body(good);
        said.push(format!("{name}: {}", call.go().await.error()));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    content-type: 415 unsupported_media_type: the request has no content type: send `Content-Type: application/json`
    content-type: 415 unsupported_media_type: the content type `text/plain` is not taken here: send `application/json`
    content-type: 415 unsupported_media_type: the content type `application/xml` is not taken here: send `application/json`
    ce-specversion: 400 invalid_parameter: the binary mode of CloudEvents is not taken: send the event in structured mode, as `application/cloudevents+json`
    idempotency-key: 400 invalid_parameter: the idempotency key has 256 characters: it has 1 to 255
    idempotency-key: 400 invalid_parameter: the header `Idempotency-Key` holds bytes beyond ASCII
    ");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_and_while_it_is_read() {
    let house = house().await;
    let long = format!(r#"{{"source": "s", "event_type": "a.b", "payload": "{}"}}"#, "x".repeat(1 << 20));
    let mut said = vec![post(&house, &long).await.error()];
    said.push(
        house.call("POST", "/v1/events").header("content-type", "application/json").header("content-length", "99999999").go().await.error(),
    );
    let line = format!("{long}\n");
    said.push(house.call("POST", "/v1/events").header("content-type", "application/x-ndjson").body(line).go().await.error());
    let call = house.call("POST", "/v1/actions").header("content-type", "application/json").body(format!("{{\"tool\": \"{long}\"}}"));
    said.push(call.go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    413 payload_too_large: the body is longer than 1048576 bytes
    413 payload_too_large: the body is longer than 1048576 bytes
    413 payload_too_large: line 1 has 1048627 bytes: one event has at most 1048576
    413 payload_too_large: the body is longer than 1048576 bytes
    ");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_for_ever() {
    let options = Options { body_timeout: Duration::from_millis(5), ..Options::default() };
    let house = House::with(Arc::new(SimClock::default()), options).await;
    let begun = || futures_util::stream::iter([Ok::<_, std::io::Error>("{\"source\":")]);
    let hangs = Body::from_stream(begun().chain(futures_util::stream::pending()));
    let breaks = Body::from_stream(begun().chain(futures_util::stream::iter([Err(std::io::Error::other("gone"))])));
    let mut said = Vec::new();
    for body in [hangs, breaks] {
        let answer = house.call("POST", "/v1/events").header("content-type", "application/json").stream(body).go().await;
        said.push(answer.error());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    408 request_timeout: the body did not arrive within 5ms: send it again
    400 invalid_parameter: the body ended before all of it had arrived
    ");
}

#[tokio::test]
async fn a_key_makes_one_event_of_many_requests() {
    let house = house().await;
    let send = |key: &'static str, body: serde_json::Value| {
        let call = house.send("POST", "/v1/events", &body).header("idempotency-key", key);
        async move { call.go().await }
    };
    let first = send("k1", json!({"source": "s", "event_type": "a.b", "payload": {"a": 1, "b": 2.0}})).await;
    assert_eq!(first.status, 201);
    // The same by value: other order, another spelling of a number, white space.
    let again = house.call("POST", "/v1/events").header("content-type", "application/json").header("idempotency-key", "k1");
    let again = again.body(r#"{ "payload": {"b": 2, "a": 1}, "event_type": "a.b", "source": "s" }"#).go().await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), first.json());
    let other = send("k1", json!({"source": "s", "event_type": "a.b", "payload": {"a": 2}})).await;
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        other.error(),
        format!(
            "409 idempotency_conflict: this idempotency key was used with another body, which made `{id}`: use a new key for a new event"
        )
    );
    assert_eq!(send("k2", json!({"source": "s", "event_type": "a.b", "payload": {"a": 2}})).await.status, 201);
    assert_eq!(house.call("GET", "/v1/events").go().await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn cloudevents_are_taken_and_keyed_by_source_and_id() {
    let house = house().await;
    let body = json!({"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.paid", "subject": "o1", "data": {"total": 5}});
    let send = |body: &serde_json::Value| {
        let call = house.send("POST", "/v1/events", body).header("content-type", "application/cloudevents+json; charset=utf-8");
        async move { call.go().await }
    };
    let first = send(&body).await;
    assert_eq!(first.status, 201);
    let stored = first.json();
    assert_eq!((&stored["event_type"], &stored["subject"], &stored["payload"]), (&json!("order.paid"), &json!("o1"), &json!({"total": 5})));
    let again = send(&body).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, stored));
    let mut other = body.clone();
    other["data"]["total"] = json!(6);
    assert_eq!(send(&other).await.status, 409);
    other["id"] = json!("8");
    assert_eq!(send(&other).await.status, 201);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_says_what_became_of_each_line() {
    let house = house().await;
    let batch = |lines: &str| {
        let call = house.call("POST", "/v1/events").header("content-type", "application/x-ndjson").body(lines);
        async move { call.go().await }
    };
    let line = |n: u32, key: &str| json!({"source": "s", "event_type": "a.b", "payload": n, "idempotency_key": key}).to_string();
    let said: Vec<String> = [
        "\n \n".to_owned(),
        format!("{}\n{{\"source\": }}\n", line(1, "a")),
        format!("{}\n\n{{\"source\": \"s\", \"event_type\": \"a.b\"}}\n", line(1, "a")),
        format!("{}\n{{\"source\": \"s\", \"event_type\": \"a.b\", \"paylod\": 1}}\n", line(1, "a")),
        format!("{}\n{{\"source\": \"s\", \"event_type\": \"a.b\", \"payload\": {{\"n\": 1e300}}}}\n", line(1, "a")),
        "[1]\n".to_owned(),
    ]
    .iter()
    .map(|l| batch(l))
    .collect::<futures_util::stream::FuturesOrdered<_>>()
    .map(|a| a.error())
    .collect()
    .await;
    insta::assert_snapshot!(said.join("\n"), @r"
    400 invalid_parameter: the batch holds no events: send one JSON object per line
    400 invalid_json: the body is not well-formed JSON: expected value (line 2, column 12)
    400 invalid_parameter: line 3: `payload` is missing: an event has `source`, `event_type` and `payload`
    400 invalid_parameter: line 2: the field `paylod` is not known: did you mean `payload`?
    400 invalid_parameter: line 2: the number 1e+300 at `/payload/n` is beyond 2^53 and would change silently: send it as a string
    400 invalid_parameter: a list was found instead of an object with `source`, `event_type` and `payload` (line 1, column 1)
    ");
    assert_eq!(house.call("GET", "/v1/events").go().await.json()["data"], json!([]), "a bad line refuses the whole batch");
    let first = batch(&format!("{}\n\n{}", line(1, "a"), line(2, "b"))).await;
    assert_eq!(first.status, 201);
    let view = first.json();
    assert_eq!((&view["stored"], &view["data"][1]["line"]), (&json!(2), &json!(3)));
    let second = batch(&format!("{}\n{}\n{}\n", line(1, "a"), line(9, "b"), line(3, "c"))).await.json();
    let became: Vec<&str> = second["data"].as_array().unwrap().iter().map(|l| l["status"].as_str().unwrap()).collect();
    assert_eq!(became, ["repeated", "conflict", "stored"]);
    assert_eq!(second["data"][0]["id"], view["data"][0]["id"]);
    assert_eq!(second["data"][1]["id"], view["data"][1]["id"], "a conflict names the event that the key stands for");
    // The whole batch again: nothing is stored twice.
    let again = batch(&format!("{}\n{}\n", line(1, "a"), line(3, "c"))).await;
    assert_eq!((again.status.as_u16(), &again.json()["stored"]), (200, &json!(0)));
}
