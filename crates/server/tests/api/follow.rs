//! The streams of changes: a run from its start to its end, everything as it comes, and what keeps a stream from being opened.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tollgate_server::Options;
use tollgate_testkit::SimClock;

use crate::support::House;

/// A block of a stream: its name, its id, its data.
type Block = (String, String, Value);

async fn house() -> House {
    let options = Options { heartbeat: Duration::from_secs(60), max_streams: 2, ..Options::default() };
    House::with(Arc::new(SimClock::default()), options).await
}

fn blocks(text: &str) -> Vec<Block> {
    let field = |block: &str, name: &str| block.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().to_owned();
    let of = |b: &str| (field(b, "event: "), field(b, "id: "), serde_json::from_str(&field(b, "data: ")).unwrap_or_default());
    text.split("\n\n").filter(|b| !b.is_empty() && !b.starts_with(':')).map(of).collect()
}

async fn replay(house: &House, path: &str, last: &str) -> Vec<Block> {
    let answer = house.call("GET", format!("{path}?follow=false")).header("last-event-id", last).go().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    blocks(&String::from_utf8(answer.body).unwrap())
}

async fn next(body: &mut Body) -> Option<Vec<Block>> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap()?;
    Some(blocks(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap()))
}

fn words(blocks: &[Block]) -> Vec<String> {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    blocks.iter().map(|(name, _, v)| if name.is_empty() { word(&v["type"]) } else { format!("{name} {}", word(&v["state"])) }).collect()
}

async fn act(house: &House, tool: &str, name: &str) -> Value {
    let body = json!({"tool": tool, "args": {"name": name, "text": "secret words"}, "entity_key": format!("note:{name}"),
        "idempotency_key": format!("key:{name}"), "wait_ms": 10_000});
    house.send("POST", "/v1/actions", &body).go().await.json()
}

const WHOLE: [&str; 7] =
    ["run.running", "action.proposed", "action.ready", "action.calling", "action.done", "run.succeeded", "end succeeded"];

#[tokio::test]
async fn a_run_is_replayed_from_its_start_and_resumed_from_anywhere() {
    let house = house().await;
    let done = act(&house, "notes.write", "a").await;
    assert_eq!(done["disposition"], "applied", "{done}");
    act(&house, "notes.write", "b").await;
    let path = format!("/v1/runs/{}/stream", done["run_id"].as_str().unwrap());
    let all = replay(&house, &path, "").await;
    assert_eq!(words(&all), WHOLE);
    assert_eq!((&all[4].2["disposition"], &all[4].2["from"], &all[4].2["action_id"]), (&json!("applied"), &json!("calling"), &done["id"]));
    assert!(!format!("{all:?}").contains("secret words"));
    for at in 0..all.len() {
        let rest = replay(&house, &path, &all[at].1).await;
        // The end comes again to whoever comes again.
        let expected = if at + 1 < all.len() { &all[at + 1..] } else { &all[at..] };
        assert_eq!(rest, expected, "behind {at}");
    }
    // A live stream of what is over ends too, by itself.
    let answer = house.call("GET", path).go().await;
    assert_eq!(blocks(&String::from_utf8(answer.body).unwrap()), all);
}

#[tokio::test]
async fn a_run_is_followed_while_it_goes_on() {
    let house = house().await;
    let asked = act(&house, "notes.sign", "a").await;
    assert_eq!(asked["state"], "waiting_approval", "{asked}");
    let path = format!("/v1/runs/{}/stream", asked["run_id"].as_str().unwrap());
    let mut body = house.call("GET", path.clone()).open().await.into_body();
    let mut seen = next(&mut body).await.unwrap();
    assert_eq!(words(&seen), ["run.running", "action.proposed", "action.ready", "action.waiting_approval"]);
    let approval = asked["approval_id"].as_str().unwrap();
    assert_eq!(house.send("POST", format!("/v1/approvals/{approval}/approve"), &json!({})).go().await.status, 200);
    while let Some(more) = next(&mut body).await {
        seen.extend(more);
    }
    assert_eq!(words(&seen)[4..], ["action.ready", "action.calling", "action.done", "run.succeeded", "end succeeded"]);
    assert_eq!(replay(&house, &path, "").await, seen, "live or replayed");
}

#[tokio::test]
async fn all_changes_come_and_a_glob_chooses() {
    let house = house().await;
    let mut body = house.call("GET", "/v1/stream?type=action.done").open().await.into_body();
    let done = act(&house, "notes.write", "a").await;
    let mut seen = Vec::new();
    while seen.is_empty() {
        seen = next(&mut body).await.unwrap();
        seen.retain(|(_, _, v)| !v.is_null());
    }
    assert_eq!((words(&seen), &seen[0].2["run_id"]), (vec!["action.done".to_owned()], &done["run_id"]));
    let all = replay(&house, "/v1/stream", "").await;
    assert_eq!(words(&all), WHOLE[..6]);
    assert_eq!(replay(&house, "/v1/stream", &all[2].1).await, all[3..]);
    // The other mode has nothing to do with it.
    let other = house.call("GET", "/v1/stream?follow=false").key(&house.test_key).go().await;
    assert_eq!(other.body, b"");
}

#[tokio::test]
async fn what_cannot_be_followed_is_told() {
    let house = house().await;
    let done = act(&house, "notes.write", "a").await;
    let run = done["run_id"].as_str().unwrap();
    let path = format!("/v1/runs/{run}/stream");
    let (ours, all) = (replay(&house, &path, "").await, replay(&house, "/v1/stream", "").await);
    let event = json!({"source": "s", "event_type": "a.b", "payload": 1});
    assert_eq!(house.send("POST", "/v1/events", &event).go().await.status, 201);
    let events = replay(&house, "/v1/events/stream", "").await;
    let mut said = Vec::new();
    for (path, last) in [
        ("/v1/runs/run_01hzy000000000000000000000/stream", ""),
        ("/v1/runs/act_01hzy000000000000000000000/stream", ""),
        (path.as_str(), "abc"),
        (path.as_str(), all[0].1.as_str()),
        ("/v1/stream?type=a*", ""),
        ("/v1/stream?typ=a", ""),
    ] {
        said.push(house.call("GET", path).header("last-event-id", last).go().await.error());
    }
    let other = house.call("GET", path.clone()).key(&house.test_key).go().await.error();
    assert_eq!(other, format!("404 not_found: there is no run `{run}` in this tenant and mode"));
    // Retention takes what the cursors stand at.
    house.broken.forget();
    for (path, last) in [(path.as_str(), &ours[1].1), ("/v1/stream", &all[1].1), ("/v1/events/stream", &events[0].1)] {
        said.push(house.call("GET", path).header("last-event-id", last).go().await.error());
    }
    // What is over ends its stream, though nothing is told of it any more.
    assert_eq!(words(&replay(&house, &path, "").await), ["end succeeded"]);
    let _open = [house.call("GET", "/v1/stream").open().await, house.call("GET", "/v1/stream").open().await];
    said.push(house.call("GET", path).go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    404 not_found: there is no run `run_01hzy000000000000000000000` in this tenant and mode
    400 invalid_parameter: `act_01hzy000000000000000000000` is not a run id: run ids start with `run_`
    400 invalid_cursor: the cursor cannot be read: use it as it came, or leave it out to start again
    400 invalid_cursor: the cursor belongs to another query: repeat the filters that it was made with, or leave it out to start again
    400 invalid_parameter: `type`: `a*` in `a*`: a star stands alone between dots; `*` is one segment, `**` any number
    400 invalid_parameter: the query parameter `typ` is not known: did you mean `type`?
    410 cursor_expired: what this cursor stands at is not kept any more, and what followed may be gone with it: leave the cursor out to start with the oldest that is kept
    410 cursor_expired: what this cursor stands at is not kept any more, and what followed may be gone with it: leave the cursor out to start with the oldest that is kept
    410 cursor_expired: what this cursor stands at is not kept any more, and what followed may be gone with it: leave the cursor out to start with the oldest that is kept
    503 service_unavailable, again in 2 s: 2 streams are open, which is the most at once: close one or try again
    ");
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let house = house().await;
    let made = house.send("POST", "/v1/api_keys", &json!({"name": "s", "scopes": ["runs:read"]})).go().await.json();
    let mut body = house.call("GET", "/v1/stream").key(made["key"].as_str().unwrap()).open().await.into_body();
    assert_eq!(house.call("DELETE", format!("/v1/api_keys/{}", made["id"].as_str().unwrap())).go().await.status, 204);
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap().unwrap();
    assert_eq!(&frame.unwrap().into_data().unwrap()[..], b": the API key was revoked\n\n");
    assert!(body.frame().await.is_none());
}
