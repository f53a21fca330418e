//! The stream of events: replay, resume, live, and every way in which it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tollgate_core::ports::StoreError;
use tollgate_core::scope::Mode;
use tollgate_server::{Options, serve};
use tollgate_testkit::SimClock;

use crate::support::{House, scope};

/// Quick to look and quick to beat, so that tests wait for milliseconds.
async fn house(heartbeat_ms: u64) -> House {
    let options = Options {
        hooks: Some(scope(Mode::Live)),
        heartbeat: Duration::from_millis(heartbeat_ms),
        stream_poll: Duration::from_millis(5),
        keys_max_age: Duration::ZERO,
        max_streams: 2,
        ..Options::default()
    };
    House::with(Arc::new(SimClock::default()), options).await
}

async fn store(house: &House, event_type: &str, payload: Value) {
    let answer = house.send("POST", "/v1/events", &json!({"source": "s", "event_type": event_type, "payload": payload})).go().await;
    assert_eq!(answer.status, 201);
}

/// Blocks as the standard reads them: (id, data).
fn blocks(text: &str) -> Vec<(String, Option<Value>)> {
    let field = |block: &str, name: &str| {
        let lines: Vec<&str> = block.lines().filter_map(|l| l.strip_prefix(name)).collect();
        if lines.is_empty() { None } else { Some(lines.join("\n")) }
    };
    let of = |b: &str| (field(b, "id: ").unwrap_or_default(), field(b, "data: ").map(|d| serde_json::from_str(&d).unwrap()));
    text.split("\n\n").filter(|b| !b.is_empty() && !b.starts_with(':')).map(of).collect()
}

async fn replay(house: &House, query: &str, last: &str) -> Vec<(String, Option<Value>)> {
    let answer = house.call("GET", format!("/v1/events/stream?follow=false{query}")).header("last-event-id", last).go().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    blocks(&String::from_utf8(answer.body).unwrap())
}

async fn next(body: &mut Body) -> Option<String> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap()?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_replay_gives_everything_once_from_wherever_it_resumes() {
    let house = house(60_000).await;
    let lines: Vec<String> = (0..40).map(|n| json!({"source": "s", "event_type": "a.b", "payload": {"n": n}}).to_string()).collect();
    let batch = house.call("POST", "/v1/events").header("content-type", "application/x-ndjson").body(lines.join("\n")).go().await;
    assert_eq!(batch.status, 201);
    let all = replay(&house, "", "").await;
    let order: Vec<i64> = all.iter().map(|(_, e)| e.as_ref().unwrap()["payload"]["n"].as_i64().unwrap()).collect();
    assert_eq!(order, (0..40).collect::<Vec<_>>(), "more than one page, oldest first");
    for at in [0, 15, 16, 38, 39] {
        assert_eq!(replay(&house, "", &all[at].0).await, all[at + 1..], "the header");
        assert_eq!(replay(&house, &format!("&after={}", all[at].0), "").await, all[at + 1..], "the parameter");
    }
    let both = replay(&house, &format!("&after={}", all[0].0), &all[30].0).await;
    assert_eq!(both, all[31..], "the header is the later word");
    let listed = house.call("GET", format!("/v1/events/{}", all[7].1.as_ref().unwrap()["id"].as_str().unwrap())).go().await.json();
    assert_eq!(Some(listed), all[7].1, "as it is read alone");
}

#[tokio::test]
async fn payloads_keep_their_meaning_across_line_breaks() {
    let house = house(60_000).await;
    let body = "{\"source\": \"s\", \"event_type\": \"a.b\", \"payload\": {\r\n  \"a\":\r1,\n\n \"b\": \"x\\n\\r\"}}";
    assert_eq!(house.call("POST", "/v1/events").header("content-type", "application/json").body(body).go().await.status, 201);
    let all = replay(&house, "", "").await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].1.as_ref().unwrap()["payload"], json!({"a": 1, "b": "x\n\r"}));
}

#[tokio::test]
async fn filters_choose_and_what_is_passed_over_need_not_be_walked_again() {
    let house = house(60_000).await;
    for (event_type, n) in [("a.b", 1), ("a.c", 2), ("a.b.c", 3), ("x", 4)] {
        store(&house, event_type, json!(n)).await;
    }
    let chosen = |all: Vec<(String, Option<Value>)>| all.into_iter().filter_map(|(_, e)| e?["payload"].as_i64()).collect::<Vec<_>>();
    assert_eq!(chosen(replay(&house, "&event_type=a.*", "").await), [1, 2]);
    assert_eq!(chosen(replay(&house, "&event_type=a.**", "").await), [1, 2, 3]);
    assert_eq!(chosen(replay(&house, "&source=s&event_type=x", "").await), [4]);
    let none = replay(&house, "&subject=nobody", "").await;
    assert!(matches!(&none[..], [(id, None)] if !id.is_empty()), "{none:?}");
    assert_eq!(replay(&house, "&subject=nobody", &none[0].0).await, []);
    let mut said = Vec::new();
    for query in
        ["event_type=a*", "event_type=", "follow=maybe", "after=abc", "folow=false", &format!("subject=somebody&after={}", none[0].0)]
    {
        said.push(house.call("GET", format!("/v1/events/stream?{query}")).go().await.error());
    }
    said.push(house.call("GET", "/v1/events/stream").header("last-event-id", b"\xff").go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    400 invalid_parameter: `event_type`: `a*` in `a*`: a star stands alone between dots; `*` is one segment, `**` any number
    400 invalid_parameter: `event_type`: a glob is not empty: write `issues.opened`, `issues.*` or `**`
    400 invalid_parameter: `follow`: `maybe` is not `true` or `false`
    400 invalid_cursor: the cursor cannot be read: use it as it came, or leave it out to start again
    400 invalid_parameter: the query parameter `folow` is not known: did you mean `follow`?
    400 invalid_cursor: the cursor belongs to another query: repeat the filters that it was made with, or leave it out to start again
    400 invalid_cursor: the header `Last-Event-ID` holds bytes beyond ASCII: use the `id` as it came
    ");
}

#[tokio::test]
async fn what_is_stored_while_it_is_open_arrives_and_silence_is_broken_by_comments() {
    let house = house(5).await;
    store(&house, "a.b", json!(1)).await;
    let mut body = house.call("GET", "/v1/events/stream").open().await.into_body();
    let first = next(&mut body).await.unwrap();
    assert_eq!(blocks(&first).len(), 1);
    let mut text = String::new();
    while !text.contains(": still here") {
        text.push_str(&next(&mut body).await.unwrap());
    }
    assert_eq!(blocks(&text), [], "comments are no events");
    store(&house, "a.b", json!(2)).await;
    while blocks(&text).is_empty() {
        text.push_str(&next(&mut body).await.unwrap());
    }
    assert_eq!(blocks(&text)[0].1.as_ref().unwrap()["payload"], json!(2));
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_when_events_cannot_be_read() {
    let house = house(60_000).await;
    let made = house.send("POST", "/v1/api_keys", &json!({"name": "s", "scopes": ["events:read"]})).go().await.json();
    let mut body = house.call("GET", "/v1/events/stream").key(made["key"].as_str().unwrap()).open().await.into_body();
    assert_eq!(house.call("DELETE", format!("/v1/api_keys/{}", made["id"].as_str().unwrap())).go().await.status, 204);
    assert_eq!(next(&mut body).await.unwrap(), ": the API key was revoked\n\n");
    assert_eq!(next(&mut body).await, None);
    let mut body = house.call("GET", "/v1/events/stream").open().await.into_body();
    house.broken.fail(Some(StoreError::Unavailable("gone".to_owned())));
    assert_eq!(next(&mut body).await.unwrap(), ": events cannot be read at the moment: come back with the last id\n\n");
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn there_are_only_so_many_at_once() {
    let house = house(60_000).await;
    let open = [house.call("GET", "/v1/events/stream").open().await, house.call("GET", "/v1/events/stream").open().await];
    insta::assert_snapshot!(house.call("GET", "/v1/events/stream").go().await.error(), @"503 service_unavailable, again in 2 s: 2 streams are open, which is the most at once: close one or try again");
    drop(open);
    assert_eq!(house.call("GET", "/v1/events/stream").open().await.status(), 200, "a closed stream makes room");
}

#[tokio::test]
async fn a_stop_ends_streams_and_is_not_held_up() {
    let house = house(60_000).await;
    store(&house, "a.b", json!(1)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = house.router.clone();
    let server = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        serve(listener, router, stopped).await
    });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", house.key);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("\"payload\":1}") {
        assert_ne!(client.read_buf(&mut text).await.unwrap(), 0);
    }
    stop.send(()).unwrap();
    client.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains(": the service stops: come back with the last id\n\n"), "{text}");
    // Well inside the grace that requests under way are given: the stream did not use it up.
    tokio::time::timeout(Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
}
