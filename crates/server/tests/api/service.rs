//! What is alike on every route: unknown routes and methods, queries, cursors, formats of errors, pages of codes, failures of the store.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::ports::StoreError;
use tollgate_server::Code;
use tollgate_testkit::SimClock;

use crate::support::House;

async fn house() -> House {
    House::new(Arc::new(SimClock::default())).await
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_like_everything_else() {
    let house = house().await;
    let mut said = Vec::new();
    for (method, path) in [
        ("GET", "/v1/event"),
        ("GET", "/v1/actions/"),
        ("POST", "/events"),
        ("GET", "/v1/aprovals/apr_1"),
        ("GET", "/"),
        ("GET", "/nothing/like/it"),
        ("PATCH", "/v1/events"),
        ("DELETE", "/v1/runs/run_1"),
        ("POST", "/healthz"),
    ] {
        let answer = house.call(method, path).header("authorization", "").go().await;
        said.push(format!("{} {}", answer.error(), answer.header("allow")).trim_end().to_owned());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    404 not_found: there is no route `GET /v1/event`: did you mean `/v1/events`?
    404 not_found: there is no route `GET /v1/actions/`: did you mean `/v1/actions`?
    404 not_found: there is no route `POST /events`: did you mean `/v1/events`?
    404 not_found: there is no route `GET /v1/aprovals/apr_1`: did you mean `/v1/approvals/{id}`?
    404 not_found: there is no route `GET /`: see `/openapi.json` for what there is
    404 not_found: there is no route `GET /nothing/like/it`: see `/openapi.json` for what there is
    405 method_not_allowed: `/v1/events` takes no PATCH: it takes GET, POST POST,GET,HEAD
    405 method_not_allowed: `/v1/runs/{id}` takes no DELETE: it takes GET GET,HEAD
    405 method_not_allowed: `/healthz` takes no POST: it takes GET GET,HEAD
    ");
}

#[tokio::test]
async fn queries_and_cursors_are_judged() {
    let house = house().await;
    for n in 0..3 {
        house.send("POST", "/v1/events", &json!({"source": "s", "event_type": "a.b", "payload": n})).go().await;
    }
    let page = house.call("GET", "/v1/events?limit=2").go().await.json();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (2, &json!(true)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = house.call("GET", format!("/v1/events?limit=100&cursor={cursor}")).go().await.json();
    assert_eq!((&rest["data"][0]["payload"], &rest["has_more"], &rest["next_cursor"]), (&json!(0), &json!(false), &json!(null)));
    let mut said = Vec::new();
    for query in [
        "limit=0",
        "limit=101",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "limt=5",
        "type=a.b",
        "event_type=a..b",
        "source=%00",
        "cursor=abc",
        "cursor=",
        &format!("source=s&cursor={cursor}"),
    ] {
        said.push(format!(
            "{}\n  {}",
            query.replace(cursor, "CURSOR"),
            house.call("GET", format!("/v1/events?{query}")).go().await.error()
        ));
    }
    said.push(house.call("GET", format!("/v1/runs?cursor={cursor}")).go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r"
    limit=0
      400 invalid_parameter: `limit`: `0` is not a whole number from 1 to 100
    limit=101
      400 invalid_parameter: `limit`: `101` is not a whole number from 1 to 100
    limit=ten
      400 invalid_parameter: `limit`: `ten` is not a whole number from 1 to 100
    limit=
      400 invalid_parameter: `limit`: `` is not a whole number from 1 to 100
    limit=1&limit=2
      400 invalid_parameter: the query parameter `limit` is given twice
    limt=5
      400 invalid_parameter: the query parameter `limt` is not known: did you mean `limit`?
    type=a.b
      400 invalid_parameter: the query parameter `type` is not known: did you mean `event_type`?
    event_type=a..b
      400 invalid_parameter: `event_type`: `a..b` has an empty segment: write dotted words such as `issues.opened`
    source=%00
      400 invalid_parameter: the query parameter `source` holds a NUL
    cursor=abc
      400 invalid_cursor: the cursor cannot be read: use it as it came, or leave it out to start again
    cursor=
      400 invalid_cursor: the cursor cannot be read: use it as it came, or leave it out to start again
    source=s&cursor=CURSOR
      400 invalid_cursor: the cursor belongs to another query: repeat the filters that it was made with, or leave it out to start again
    400 invalid_cursor: the cursor belongs to another query: repeat the filters that it was made with, or leave it out to start again
    ");
    assert_eq!(house.call("GET", "/v1/events?verbose=1").go().await.status, 200, "what looks like nothing of ours is passed over");
}

#[tokio::test]
async fn errors_come_as_problem_details_when_asked_for() {
    let house = house().await;
    let answer = house.call("GET", "/v1/events/ev_1").header("accept", "application/problem+json, application/json").go().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, "application/problem+json"));
    let mut body = answer.json();
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    body["request_id"] = json!("REQUEST");
    insta::with_settings!({sort_maps => true}, { insta::assert_json_snapshot!(body, @r#"
    {
      "code": "invalid_parameter",
      "detail": "`ev_1` is not a valid id: after `ev_` come 26 characters of lower-case base32 (0-9, a-z without i, l, o, u)",
      "request_id": "REQUEST",
      "status": 400,
      "title": "invalid parameter",
      "type": "/errors/invalid_parameter"
    }
    "#) });
}

#[tokio::test]
async fn every_code_has_a_page() {
    let house = house().await;
    let index = String::from_utf8(house.call("GET", "/errors").header("accept", "text/html").go().await.body).unwrap();
    for code in Code::ALL {
        let word = code.as_str();
        let plain = house.call("GET", format!("/errors/{word}")).header("authorization", "").go().await;
        assert_eq!((plain.status.as_u16(), plain.header("content-type")), (200, "text/plain; charset=utf-8"), "{word}");
        let text = String::from_utf8(plain.body).unwrap();
        assert!(text.starts_with(&format!("{word} (HTTP {})", code.status())) && text.contains("What to do\n"), "{text}");
        let html = house.call("GET", format!("/errors/{word}")).header("accept", "text/html").go().await;
        assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
        assert!(String::from_utf8(html.body).unwrap().contains(&format!("<h1><code>{word}</code></h1>")));
        assert!(index.contains(&format!("href=\"/errors/{word}\"")), "the list names {word}");
    }
    insta::assert_snapshot!(house.call("GET", "/errors/teapot").go().await.error(), @"404 not_found: there is no error code `teapot`: see `/errors`");
}

#[tokio::test]
async fn a_store_that_cannot_write_is_503_and_the_event_is_stored_once_when_it_can() {
    let house = house().await;
    let event = json!({"source": "s", "event_type": "a.b", "payload": {}});
    house.broken.fail(Some(StoreError::Unavailable("database or disk is full".to_owned())));
    let full = house.send("POST", "/v1/events", &event).header("idempotency-key", "k").go().await;
    let stream = house.call("GET", "/v1/events/stream").go().await;
    house.broken.fail(Some(StoreError::Corrupt("page 7".to_owned())));
    let damaged = house.send("POST", "/v1/events", &event).go().await;
    house.broken.fail(Some(StoreError::Corrupt("panic".to_owned())));
    let panicked = house.send("POST", "/v1/events", &event).go().await;
    insta::assert_snapshot!([full.error(), stream.error(), damaged.error(), panicked.error()].join("\n"), @r"
    503 service_unavailable, again in 2 s: the store cannot do this at the moment: try again later
    503 service_unavailable, again in 2 s: the store cannot do this at the moment: try again later
    500 internal_error: the store is damaged: tell the operator of this service the request id
    500 internal_error: something failed that should not have: tell the operator of this service the request id
    ");
    // The commit happened and its answer was lost: the event is found, not stored again.
    house.broken.fail(Some(StoreError::AnswerLost));
    let lost = house.send("POST", "/v1/events", &event).header("idempotency-key", "k").go().await;
    assert_eq!(lost.status, 201);
    house.broken.fail(None);
    let again = house.send("POST", "/v1/events", &event).header("idempotency-key", "k").go().await;
    assert_eq!((again.status.as_u16(), again.json()), (200, lost.json()));
    assert_eq!(house.call("GET", "/v1/events").go().await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_service_says_how_it_is_without_a_key() {
    let house = house().await;
    for (path, kind) in
        [("/healthz", "text/plain"), ("/readyz", "text/plain"), ("/metrics", "text/plain"), ("/openapi.json", "application/json")]
    {
        let answer = house.call("GET", path).header("authorization", "").go().await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}");
    }
}
