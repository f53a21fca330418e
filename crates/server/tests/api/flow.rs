//! The way of an event through the routes: to its run, past a paused operator, back by a replay.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_testkit::SimClock;

use crate::support::House;

/// Reads until what is read is as wanted; the worker of the house works meanwhile.
pub async fn until(house: &House, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let seen = house.call("GET", path).go().await.json();
            if wanted(&seen) {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap_or_else(|_| panic!("`{path}` never came to it"))
}

async fn note(house: &House, name: &str) -> String {
    let event = json!({"source": "desk", "event_type": "note.made", "subject": name, "payload": {"name": name, "text": "hello"}});
    house.send("POST", "/v1/events", &event).go().await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_event_becomes_a_run_whose_plan_is_carried_out() {
    let house = House::new(Arc::new(SimClock::default())).await;
    let event = note(&house, "a").await;
    let runs = until(&house, &format!("/v1/runs?event={event}"), |v| v["data"][0]["state"] == "succeeded").await;
    let run = &runs["data"][0];
    assert_eq!((&run["operator"], &run["action_count"], &run["event_id"]), (&json!("filer"), &json!(1), &json!(event)));
    assert_eq!(std::fs::read_to_string(house.dir.path().join("notes/a")).unwrap(), "hello");
    let plans = house.call("GET", "/v1/plans?operator=filer").go().await.json();
    let plan = &plans["data"][0];
    assert_eq!((&plan["run_id"], &plan["actions"][0]["disposition"]), (&run["id"], &json!("applied")));
    let same = house.call("GET", format!("/v1/plans/{}", plan["id"].as_str().unwrap())).go().await.json();
    assert_eq!(&same, plan);
    let listed = house.call("GET", "/v1/events?subject=a&source=desk&event_type=note.made").go().await.json();
    assert_eq!(listed["data"][0]["id"], json!(event));
    for filter in ["subject=b", "source=elsewhere", "event_type=note.lost"] {
        assert_eq!(house.call("GET", format!("/v1/events?{filter}")).go().await.json()["data"], json!([]), "{filter}");
    }
    let cancelled = house.call("POST", format!("/v1/runs/{}/cancel", run["id"].as_str().unwrap())).go().await;
    assert_eq!(cancelled.error(), "409 state_conflict: the run is succeeded already");
}

#[tokio::test]
async fn what_came_while_an_operator_was_paused_gets_its_chance_by_a_replay_and_nothing_happens_twice() {
    let house = House::new(Arc::new(SimClock::default())).await;
    let early = note(&house, "early").await;
    until(&house, &format!("/v1/runs?event={early}"), |v| v["data"][0]["state"] == "succeeded").await;
    assert_eq!(house.call("POST", "/v1/operators/filer/pause").go().await.json()["status"], "paused");
    assert_eq!(house.call("GET", "/v1/operators").go().await.json()["data"][0]["status"], "paused");
    let missed = note(&house, "missed").await;
    assert_eq!(house.call("GET", format!("/v1/runs?event={missed}")).go().await.json()["data"], json!([]));
    assert_eq!(house.call("POST", "/v1/operators/filer/activate").go().await.json()["status"], "active");
    let begun = house.send("POST", "/v1/replays", &json!({"operator": "filer", "event_type": "note.*"})).go().await;
    assert_eq!(begun.status, 201);
    let path = format!("/v1/replays/{}", begun.json()["id"].as_str().unwrap());
    let done = until(&house, &path, |v| v["status"] == "finished").await;
    assert_eq!((&done["runs"], &done["remaining"]), (&json!(2), &json!(0)));
    until(&house, "/v1/runs?state=succeeded", |v| v["data"].as_array().unwrap().len() == 3).await;
    let of = |disposition: &str| format!("/v1/actions?disposition={disposition}");
    let again = house.call("GET", of("deduplicated")).go().await.json();
    assert_eq!((again["data"].as_array().unwrap().len(), &again["data"][0]["event_id"]), (1, &json!(early)));
    let applied = house.call("GET", of("applied")).go().await.json();
    let events: Vec<&str> = applied["data"].as_array().unwrap().iter().map(|a| a["event_id"].as_str().unwrap()).collect();
    assert_eq!(events, [missed.as_str(), early.as_str()]);
    let mut said = Vec::new();
    for body in [
        json!({"operator": "nobody"}),
        json!({"event_type": "note*"}),
        json!({"event_type": "a".repeat(201)}),
        json!({"from": "soon"}),
        json!({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        json!({"form": "2026-02-01T00:00:00Z"}),
    ] {
        said.push(house.send("POST", "/v1/replays", &body).go().await.error());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    404 not_found: there is no operator `nobody` in this tenant and mode
    400 invalid_parameter: `event_type`: `note*` in `note*`: a star stands alone between dots; `*` is one segment, `**` any number
    400 invalid_parameter: `event_type` has 201 bytes: at most 200 are taken
    400 invalid_parameter: `from`: `soon` is not an RFC 3339 time such as 2026-01-31T12:00:00Z
    400 invalid_parameter: `from` lies after `to`
    400 invalid_parameter: the field `form` is not known: did you mean `from`?
    ");
}

/// Polls a request so often, and goes away.
async fn give_up_after<F: Future>(polls: u32, request: F) {
    let mut request = std::pin::pin!(request);
    for _ in 0..polls {
        let done = std::future::poll_fn(|cx| std::task::Poll::Ready(request.as_mut().poll(cx).is_ready())).await;
        if done {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let house = House::new(Arc::new(SimClock::default())).await;
    // With the first event the worker opens its session: what comes after it goes to its hands at once.
    let first = note(&house, "first").await;
    until(&house, &format!("/v1/runs?event={first}"), |v| v["data"][0]["state"] == "succeeded").await;
    for polls in 1..6 {
        let event =
            json!({"source": "desk", "event_type": "note.made", "subject": "s", "payload": {"name": format!("n{polls}"), "text": "t"}});
        give_up_after(polls, house.send("POST", "/v1/events", &event).open()).await;
    }
    let all_done = |v: &Value| v["data"].as_array().is_some_and(|d| d.len() == 6 && d.iter().all(|r| r["state"] == "succeeded"));
    until(&house, "/v1/runs", all_done).await;
}
