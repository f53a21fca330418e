//! Direct actions, approvals, runs: mistakes and their words, and the way of one action to its receipt.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_testkit::SimClock;

use crate::support::House;

async fn house() -> House {
    House::new(Arc::new(SimClock::default())).await
}

#[tokio::test]
async fn each_bad_action_is_told_where_and_what() {
    let house = house().await;
    let mut said = Vec::new();
    for body in [
        "{\n  \"tool\": notes.write\n}",
        "[]",
        "{}",
        r#"{"tool": 5}"#,
        r#"{"tool": ""}"#,
        r#"{"tol": "notes.write"}"#,
        r#"{"tool": "notes.write", "argz": {}}"#,
        r#"{"tool": "notes.write", "args": [1]}"#,
        r#"{"tool": "notes.write", "args": {"n": 1e99}}"#,
        r#"{"tool": "notes.write", "args": {}, "wait_ms": 60001}"#,
        r#"{"tool": "notes.write", "args": {}, "wait_ms": 1.5}"#,
        r#"{"tool": "notes.write", "args": {}, "value": {"amount_minor": "5", "unit": "EUR"}}"#,
        r#"{"tool": "notes.write", "args": {}, "value": {"amount_minor": 5}}"#,
        r#"{"tool": "notes.write", "args": {}, "entity_key": "a\u0000b"}"#,
        r#"{"tool": "notes.wrote", "args": {}}"#,
        r#"{"tool": "github.add_label", "args": {}}"#,
    ] {
        let call = house.call("POST", "/v1/actions").header("content-type", "application/json").body(body);
        said.push(format!("{body}\n  {}", call.go().await.error()));
    }
    said.push(house.call("POST", "/v1/actions").body("{}").go().await.error());
    said.push(house.call("POST", "/v1/actions").header("content-type", "text/json").body("{}").go().await.error());
    insta::assert_snapshot!(said.join("\n"), @r#"
    {
      "tool": notes.write
    }
      400 invalid_json: the body is not well-formed JSON: expected ident (line 2, column 12)
    []
      400 invalid_parameter: the body is not a JSON object
    {}
      400 invalid_parameter: `tool` is missing
    {"tool": 5}
      400 invalid_parameter: `tool`: a number was found instead of a string
    {"tool": ""}
      400 invalid_parameter: `tool` has 0 bytes: it has 1 to 200
    {"tol": "notes.write"}
      400 invalid_parameter: the field `tol` is not known: did you mean `tool`?
    {"tool": "notes.write", "argz": {}}
      400 invalid_parameter: the field `argz` is not known: did you mean `args`?
    {"tool": "notes.write", "args": [1]}
      400 invalid_parameter: `args` is not an object: arguments have names
    {"tool": "notes.write", "args": {"n": 1e99}}
      400 invalid_parameter: the number 1e+99 at `/args/n` is beyond 2^53 and would change silently: send it as a string
    {"tool": "notes.write", "args": {}, "wait_ms": 60001}
      400 invalid_parameter: `wait_ms` is a whole number from 0 to 60000
    {"tool": "notes.write", "args": {}, "wait_ms": 1.5}
      400 invalid_parameter: `wait_ms`: `1.5` is not a whole number within 2^53 either side of zero
    {"tool": "notes.write", "args": {}, "value": {"amount_minor": "5", "unit": "EUR"}}
      400 invalid_parameter: `value.amount_minor`: text was found instead of a whole number
    {"tool": "notes.write", "args": {}, "value": {"amount_minor": 5}}
      400 invalid_parameter: `value.unit` is missing
    {"tool": "notes.write", "args": {}, "entity_key": "a\u0000b"}
      400 invalid_parameter: `entity_key` holds a control character
    {"tool": "notes.wrote", "args": {}}
      400 invalid_parameter: `tool`: there is no tool or capability `notes.wrote`: did you mean `notes.write`?
    {"tool": "github.add_label", "args": {}}
      400 invalid_parameter: `tool`: there is no tool or capability `github.add_label`: `GET /v1/connectors` lists what there is
    415 unsupported_media_type: the request has no content type: send `Content-Type: application/json`
    415 unsupported_media_type: the content type `text/json` is not taken here: send `application/json`
    "#);
    assert_eq!(house.call("GET", "/v1/actions").go().await.json()["data"], json!([]), "nothing of it was stored");
}

fn write(tool: &str, name: &str, args: Value) -> Value {
    json!({"tool": tool, "args": args, "entity_key": format!("note:{name}"), "idempotency_key": format!("n:{name}"), "wait_ms": 20_000})
}

#[tokio::test]
async fn arguments_that_the_tool_does_not_take_end_invalid_with_their_place() {
    let house = house().await;
    let mut said = Vec::new();
    for args in [json!({}), json!({"name": 5, "text": "x"}), json!({"name": "a", "text": "x", "txt": "y"})] {
        let answer = house.send("POST", "/v1/actions", &write("notes.write", "a", args)).go().await;
        assert_eq!(answer.status, 201);
        let a = answer.json();
        said.push(format!("{} {}: {}", a["disposition"], a["reason"], a["detail"]));
    }
    let mut keyless = write("notes.write", "a", json!({"name": "a", "text": "x"}));
    keyless.as_object_mut().unwrap().remove("idempotency_key");
    let a = house.send("POST", "/v1/actions", &keyless).go().await.json();
    said.push(format!("{} {}: {}", a["disposition"], a["reason"], a["detail"]));
    insta::assert_snapshot!(said.join("\n"), @r#"
    "invalid" "invalid_arguments": "`/`: \"name\" is a required property; `/`: \"text\" is a required property"
    "invalid" "invalid_arguments": "`/name`: 5 is not of type \"string\""
    "invalid" "invalid_arguments": "`/`: Additional properties are not allowed ('txt' was unexpected)"
    "invalid" "missing_key": "a write needs an entity_key and an idempotency_key"
    "#);
}

#[tokio::test]
async fn an_allowed_action_is_applied_once_and_receipted() {
    let house = house().await;
    let body = write("memo.store", "a", json!({"name": "a.txt", "text": "hello"}));
    let first = house.send("POST", "/v1/actions", &body).header("idempotency-key", "h1").go().await;
    assert_eq!(first.status, 201);
    let done = first.json();
    assert_eq!(
        (&done["disposition"], &done["tool"], &done["capability"]),
        (&json!("applied"), &json!("notes.write"), &json!("memo.store"))
    );
    assert_eq!(std::fs::read_to_string(house.dir.path().join("notes/a.txt")).unwrap(), "hello");
    // The same request again is the same action; another body under its key is a conflict; another action under its effect key is deduplicated.
    let again = house.send("POST", "/v1/actions", &body).header("idempotency-key", "h1").go().await.json();
    assert_eq!(again["id"], done["id"]);
    let mut other = body.clone();
    other["args"]["text"] = json!("other");
    let refused = house.send("POST", "/v1/actions", &other).header("idempotency-key", "h1").go().await.error();
    assert_eq!(
        refused,
        format!(
            "409 idempotency_conflict: this idempotency key was used for another request, which made `{}`",
            done["id"].as_str().unwrap()
        )
    );
    let twin = house.send("POST", "/v1/actions", &body).go().await.json();
    assert_eq!(twin["disposition"], "deduplicated", "{twin}");
    let blocked = house.send("POST", "/v1/actions", &write("notes.burn", "b", json!({"name": "b", "text": ""}))).go().await.json();
    assert_eq!((&blocked["disposition"], &blocked["attempts"]), (&json!("refused"), &json!(0)), "{blocked}");
    let receipt = done["receipt_id"].as_str().unwrap();
    let entry = house.call("GET", format!("/v1/receipts/{receipt}")).go().await.json();
    assert_eq!((&entry["kind"], &entry["leaf"]["body"]["disposition"]), (&json!("receipt"), &json!("applied")), "{entry}");
    assert!(entry["opened"].is_object(), "{entry}");
    let run = house.call("GET", format!("/v1/runs/{}", done["run_id"].as_str().unwrap())).go().await.json();
    let hops: Vec<&str> = run["actions"][0]["hops"].as_array().unwrap().iter().map(|h| h["kind"].as_str().unwrap()).collect();
    assert_eq!(hops, ["intent", "attempt", "receipt"]);
    let export = house.call("GET", "/v1/receipts/export").go().await;
    assert_eq!((export.status.as_u16(), export.header("content-type")), (200, "application/x-ndjson"));
    assert!(export.body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).all(|l| serde_json::from_slice::<Value>(l).is_ok()));
    assert!(house.call("GET", "/v1/checkpoint").go().await.json()["checkpoint"].is_object());
}

#[tokio::test]
async fn an_action_that_needs_a_person_waits_for_one() {
    let house = house().await;
    let asked = house.send("POST", "/v1/actions", &write("notes.sign", "a", json!({"name": "a", "text": "x"}))).go().await.json();
    assert_eq!(asked["state"], "waiting_approval", "{asked}");
    let approval = asked["approval_id"].as_str().unwrap();
    let path = format!("/v1/approvals/{approval}");
    let shown = house.call("GET", path.clone()).go().await.json();
    assert_eq!((&shown["status"], &shown["queues"][0]["name"]), (&json!("open"), &json!("finance")));
    let approve = |body: Value| {
        let call = house.send("POST", format!("{path}/approve"), &body);
        async move { call.go().await }
    };
    let mut said = Vec::new();
    said.push(approve(json!({"binding": "abc"})).await.error());
    said.push(approve(json!({"bindign": shown["binding"]})).await.error());
    said.push(approve(json!({"binding": "0".repeat(64)})).await.error().replace(approval, "ID"));
    said.push(approve(json!({"queue": "marketing"})).await.error());
    said.push(approve(json!({"comment": "x".repeat(2001)})).await.error());
    let yes = approve(json!({"binding": shown["binding"], "comment": "fine"})).await;
    assert_eq!((yes.status.as_u16(), &yes.json()["complete"]), (200, &json!(true)));
    said.push(approve(json!({})).await.error().replace(approval, "ID"));
    said.push(house.call("POST", format!("{path}/deny")).go().await.error().replace(approval, "ID"));
    insta::assert_snapshot!(said.join("\n"), @r"
    400 invalid_parameter: `binding` is not 64 characters of lower-case hex: copy it from the request
    400 invalid_parameter: the field `bindign` is not known: did you mean `binding`?
    409 state_conflict: what was seen is not what is asked: look at the request again
    400 invalid_parameter: `marketing` is not an open queue of this request; open: `finance`
    400 invalid_parameter: `comment` has 2001 characters: at most 2000 are taken
    409 state_conflict: the approval request is approved already
    409 state_conflict: the approval request is approved already
    ");
}

#[tokio::test]
async fn ids_of_another_kind_and_unknown_ones_are_told_apart() {
    let house = house().await;
    let run = "run_01hzy000000000000000000000";
    let mut said = Vec::new();
    for path in [
        "/v1/actions/run_01hzy000000000000000000000".to_owned(),
        "/v1/actions/act_01HZY000000000000000000000".to_owned(),
        "/v1/actions/act_1".to_owned(),
        "/v1/actions/%FF".to_owned(),
        "/v1/actions/act_01hzy000000000000000000000".to_owned(),
        format!("/v1/runs/{run}"),
        "/v1/plans/pl_01hzy000000000000000000000".to_owned(),
        "/v1/approvals/apr_01hzy000000000000000000000".to_owned(),
        "/v1/receipts/rc_01hzy000000000000000000000".to_owned(),
        "/v1/replays/rpl_01hzy000000000000000000000".to_owned(),
        "/v1/events/ev_01hzy000000000000000000000".to_owned(),
        "/v1/operators/nobody".to_owned(),
        "/v1/connectors/nowhere".to_owned(),
        "/v1/secrets/none".to_owned(),
        format!("/v1/actions?run={run}&state=done"),
        "/v1/actions?run=ev_01hzy000000000000000000000".to_owned(),
        "/v1/actions?state=sleeping".to_owned(),
        "/v1/receipts?kind=invoice".to_owned(),
        "/v1/receipts/export?from=-1".to_owned(),
        "/v1/receipts/export?from=5&to=4".to_owned(),
    ] {
        let answer = house.call("GET", path.clone()).go().await;
        said.push(if answer.status == 200 { format!("200 for {path}") } else { answer.error() });
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    400 invalid_parameter: `run_01hzy000000000000000000000` is not an action id: action ids start with `act_`
    400 invalid_parameter: `act_01HZY000000000000000000000` is not a valid id: after `act_` come 26 characters of lower-case base32 (0-9, a-z without i, l, o, u)
    400 invalid_parameter: `act_1` is not a valid id: after `act_` come 26 characters of lower-case base32 (0-9, a-z without i, l, o, u)
    400 invalid_parameter: the path is not UTF-8 when its percent-encoding is undone
    404 not_found: there is no action `act_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no run `run_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no plan `pl_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no approval `apr_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no receipt `rc_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no replay `rpl_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no event `ev_01hzy000000000000000000000` in this tenant and mode
    404 not_found: there is no operator `nobody` in this tenant and mode
    404 not_found: there is no connector `nowhere` in this tenant and mode
    404 not_found: there is no secret `none` in this tenant and mode
    200 for /v1/actions?run=run_01hzy000000000000000000000&state=done
    400 invalid_parameter: `run`: `ev_01hzy000000000000000000000` is not a run id: run ids start with `run_`
    400 invalid_parameter: `state`: `sleeping` is not one of proposed, ready, waiting_key, waiting_lane, waiting_approval, calling, backoff, doubt, unknown, done, blocked
    400 invalid_parameter: `kind`: `invoice` is not one of intent, attempt, receipt, approval, resolution, evidence, change, erasure, all
    400 invalid_parameter: `from`: `-1` is not a position: a whole number from 0
    400 invalid_parameter: `from` (5) lies behind `to` (4)
    ");
}
