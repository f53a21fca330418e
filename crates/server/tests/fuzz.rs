//! The description is walked: for every operation requests are made out of its schemas, good ones and spoilt ones, and every answer must be one
//! that the description promises, with a body that fits it. Never a fault of the service.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "test code")]

#[path = "fuzz/known.rs"]
mod known;
mod support;
#[path = "fuzz/values.rs"]
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tollgate_core::ports::Clock;
use tollgate_core::time::Timestamp;
use tollgate_server::Code;

use crate::known::Known;
use crate::support::{Answer, House};
use crate::values::Values;

/// Rounds over all operations.
const ROUNDS: u32 = 100;

/// The machine's clock: actions wait by it.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

/// A request made out of an operation.
#[derive(Debug)]
struct Made {
    method: &'static str,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Makes a request. `spoilt`: something of it may be wrong.
fn make(v: &mut Values<'_>, path: &str, method: &'static str, operation: &Value, spoilt: bool) -> Made {
    let (mut url, mut query, mut headers) = (path.to_owned(), Vec::new(), Vec::new());
    for p in operation["parameters"].as_array().into_iter().flatten() {
        let name = p["name"].as_str().unwrap();
        let odd = spoilt && v.rng.random_bool(0.3);
        match p["in"].as_str().unwrap() {
            "path" => {
                let mut value = match name {
                    "id" => v.known.id(path, v.rng).unwrap_or_else(|| "ev_01hzy000000000000000000000".to_owned()),
                    "name" => Known::name(path, v.rng),
                    _ => shown(&v.fitting(name, &p["schema"])),
                };
                if odd {
                    value = v.odd();
                }
                // An empty segment is another route, and so are the two that stand beside ids.
                if ["", "stream", "export"].contains(&value.as_str()) {
                    value = "x".to_owned();
                }
                url = url.replace(&format!("{{{name}}}"), &encoded(&value));
            }
            "query" if name == "follow" => query.push("follow=false".to_owned()),
            "query" if v.rng.random_bool(0.3) => {
                let value = if odd { v.odd() } else { shown(&v.fitting(name, &p["schema"])) };
                query.push(format!("{name}={}", encoded(&value)));
            }
            "header" if v.rng.random_bool(0.4) => {
                let value = if odd { v.odd() } else { shown(&v.fitting(name, &p["schema"])) };
                // What a header cannot hold does not reach any server.
                headers.extend(
                    http::HeaderValue::from_bytes(value.as_bytes()).ok().map(|h| (name.to_ascii_lowercase(), h.as_bytes().to_vec())),
                );
            }
            _ => {}
        }
    }
    if spoilt && v.rng.random_bool(0.1) {
        query.push(format!("{}={}", encoded(&v.odd()), encoded(&v.odd())));
    }
    if v.rng.random_bool(0.2) {
        headers.push(("accept".to_owned(), b"application/problem+json".to_vec()));
    }
    let body = body(v, operation, spoilt, &mut headers);
    let path = if query.is_empty() { url } else { format!("{url}?{}", query.join("&")) };
    Made { method, path, headers, body }
}

fn body(v: &mut Values<'_>, operation: &Value, spoilt: bool, headers: &mut Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let Some(content) = operation.pointer("/requestBody/content").and_then(Value::as_object) else { return Vec::new() };
    let kinds: Vec<&String> = content.keys().collect();
    let kind = kinds[v.rng.random_range(0..kinds.len())].clone();
    let wrong_kind = spoilt && v.rng.random_bool(0.05);
    headers.push(("content-type".to_owned(), if wrong_kind { b"text/csv".to_vec() } else { kind.clone().into_bytes() }));
    let lines = kind.contains("ndjson") || kind.contains("jsonl");
    let event = json!({"$ref": "#/components/schemas/EventIn"});
    let one = |v: &mut Values<'_>| {
        let mut value = v.fitting("", if lines { &event } else { &content[&kind]["schema"] });
        if spoilt && v.rng.random_bool(0.6) {
            v.spoil(&mut value);
        }
        value.to_string()
    };
    let mut text = if lines { (0..v.rng.random_range(1..4)).map(|_| one(v) + "\n").collect() } else { one(v) };
    if spoilt && v.rng.random_bool(0.1) {
        let cut = text.floor_char_boundary(v.rng.random_range(0..=text.len()));
        text.truncate(cut);
    }
    text.into_bytes()
}

/// What the description says of answers, compiled once each.
struct Promises<'a> {
    api: &'a Value,
    compiled: BTreeMap<String, jsonschema::Validator>,
}

impl Promises<'_> {
    fn check(&mut self, operation: &Value, made: &Made, answer: &Answer) {
        let status = answer.status.as_u16();
        let seen = || format!("{made:?}\n{status} {:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(status < 500 || status == 503, "a fault of the service: {}", seen());
        let promised = operation["responses"].get(status.to_string()).unwrap_or_else(|| panic!("{status} is not documented: {}", seen()));
        let Some(content) = promised.get("content").and_then(Value::as_object) else {
            assert!(answer.body.is_empty(), "a body that is not documented: {}", seen());
            return;
        };
        let kind = answer.header("content-type").split(';').next().unwrap();
        let of_kind = content.get(kind).unwrap_or_else(|| panic!("`{kind}` is not documented: {}", seen()));
        if kind == "application/json" || kind.ends_with("+json") {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", seen()));
            let schema = &of_kind["schema"];
            let fits = self.compiled.entry(schema.to_string()).or_insert_with(|| {
                let mut whole = schema.as_object().unwrap().clone();
                whole.insert("components".to_owned(), self.api["components"].clone());
                jsonschema::options().should_validate_formats(true).build(&Value::Object(whole)).unwrap()
            });
            let faults: Vec<String> = fits.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(faults.is_empty(), "the body is not as documented: {faults:?}\n{}", seen());
            if status >= 400 {
                let code = body.pointer("/error/code").or_else(|| body.get("code")).and_then(Value::as_str).unwrap();
                assert_eq!(Code::parse(code).unwrap().status(), answer.status, "{}", seen());
            }
        }
    }
}

async fn send(house: &House, made: &Made) -> Answer {
    let mut call = house.call(made.method, made.path.clone());
    for (name, value) in &made.headers {
        call = call.header(name, value);
    }
    call.body(made.body.clone()).go().await
}

fn method(text: &str) -> &'static str {
    ["GET", "POST", "PUT", "DELETE"].into_iter().find(|m| m.eq_ignore_ascii_case(text)).unwrap()
}

#[tokio::test]
async fn every_answer_is_one_that_the_description_promises() {
    let house = House::new(Arc::new(WallClock)).await;
    let api = tollgate_server::openapi();
    let (mut rng, mut known) = (StdRng::seed_from_u64(20), Known::default());
    let mut promises = Promises { api: &api, compiled: BTreeMap::new() };
    let mut good: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for round in 0..ROUNDS {
        // Something for people to answer and cancel: chance alone makes too little of it.
        let name = format!("ask{round}");
        let ask = json!({"tool": "notes.sign", "args": {"name": name, "text": "t"}, "entity_key": name, "idempotency_key": name, "wait_ms": 10_000});
        known.learn(&house.send("POST", "/v1/actions", &ask).go().await.json());
        for (path, item) in api["paths"].as_object().unwrap() {
            for (name, operation) in item.as_object().unwrap() {
                let spoilt = round % 2 == 1;
                let made = make(&mut Values { api: &api, known: &known, rng: &mut rng }, path, method(name), operation, spoilt);
                let answer = send(&house, &made).await;
                promises.check(operation, &made, &answer);
                let counts = good.entry(format!("{name} {path}")).or_default();
                counts[usize::from(!answer.status.is_success())] += 1;
                if let Ok(body) = serde_json::from_slice(&answer.body) {
                    known.learn(&body);
                }
            }
        }
    }
    // A walk that only ever heard "no" would have proved little. Webhooks need a signature, and `unknown` a crash: tests of their own.
    let hard = ["post /v1/hooks/{connector}", "post /v1/actions/{id}/resolve"];
    let never: Vec<&String> = good.iter().filter(|(at, n)| n[0] == 0 && !hard.contains(&at.as_str())).map(|(at, _)| at).collect();
    assert!(never.is_empty(), "never a good answer: {never:?}");
    let refused: u32 = good.values().map(|n| n[1]).sum();
    assert!(refused > ROUNDS * 10, "{refused} refusals: the spoilt requests were not spoilt");
}

#[tokio::test]
async fn without_a_key_only_the_open_operations_answer() {
    let house = House::new(Arc::new(WallClock)).await;
    let api = tollgate_server::openapi();
    let (mut rng, known) = (StdRng::seed_from_u64(21), Known::default());
    let mut promises = Promises { api: &api, compiled: BTreeMap::new() };
    for (path, item) in api["paths"].as_object().unwrap() {
        for (name, operation) in item.as_object().unwrap().iter().filter(|(_, o)| o.get("security").is_some()) {
            let mut made = make(&mut Values { api: &api, known: &known, rng: &mut rng }, path, method(name), operation, false);
            made.headers.push(("authorization".to_owned(), Vec::new()));
            let answer = send(&house, &made).await;
            assert_eq!(answer.status, 401, "{made:?}");
            promises.check(operation, &made, &answer);
        }
    }
}

#[tokio::test]
#[should_panic(expected = "404 is not documented")]
async fn the_walk_fails_when_an_answer_is_not_promised() {
    let house = House::new(Arc::new(WallClock)).await;
    let mut api = tollgate_server::openapi();
    api["paths"]["/v1/runs/{id}"]["get"]["responses"].as_object_mut().unwrap().remove("404");
    let path = "/v1/runs/run_01hzy000000000000000000000".to_owned();
    let made = Made { method: "GET", path, headers: Vec::new(), body: Vec::new() };
    let answer = send(&house, &made).await;
    Promises { api: &api, compiled: BTreeMap::new() }.check(&api["paths"]["/v1/runs/{id}"]["get"], &made, &answer);
}

#[tokio::test]
#[should_panic(expected = "the body is not as documented")]
async fn the_walk_fails_when_a_body_is_not_as_promised() {
    let house = House::new(Arc::new(WallClock)).await;
    let mut api = tollgate_server::openapi();
    api["components"]["schemas"]["ErrorDetail"]["properties"]["code"]["type"] = json!("integer");
    let made = Made { method: "GET", path: "/v1/runs/x".to_owned(), headers: Vec::new(), body: Vec::new() };
    let answer = send(&house, &made).await;
    Promises { api: &api, compiled: BTreeMap::new() }.check(&api["paths"]["/v1/runs/{id}"]["get"], &made, &answer);
}
