//! A canary secret goes in by every door and must come out by none.

use base64::Engine as _;
use serde_json::{Value, json};
use tollgate_core::ports::{CallRequest, SecretLease, ToolCaller as _};
use tollgate_core::scope::Mode;
use tollgate_core::spec::AuthSpec;

use super::support::*;

const CANARY: &str = "c4nary/Secret+with=odd?chars";

fn auths() -> Vec<AuthSpec> {
    let secret = "token".to_owned();
    vec![
        AuthSpec::Bearer { secret: secret.clone() },
        AuthSpec::ApiKey { secret: secret.clone(), header: "X-Key".into() },
        AuthSpec::Basic { username: "bob".into(), secret },
    ]
}

/// Every form in which the canary could be recognised.
fn gives_away(text: &str) -> bool {
    let b64 = base64::engine::general_purpose::STANDARD.encode(format!("bob:{CANARY}"));
    let middle = &b64[8..b64.len() - 6];
    let lower = text.to_ascii_lowercase();
    text.contains(CANARY)
        || text.contains(&base64::engine::general_purpose::STANDARD.encode(CANARY))
        || text.contains(middle)
        || lower.contains(&crate::http::encode::component(CANARY).to_ascii_lowercase())
        || lower.contains(&data_encoding::HEXLOWER.encode(CANARY.as_bytes()))
}

/// Sends back everything that it was sent, in several encodings.
fn echo(status: u16, kind: &'static str) -> impl Fn(&Seen) -> Reply {
    move |seen| {
        let headers: Vec<String> = seen.headers.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        let all = headers.join(" ");
        let forms =
            [CANARY.to_owned(), crate::http::encode::component(CANARY), base64::engine::general_purpose::STANDARD.encode(CANARY)].join(" ");
        let body = if kind == "application/json" {
            json!({"message": format!("{all} {forms}"), "deep": [{(CANARY): all}]}).to_string()
        } else {
            format!("{all} {forms}")
        };
        (status, vec![("content-type", kind.to_owned()), ("x-echo", CANARY.to_owned())], body.into_bytes())
    }
}

#[tokio::test]
async fn nothing_that_comes_back_holds_the_secret() {
    for auth in auths() {
        for status in [200_u16, 302, 401, 422, 500] {
            for kind in ["application/json", "text/plain"] {
                let remote = Remote::start(echo(status, kind)).await;
                let mut spec = connector(&remote.base());
                spec.auth = auth.clone();
                let mut mapped = post();
                mapped.name = "shop.mapped".into();
                if let tollgate_core::spec::ToolRequest::Http(http) = &mut mapped.request {
                    http.output = Some(json!({"b": "${body}", "h": "${headers}"}));
                }
                let mut strict = post();
                strict.name = "shop.strict".into();
                strict.output = Some(json!({"type": "integer"}));
                let connectors = compile(spec, vec![post(), get(), mapped, strict]).unwrap();
                for tool in ["shop.order", "shop.look", "shop.mapped", "shop.strict"] {
                    let outcome = run(&connectors, tool, &json!({"item": 1}), Some(CANARY), PLENTY).await;
                    let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap());
                    assert!(!gives_away(&shown), "{auth:?} {status} {kind} {tool}: {shown}");
                }
                assert!(remote.seen().iter().any(|s| gives_away(&format!("{:?}", s.headers))), "the secret was sent");
                assert!(!gives_away(&format!("{connectors:?}")));
            }
        }
    }
}

#[tokio::test]
async fn a_clipped_message_holds_no_half_of_it() {
    let remote =
        Remote::start(|_| (422, vec![("content-type", "text/plain".into())], format!("{} {CANARY}", "x".repeat(390)).into_bytes())).await;
    let mut spec = connector(&remote.base());
    spec.auth = AuthSpec::Bearer { secret: "token".into() };
    let connectors = compile(spec, vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), Some(CANARY), PLENTY).await;
    assert!(!outcome.message().contains("c4n"), "{outcome:?}");
}

#[tokio::test]
async fn requests_in_flight_show_nothing() {
    let connectors = compile(connector("http://127.0.0.1:9"), vec![post()]).unwrap();
    let rendered = connectors.render("shop.order", Mode::Live, &Value::Object(object(json!({"item": 1})))).unwrap();
    let request = CallRequest {
        tool: "shop.order",
        mode: Mode::Live,
        rendered: &rendered,
        remote_key: None,
        secret: Some(SecretLease::new(CANARY.as_bytes().to_vec(), 3)),
        deadline_at: NOW,
        now: NOW,
    };
    assert!(!gives_away(&format!("{request:?}")));
}

#[tokio::test]
async fn a_secret_that_cannot_be_a_header_is_not_shown() {
    let mut spec = connector("http://127.0.0.1:9");
    spec.auth = AuthSpec::Bearer { secret: "token".into() };
    let connectors = compile(spec, vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), Some(&format!("{CANARY}\n")), PLENTY).await;
    assert!(!gives_away(&format!("{outcome:?}")) && outcome.message().contains("line break"), "{outcome:?}");
}
