//! Rendering: what arguments can and cannot change.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_core::ports::{Rendered, ToolCaller as _};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{AuthSpec, Effect};
use url::Url;

use super::support::*;
use crate::Connectors;

fn tool_of(request: Value) -> Connectors {
    let mut request = request;
    request["method"] = json!("POST");
    compile(connector("https://api.example/v1"), vec![tool("t", Effect::Write, request)]).unwrap()
}

fn faults_of(request: Value) -> Vec<String> {
    let base = connector("https://api.example/v1");
    let faults = compile(base, vec![tool("t", Effect::Write, request)]).err().unwrap_or_default();
    faults.into_iter().map(|f| f.to_string()).collect()
}

/// URL, headers and body.
type Request = (String, Vec<(String, String)>, Option<String>);

fn render(connectors: &Connectors, args: &Value) -> Result<Request, String> {
    match connectors.render("shop.t", Mode::Live, args).map_err(|e| e.to_string())? {
        Rendered::Http { url, headers, body, .. } => Ok((url, headers, body)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn arguments_fill_one_segment_or_one_value() {
    let c = tool_of(
        json!({"url": "${config.base}/issues/${args.id}/x?q=${args.q}", "query": {"a b": "${args.extra}", "n": "${args.none}", "l": "${args.list}"}}),
    );
    let args = json!({"id": "a/../b?c#d\r\n", "q": "1&z=2", "extra": 7, "list": ["x", "y&z"]});
    let (url, ..) = render(&c, &args).unwrap();
    assert_eq!(url, "https://api.example/v1/issues/a%2F..%2Fb%3Fc%23d%0D%0A/x?q=1%26z%3D2&a%20b=7&l=x&l=y%26z");
}

#[test]
fn values_that_would_change_the_path_are_refused() {
    let c = tool_of(json!({"url": "${config.base}/issues/${args.a}${args.b}/x"}));
    for (a, b) in [("..", ""), (".", "."), ("", "x"), ("x", "")] {
        assert!(render(&c, &json!({"a": a, "b": b})).is_err(), "{a} {b}");
    }
    for bad in [json!(null), json!(["x"]), json!({"x": 1})] {
        let error = render(&c, &json!({"a": bad, "b": "x"})).unwrap_err();
        assert!(error.contains("request.url") && error.contains("`${args.a}`"), "{error}");
    }
    assert!(render(&c, &json!({"b": "x"})).unwrap_err().contains("missing"));
    assert_eq!(render(&c, &json!({"a": "..", "b": "x"})).unwrap().0, "https://api.example/v1/issues/..x/x");
    assert!(render(&c, &json!({"a": "x".repeat(9000), "b": "x"})).unwrap_err().contains("longer"));
}

#[test]
fn the_host_never_comes_from_arguments() {
    for url in [
        "${args.url}",
        "https://${args.host}/x",
        "https://api.example${args.x}/y",
        "${config.base.replace('x', args.x)}/y",
        "${args.scheme}://api.example/",
        "https://api.example:${args.port}/",
        "ftp://api.example/",
        "//api.example/x",
        "https://user:pw@api.example/",
        "https://api.example/a#b",
        "https://api.example/a b",
        "https://api.example\\${args.x}",
        "${config.missing}/x",
        "${config.base}/${args.x}/${config.missing}",
    ] {
        let faults = faults_of(json!({"method": "POST", "url": url}));
        assert!(faults.len() == 1 && faults[0].contains("request.url"), "{url}: {faults:?}");
    }
    assert!(faults_of(json!({"method": "POST", "url": "https://api.example/${args.x}"})).is_empty());
    assert!(faults_of(json!({"method": "POST", "url": "${config.base}"})).is_empty());
}

#[test]
fn headers_cannot_be_split_or_usurped() {
    let c = tool_of(json!({"url": "${config.base}/x", "headers": {"X-Note": "n ${args.note}", "X-Opt": "${args.opt}"}}));
    for bad in ["a\r\nX-Evil: 1", "a\nb", "a\0", "a\tb", "tail ", "\u{7f}", "\u{85}"] {
        let error = render(&c, &json!({"note": bad})).unwrap_err();
        assert!(error.starts_with("request.headers.X-Note: ") && !error.contains('\n'), "{error}");
    }
    let (_, headers, _) = render(&c, &json!({"note": "ok", "opt": null})).unwrap();
    assert_eq!(headers, [("x-note".to_owned(), "n ok".to_owned()), ("accept".to_owned(), "application/json".to_owned())]);
    for name in ["Authorization", "Cookie", "Host", "Content-Length", "Transfer-Encoding", "a b", "Proxy-Authorization", "Accept-Encoding"]
    {
        let faults = faults_of(json!({"method": "POST", "url": "${config.base}/x", "headers": {name: "v"}}));
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
    }
    let mut spec = connector("https://api.example");
    spec.auth = AuthSpec::ApiKey { secret: "k".into(), header: "X-Key".into() };
    let own = tool("t", Effect::Write, json!({"method": "POST", "url": "${config.base}/x", "headers": {"x-key": "v"}}));
    assert_eq!(compile(spec, vec![own]).unwrap_err().len(), 1);
}

#[test]
fn bodies_keep_their_types() {
    let c = tool_of(
        json!({"url": "${config.base}/x", "json": {"id": "${args.id}", "labels": ["${args.l}"], "text": "no ${args.id}", "fixed": 1}}),
    );
    let (_, headers, body) = render(&c, &json!({"id": 7, "l": "a\"b\n"})).unwrap();
    assert_eq!(body.unwrap(), r#"{"fixed":1,"id":7,"labels":["a\"b\n"],"text":"no 7"}"#);
    assert!(headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    let error = connectors_error(&c);
    assert!(error.starts_with("request.json/id: "), "{error}");
}

fn connectors_error(c: &Connectors) -> String {
    render(c, &json!({"l": "x"})).unwrap_err()
}

#[test]
fn all_faults_are_found_at_once() {
    let bad = json!({"method": "GET", "url": "${nope.x}/y", "json": {}, "output": "${args.x}", "headers": {"Host": "x"},
        "idempotency_header": "Idempotency-Key", "applied": [200], "rejected": [200]});
    let mut spec = tool("t", Effect::Write, bad);
    spec.input = json!({"type": "nonsense"});
    let faults = compile(connector("https://x.example"), vec![spec]).unwrap_err();
    let places: Vec<_> = faults.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(
        places,
        ["input", "request.json", "request.url", "request.headers.Host", "request.idempotency_header", "request", "request.output"]
    );
    let mut orphan = tool("t", Effect::Write, json!({"method": "POST", "url": "https://x.example/"}));
    orphan.connector = "gone".into();
    assert_eq!(compile(connector("https://x.example"), vec![orphan]).unwrap_err()[0].place, "connector");
}

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[./\\\\?#&=%@:;+ \\r\\n\\t\0a-z2eE]{0,12}",
        prop::sample::select(vec![
            "..",
            ".",
            "%2e%2e",
            "//evil.example",
            "\\\\evil",
            "@evil.example",
            "%00",
            "\u{202e}",
            "a/../../b",
            "?x=1",
            "#f"
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever arguments hold, the URL leads to the same host, through as many segments, with the same query keys;
    /// and every value arrives as it was given.
    #[test]
    fn arguments_change_values_and_nothing_else(a in argument(), b in argument(), q in argument(), extra in argument()) {
        let c = tool_of(json!({"url": "${config.base}/i/${args.a}/j-${args.b}?q=${args.q}", "query": {"extra": "${args.extra}"}}));
        if let Ok((text, ..)) = render(&c, &json!({"a": a, "b": b, "q": q, "extra": extra})) {
            let url = Url::parse(&text).unwrap();
            prop_assert_eq!(url.origin().ascii_serialization(), "https://api.example");
            prop_assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 4, "{}", text);
            prop_assert_eq!((segments[0], segments[1]), ("v1", "i"));
            let decoded = |s: &str| url::form_urlencoded::parse(format!("v={}", s.replace('+', "%2B")).as_bytes()).next().unwrap().1.into_owned();
            prop_assert_eq!(decoded(segments[2]), a);
            prop_assert_eq!(decoded(segments[3]), format!("j-{b}"));
            let pairs: Vec<_> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(pairs, vec![("q".to_owned(), q), ("extra".to_owned(), extra)]);
        }
    }
}
