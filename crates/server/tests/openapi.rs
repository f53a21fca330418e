//! The description of the API as tools read it: OpenAPI 3.1, nothing dangling, every operation with its answers and its security.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_server::{Code, openapi};

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    body: &'a Value,
}

fn operations(api: &Value) -> Vec<Operation<'_>> {
    api["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, body)| Operation { path, method, body }))
        .collect()
}

fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    see(value);
    match value {
        Value::Object(map) => map.values().for_each(|v| walk(v, see)),
        Value::Array(items) => items.iter().for_each(|v| walk(v, see)),
        _ => {}
    }
}

#[test]
fn it_is_openapi_3_1_and_nothing_dangles() {
    let api = openapi();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1."), "{}", api["openapi"]);
    assert!(api["info"]["title"].is_string() && api["info"]["version"].is_string());
    let mut refs = BTreeSet::new();
    walk(&api, &mut |v| {
        if let Some(r) = v.get("$ref").and_then(Value::as_str) {
            refs.insert(r);
        }
    });
    assert!(refs.len() > 10);
    for r in &refs {
        assert!(api.pointer(r.strip_prefix('#').unwrap()).is_some(), "{r} leads nowhere");
    }
    let used: BTreeSet<&str> = refs.iter().filter_map(|r| r.strip_prefix("#/components/schemas/")).collect();
    for name in api["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(name.as_str()), "the schema {name} is used nowhere");
    }
}

#[test]
fn every_schema_is_a_json_schema() {
    let api = openapi();
    for name in api["components"]["schemas"].as_object().unwrap().keys() {
        let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "components": api["components"],
            "$ref": format!("#/components/schemas/{name}")});
        jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn every_operation_is_named_and_says_how_it_may_end() {
    let api = openapi();
    let mut ids = BTreeSet::new();
    let all = operations(&api);
    assert!(all.len() > 40, "{}", all.len());
    for Operation { path, method, body } in all {
        let at = format!("{method} {path}");
        assert!(ids.insert(body["operationId"].as_str().unwrap().to_owned()), "{at}: its id is taken");
        assert!(body["summary"].is_string() && body["tags"][0].is_string(), "{at}: says nothing of itself");
        let answers = body["responses"].as_object().unwrap();
        assert!(answers.keys().any(|s| s.starts_with('2')) && answers.contains_key("500"), "{at}");
        let open = ["/healthz", "/readyz", "/metrics", "/errors", "/errors/{code}", "/openapi.json"].contains(&path);
        let hook = path == "/v1/hooks/{connector}";
        assert_eq!(body["security"] == json!([{"api_key": []}]), !open && !hook, "{at}: {}", body["security"]);
        let mut need: Vec<&str> = if open { vec![] } else { vec!["400", "401", "503"] };
        need.extend((!open && !hook).then_some("403"));
        need.extend(path.contains('{').then_some("404"));
        need.extend(body.get("requestBody").is_some().then_some("413"));
        need.extend((body.get("requestBody").is_some() && !hook).then_some("415"));
        for status in need {
            assert!(answers.contains_key(status), "{at}: {status} is not documented");
        }
        for (status, answer) in answers {
            assert!(answer["description"].is_string(), "{at} {status}");
            if !status.starts_with('2') {
                let of = |kind: &str| answer["content"][kind]["schema"]["$ref"].as_str().unwrap_or_default().to_owned();
                assert_eq!(of("application/json"), "#/components/schemas/ErrorBody", "{at} {status}");
                assert_eq!(of("application/problem+json"), "#/components/schemas/Problem", "{at} {status}");
                assert_eq!(
                    answer["headers"].get("Retry-After").is_some(),
                    ["409", "429", "503"].contains(&status.as_str()),
                    "{at} {status}"
                );
            }
        }
        let declared: BTreeSet<&str> = body["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|p| p["in"] == "path")
            .map(|p| {
                assert_eq!(p["required"], true, "{at}");
                p["name"].as_str().unwrap()
            })
            .collect();
        let templated: BTreeSet<&str> = path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(declared, templated, "{at}");
        assert!(method != "get" || body.get("requestBody").is_none(), "{at}: a GET with a body");
    }
    assert_eq!(api["components"]["securitySchemes"]["api_key"], json!({"type": "http", "scheme": "bearer"}));
}

#[test]
fn every_code_is_named_under_its_status() {
    let api = openapi();
    let mut text = std::collections::BTreeMap::<String, String>::new();
    for Operation { body, .. } in operations(&api) {
        for (status, answer) in body["responses"].as_object().unwrap() {
            text.entry(status.clone()).or_default().push_str(answer["description"].as_str().unwrap());
        }
    }
    for code in Code::ALL {
        // An unknown method belongs to no operation, and nothing is limited by rate yet.
        if !["method_not_allowed", "rate_limited"].contains(&code.as_str()) {
            let status = code.status().as_u16().to_string();
            let named = text.get(&status).is_some_and(|t| t.contains(&format!("`{}`", code.as_str())));
            assert!(named, "{} is documented nowhere under {status}", code.as_str());
        }
    }
}
