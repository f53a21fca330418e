//! Answers that came: every row of the outcome table, for writes and for reads.

use serde_json::{Value, json};
use tollgate_core::attempt::AttemptOutcome::{self, Ambiguous, Applied, Rejected};

use super::support::*;

async fn outcome_of(tool: tollgate_core::spec::ToolSpec, answer: Reply) -> AttemptOutcome {
    let remote = Remote::start(move |_| answer.clone()).await;
    let name = tool.name.clone();
    let connectors = compile(connector(&remote.base()), vec![tool]).unwrap();
    run(&connectors, &name, &json!({"item": "x"}), None, PLENTY).await
}

fn with(mut tool: tollgate_core::spec::ToolSpec, change: Value) -> tollgate_core::spec::ToolSpec {
    if let Some(schema) = change.get("schema") {
        tool.output = Some(schema.clone());
    }
    if let tollgate_core::spec::ToolRequest::Http(http) = &mut tool.request {
        http.output = change.get("output").cloned();
        http.max_response_bytes = change.get("max").and_then(Value::as_u64).map_or(http.max_response_bytes, |n| n.try_into().unwrap());
        for (list, name) in [(&mut http.applied, "applied"), (&mut http.rejected, "rejected"), (&mut http.retryable, "retryable")] {
            *list = change.get(name).map(|v| serde_json::from_value(v.clone()).unwrap()).unwrap_or_default();
        }
    }
    tool
}

#[tokio::test]
async fn statuses_of_a_write() {
    for status in [200_u16, 201, 202, 204] {
        let outcome = outcome_of(post(), (status, vec![], vec![])).await;
        assert_eq!(outcome, Applied { output: Value::Null, status: Some(status) });
    }
    for (status, may_retry, settles) in [
        (400_u16, false, true),
        (401, true, false),
        (402, false, false),
        (403, false, false),
        (404, false, false),
        (407, false, false),
        (410, false, false),
        (412, false, false),
        (418, false, false),
        (422, false, true),
        (423, false, false),
        (429, true, false),
    ] {
        match outcome_of(post(), reply(status, &json!({"error": {"message": "no"}}))).await {
            Rejected { status: Some(s), message, retryable, settles_doubt, retry_after: None } => {
                assert_eq!((s, retryable, settles_doubt), (status, may_retry, settles));
                assert_eq!(message, format!("the remote answered {status}: no"));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    for status in [300_u16, 302, 307, 308, 408, 409, 425, 500, 502, 503, 504] {
        let outcome = outcome_of(post(), reply(status, &json!({}))).await;
        assert!(matches!(&outcome, Ambiguous { status: Some(s), .. } if *s == status), "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn statuses_of_a_read_leave_no_doubt() {
    for (status, may_retry) in
        [(302_u16, false), (404, false), (408, true), (409, true), (425, true), (429, true), (500, true), (503, true)]
    {
        let outcome = outcome_of(get(), reply(status, &json!({}))).await;
        assert!(
            matches!(outcome, Rejected { status: Some(s), retryable, .. } if s == status && retryable == may_retry),
            "{status}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn declared_statuses_and_retry_after() {
    let declared = with(post(), json!({"applied": [201, 409], "rejected": [404, 503]}));
    assert!(matches!(outcome_of(declared.clone(), reply(409, &json!({}))).await, Applied { status: Some(409), .. }));
    assert!(matches!(outcome_of(declared.clone(), reply(200, &json!({}))).await, Ambiguous { status: Some(200), .. }));
    assert!(matches!(outcome_of(declared.clone(), reply(400, &json!({}))).await, Ambiguous { status: Some(400), .. }));
    let busy = (503, vec![("retry-after", "86400".to_owned())], vec![]);
    match outcome_of(declared, busy).await {
        Rejected { retryable: true, retry_after: Some(wait), settles_doubt: false, .. } => assert_eq!(wait.as_secs(), 3600),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn outputs_are_mapped_and_checked() {
    let mapped = with(
        post(),
        json!({"output": {"id": "${body.id}", "code": "${status}", "trace": "${headers['x-trace']}"},
        "schema": {"type": "object", "properties": {"id": {"type": "string"}}}}),
    );
    let answer = (201, vec![("content-type", "application/json".into()), ("x-trace", "t1".into())], br#"{"id":"o7","other":1}"#.to_vec());
    let outcome = outcome_of(mapped, answer).await;
    assert_eq!(outcome, Applied { output: json!({"id": "o7", "code": 201, "trace": "t1"}), status: Some(201) });
    let large = outcome_of(post(), reply(200, &json!({"id": u64::MAX}))).await;
    assert_eq!(large, Applied { output: json!({"id": u64::MAX.to_string()}), status: Some(200) });
    let text = outcome_of(post(), (200, vec![("content-type", "text/plain".into())], b"done".to_vec())).await;
    assert_eq!(text, Applied { output: json!("done"), status: Some(200) });
    let binary = outcome_of(post(), (200, vec![("content-type", "image/png".into())], vec![0x89, 0xff])).await;
    assert_eq!(binary, Applied { output: Value::Null, status: Some(200) });
}

#[tokio::test]
async fn an_applied_write_with_a_useless_answer_stays_applied() {
    let schema = json!({"type": "object", "required": ["id"]});
    for tool in [with(post(), json!({"schema": schema})), with(post(), json!({"output": {"id": "${body.id}"}}))] {
        match outcome_of(tool, reply(200, &json!({"ok": true}))).await {
            Applied { output, status: Some(200) } => assert!(output["unusable_output"].as_str().unwrap().contains("id"), "{output}"),
            other => panic!("{other:?}"),
        }
    }
    // A proxy's page is not the remote's word.
    let page = (200, vec![("content-type", "text/html".to_owned())], b"<h1>Sign in</h1>".to_vec());
    let outcome = outcome_of(with(post(), json!({"schema": schema})), page.clone()).await;
    assert!(matches!(&outcome, Ambiguous { status: Some(200), message } if message.contains("not JSON")), "{outcome:?}");
    let outcome = outcome_of(with(get(), json!({"schema": schema})), page).await;
    assert!(matches!(outcome, Rejected { retryable: false, .. }), "{outcome:?}");
}

#[tokio::test]
async fn unreadable_answers_are_in_doubt() {
    let json_type = || vec![("content-type", "application/json".to_owned())];
    let deep = [b"[".repeat(5000), b"]".repeat(5000)].concat();
    let compressed = vec![("content-type", "application/json".to_owned()), ("content-encoding", "gzip".to_owned())];
    for (tool, answer, says) in [
        (post(), (200, json_type(), b"{\"id\":".to_vec()), "not JSON"),
        (post(), (200, json_type(), deep), "recursion"),
        (post(), (200, compressed, b"\x1f\x8b".to_vec()), "compressed"),
        (with(post(), json!({"max": 10})), (200, json_type(), b"{\"id\": \"0123456789\"}".to_vec()), "longer than 10 bytes"),
    ] {
        let outcome = outcome_of(tool, answer).await;
        assert!(matches!(&outcome, Ambiguous { status: Some(200), message } if message.contains(says)), "{says}: {outcome:?}");
    }
    // A rejection stays one, however long its answer.
    let long = (422, json_type(), b"x".repeat(500_000));
    assert!(matches!(outcome_of(post(), long).await, Rejected { status: Some(422), .. }));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_at_the_cap() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let addr = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"400\r\n").await.is_ok()
            && stream.write_all(&[b' '; 1024]).await.is_ok()
            && stream.write_all(b"\r\n").await.is_ok()
        {}
    })
    .await;
    let connectors = compile(connector(&format!("http://{addr}")), vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(&outcome, Ambiguous { status: Some(200), message } if message.contains("longer than 262144")), "{outcome:?}");
}

#[tokio::test]
async fn messages_are_one_clipped_line() {
    let noisy = (400, vec![("content-type", "text/plain".to_owned())], format!("a\r\nb\u{1b}[31m {}", "x".repeat(5000)).into_bytes());
    match outcome_of(post(), noisy).await {
        Rejected { message, .. } => {
            assert!(message.chars().count() < 500 && !message.contains(char::is_control), "{message}");
            assert!(message.starts_with("the remote answered 400: a b"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_too_deep_for_the_ledger_is_no_output() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let json = || vec![("content-type", "application/json".to_owned())];
    let fits = outcome_of(post(), (200, json(), nested(64))).await;
    assert!(matches!(&fits, Applied { output: Value::Array(_), .. }), "{fits:?}");
    for levels in [65, 127, 10_000] {
        let write = outcome_of(post(), (200, json(), nested(levels))).await;
        match &write {
            Applied { output, .. } => assert!(output["unusable_output"].as_str().unwrap().contains("64 deep"), "{write:?}"),
            Ambiguous { message, .. } => assert!(levels > 127 && message.contains("not JSON"), "{write:?}"),
            other => panic!("{other:?}"),
        }
        let read = outcome_of(get(), (200, json(), nested(levels))).await;
        assert!(matches!(read, Rejected { retryable: false, .. }), "{read:?}");
    }
}
