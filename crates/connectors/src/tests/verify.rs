//! Asking a read tool whether a write happened.

use serde_json::{Value, json};
use tollgate_core::ports::{ToolCaller as _, VerifyAnswer};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{AuthSpec, Effect, Grade, ToolSpec, VerifySpec};
use tollgate_core::time::Span;

use super::support::*;

fn verifiable(verify: Value) -> ToolSpec {
    let mut tool = tool("hold", Effect::Write, json!({"method": "POST", "url": "${config.base}/hold"}));
    tool.grade = Grade::Verifiable;
    let mut spec = VerifySpec { tool: "state".into(), args: None, settle: Span::secs(1), happened: "output == true".into() };
    if let Some(name) = verify["tool"].as_str() {
        spec.tool = name.into();
    }
    if let Some(happened) = verify["happened"].as_str() {
        spec.happened = happened.into();
    }
    spec.args = verify.get("args").cloned();
    tool.verify = Some(spec);
    tool
}

fn state() -> ToolSpec {
    let request = json!({"method": "GET", "url": "${config.base}/orders/${args.order}", "applied": [200, 404], "output": {"status": "${status}", "state": "${body.state}"}});
    let mut tool = tool("state", Effect::Read, request);
    tool.input = json!({"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}});
    tool
}

async fn ask(remote: &Remote, verify: Value, args: &Value) -> VerifyAnswer {
    let mut spec = connector(&remote.base());
    spec.auth = AuthSpec::Bearer { secret: "token".into() };
    let connectors = compile(spec, vec![verifiable(verify), state()]).unwrap();
    assert_eq!(connectors.verify_secret_of("shop.hold"), Some("token"));
    let secret = tollgate_core::ports::SecretLease::new(b"hunter2".to_vec(), 1);
    connectors.verify("shop.hold", Mode::Live, args, Some(secret), NOW).await
}

#[tokio::test]
async fn the_reads_output_and_the_writes_args_decide() {
    let remote = Remote::json(200, json!({"state": "held"})).await;
    let verify = json!({"args": {"order": "${args.id}"}, "happened": "output.state == args.wanted"});
    let held = ask(&remote, verify.clone(), &json!({"id": "o 1", "wanted": "held"})).await;
    assert_eq!(held, VerifyAnswer::Happened(json!({"status": 200, "state": "held"})));
    let open = ask(&remote, verify, &json!({"id": "o2", "wanted": "open"})).await;
    assert_eq!(open, VerifyAnswer::DidNotHappen(json!({"status": 200, "state": "held"})));
    let seen = remote.seen();
    assert_eq!((seen[0].target.as_str(), seen[0].headers["authorization"].as_str()), ("/orders/o%201", "Bearer hunter2"));
}

#[tokio::test]
async fn a_read_that_fails_is_no_answer() {
    let verify = || json!({"happened": "output.state == 'held'"});
    let args = json!({"order": "o1"});
    for (status, body, says) in
        [(500_u16, json!({}), "500"), (403, json!({}), "403"), (200, json!({"odd": 1}), "mapping"), (302, json!({}), "302")]
    {
        let remote = Remote::json(status, body).await;
        let answer = ask(&remote, verify(), &args).await;
        assert!(matches!(&answer, VerifyAnswer::NoAnswer(m) if m.contains(says)), "{status}: {answer:?}");
    }
    let remote = Remote::json(200, json!({"state": "held"})).await;
    let answer = ask(&remote, verify(), &json!({"order": 7})).await;
    assert!(matches!(&answer, VerifyAnswer::NoAnswer(m) if m.contains("verify.args")), "{answer:?}");
    let answer = ask(&remote, json!({"happened": "output.state"}), &args).await;
    assert!(matches!(&answer, VerifyAnswer::NoAnswer(m) if m.contains("verify.happened")), "{answer:?}");
}

#[test]
fn what_is_asked_must_be_a_read() {
    let compiled = |verify: Value, read: ToolSpec| compile(connector("https://x.example"), vec![verifiable(verify), read]);
    assert!(compiled(json!({}), state()).is_ok());
    assert!(compiled(json!({"tool": "shop.state"}), state()).is_ok());
    let mut write = state();
    write.effect = Effect::Write;
    for (verify, read, place) in [
        (json!({"tool": "nope"}), state(), "verify.tool"),
        (json!({}), write, "verify.tool"),
        (json!({"happened": "nope.x"}), state(), "verify.happened"),
        (json!({"args": {"order": "${output.x}"}}), state(), "verify.args/order"),
    ] {
        let faults = compiled(verify, read).unwrap_err();
        assert_eq!((faults.len(), faults[0].place.as_str()), (1, place), "{faults:?}");
    }
}
