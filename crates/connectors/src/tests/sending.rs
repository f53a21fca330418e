//! What reaches the remote, how often, and what is known when nothing comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tollgate_core::attempt::AttemptOutcome::{Ambiguous, Applied, NotSent, Rejected};
use tollgate_core::ports::{Rendered, ToolCaller as _};
use tollgate_core::scope::Mode;
use tollgate_core::spec::AuthSpec;

use super::support::*;

#[tokio::test]
async fn the_remote_sees_exactly_the_rendered_request() {
    let remote = Remote::json(200, json!({"id": 1})).await;
    let mut spec = connector(&remote.base());
    spec.auth = AuthSpec::ApiKey { secret: "key".into(), header: "X-API-Key".into() };
    let connectors = compile(spec, vec![post()]).unwrap();
    assert_eq!(connectors.secret_of("shop.order"), Some("key"));
    let rendered = connectors.render("shop.order", Mode::Live, &json!({"item": "näil"})).unwrap();
    let stored = serde_json::to_string(&rendered).unwrap();
    assert!(!stored.contains("hunter2-secret"));
    send(&connectors, "shop.order", &rendered, Some("hunter2-secret"), PLENTY).await;
    let seen = remote.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.as_str()), ("POST", "/orders", r#"{"item":"näil"}"#));
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("idempotency-key", "remote-key-1"),
        ("x-api-key", "hunter2-secret"),
        ("content-length", "16"),
    ] {
        assert_eq!(seen.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!seen.headers.contains_key("accept-encoding"));
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let closed = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    for tool in [post(), get()] {
        let name = tool.name.clone();
        let connectors = compile(connector(&format!("http://{closed}")), vec![tool]).unwrap();
        let outcome = run(&connectors, &name, &json!({"item": 1}), None, PLENTY).await;
        assert_eq!(outcome, NotSent { message: "nothing was sent: the connection was refused".into(), retryable: true });
    }
}

#[tokio::test]
async fn a_failed_lookup_is_not_sent() {
    struct Fails;
    impl crate::egress::Lookup for Fails {
        fn lookup(&self, _: String) -> tollgate_core::ports::BoxFuture<'static, std::io::Result<Vec<std::net::IpAddr>>> {
            Box::pin(async { Err(std::io::Error::other("no such host")) })
        }
    }
    let connectors = compile_with(connector("http://shop.example"), vec![post()], "/".as_ref(), &(Arc::new(Fails) as _)).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(&outcome, NotSent { message, retryable: true } if message.contains("no such host")), "{outcome:?}");
}

#[tokio::test]
async fn a_failed_tls_handshake_is_not_sent() {
    let addr = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(b"this is not TLS").await;
    })
    .await;
    let connectors = compile(connector(&format!("https://{addr}")), vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(outcome, NotSent { retryable: true, .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_deadline_covers_resolving_and_nothing_is_in_doubt() {
    let connectors = compile_with(connector("http://shop.example"), vec![post()], "/".as_ref(), &(Arc::new(Silent) as _)).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, SHORT).await;
    assert_eq!(outcome, NotSent { message: "nothing was sent: no connection was made within 50 ms".into(), retryable: true });
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, Duration::ZERO).await;
    assert!(matches!(outcome, NotSent { retryable: true, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_comes_too_late_carries_nothing() {
    struct Late(Arc<tokio::sync::Semaphore>);
    impl crate::egress::Lookup for Late {
        fn lookup(&self, _: String) -> tollgate_core::ports::BoxFuture<'static, std::io::Result<Vec<std::net::IpAddr>>> {
            let open = self.0.clone();
            Box::pin(async move {
                open.acquire().await.map_err(std::io::Error::other)?.forget();
                Ok(vec![std::net::Ipv4Addr::LOCALHOST.into()])
            })
        }
    }
    let remote = Remote::json(200, json!({})).await;
    let open = Arc::new(tokio::sync::Semaphore::new(0));
    let mut spec = connector(&format!("http://shop.example:{}", remote.addr.port()));
    spec.egress.allow_private = ["shop.example".to_owned()].into();
    let connectors = compile_with(spec, vec![post()], "/".as_ref(), &(Arc::new(Late(open.clone())) as _)).unwrap();
    let late = run(&connectors, "shop.order", &json!({"item": "late"}), None, SHORT).await;
    assert!(matches!(late, NotSent { retryable: true, .. }), "{late:?}");
    open.add_permits(2);
    let next = run(&connectors, "shop.order", &json!({"item": "next"}), None, PLENTY).await;
    assert!(matches!(next, Applied { .. }), "{next:?}");
    let bodies: Vec<_> = remote.seen().into_iter().map(|s| s.body).collect();
    assert_eq!(bodies, [r#"{"item":"next"}"#]);
}

#[tokio::test]
async fn no_answer_in_time_is_in_doubt() {
    // The request is read and never answered: the connection is held for as long as the test lasts.
    let addr = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let connectors = compile(connector(&format!("http://{addr}")), vec![post(), get()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, SHORT).await;
    assert_eq!(outcome, Ambiguous { message: "no answer within 50 ms".into(), status: None });
    let outcome = run(&connectors, "shop.look", &json!({}), None, SHORT).await;
    assert!(matches!(outcome, Rejected { retryable: true, status: None, .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_deadline_covers_the_whole_answer() {
    for (head, rejected) in [("200 OK", false), ("422 No", true)] {
        let addr = raw(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(format!("HTTP/1.1 {head}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{").as_bytes())
                .await;
            std::future::pending::<()>().await;
        })
        .await;
        let connectors = compile(connector(&format!("http://{addr}")), vec![post()]).unwrap();
        match run(&connectors, "shop.order", &json!({"item": 1}), None, Duration::from_millis(200)).await {
            Ambiguous { status: Some(200), message } if !rejected => assert!(message.contains("did not come within 200 ms"), "{message}"),
            Rejected { status: Some(422), .. } if rejected => {}
            other => panic!("{head}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_request_is_in_doubt_and_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let addr = raw(move |mut stream| {
        let counted = counted.clone();
        async move {
            if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let connectors = compile(connector(&format!("http://{addr}")), vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(outcome, Ambiguous { status: None, .. }), "{outcome:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_reused_connection_that_dies_under_a_request_does_not_repeat_it() {
    // Each connection answers its first request and dies on reading its second: the classic trap of keep-alive.
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let addr = raw(move |mut stream| {
        let counted = counted.clone();
        async move {
            for turn in 0..2 {
                if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                if turn == 0 {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            }
        }
    })
    .await;
    let connectors = compile(connector(&format!("http://{addr}")), vec![post()]).unwrap();
    let first = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(first, Applied { .. }), "{first:?}");
    let second = run(&connectors, "shop.order", &json!({"item": 2}), None, PLENTY).await;
    // Whether the pool reuses the connection is its business; every request is sent at most once either way.
    let sent = requests.load(Ordering::SeqCst);
    assert!(matches!(second, Ambiguous { .. } | Applied { .. }), "{second:?}");
    assert_eq!(sent, 2, "{second:?}");
}

#[tokio::test]
async fn connections_are_reused() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let addr = raw(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let connectors = compile(connector(&format!("http://{addr}")), vec![get()]).unwrap();
    for _ in 0..20 {
        run(&connectors, "shop.look", &json!({}), None, PLENTY).await;
        tokio::task::yield_now().await;
    }
    assert!(connections.load(Ordering::SeqCst) < 20, "every call made a connection of its own");
}

#[tokio::test]
async fn what_was_rendered_for_another_place_is_not_sent() {
    let remote = Remote::json(200, json!({})).await;
    let connectors = compile(connector(&remote.base()), vec![post()]).unwrap();
    let http = |method: &str, url: String| Rendered::Http { method: method.into(), url, headers: vec![], body: None };
    // Allowed by the egress guard, and still not where this connector leads.
    let other = Remote::json(200, json!({})).await;
    let elsewhere = format!("{}/orders", other.base());
    for rendered in [
        http("POST", elsewhere),
        http("POST", format!("http://u:p@{}/orders", remote.addr)),
        http("DELETE", format!("{}/orders", remote.base())),
        http("POST", "no url".into()),
        Rendered::Files { op: "write".into(), path: "x".into(), content: Some(String::new()) },
        Rendered::Stub { tool: "shop.order".into() },
    ] {
        let outcome = send(&connectors, "shop.order", &rendered, None, PLENTY).await;
        assert!(matches!(outcome, NotSent { retryable: false, .. }), "{rendered:?}: {outcome:?}");
    }
    assert!(remote.seen().is_empty() && other.seen().is_empty());
}

#[tokio::test]
async fn a_missing_secret_sends_nothing() {
    let remote = Remote::json(200, json!({})).await;
    let mut spec = connector(&remote.base());
    spec.auth = AuthSpec::Bearer { secret: "token".into() };
    let connectors = compile(spec, vec![post()]).unwrap();
    let outcome = run(&connectors, "shop.order", &json!({"item": 1}), None, PLENTY).await;
    assert!(matches!(&outcome, NotSent { message, retryable: false } if message.contains("`token`")), "{outcome:?}");
    assert!(remote.seen().is_empty());
}

#[tokio::test]
async fn test_mode_never_reaches_production() {
    let (live, test) = (Remote::json(200, json!({"at": "live"})).await, Remote::json(200, json!({"at": "test"})).await);
    let call = |connectors: crate::Connectors, mode| async move {
        let rendered = connectors.render("shop.order", mode, &json!({"item": 1})).unwrap();
        let request = tollgate_core::ports::CallRequest {
            tool: "shop.order",
            mode,
            rendered: &rendered,
            remote_key: None,
            secret: None,
            deadline_at: NOW.plus(PLENTY),
            now: NOW,
        };
        let outcome = connectors.call(request).await;
        (connectors, rendered, outcome)
    };
    let (stubbed, rendered, outcome) = call(compile(connector(&live.base()), vec![post()]).unwrap(), Mode::Test).await;
    assert_eq!(rendered, Rendered::Stub { tool: "shop.order".into() });
    assert!(matches!(&outcome, Applied { output, status: None } if output["stub"] == true), "{outcome:?}");
    // Not even a request that was rendered live.
    let rendered = stubbed.render("shop.order", Mode::Live, &json!({"item": 1})).unwrap();
    let request = tollgate_core::ports::CallRequest {
        tool: "shop.order",
        mode: Mode::Test,
        rendered: &rendered,
        remote_key: None,
        secret: None,
        deadline_at: NOW.plus(PLENTY),
        now: NOW,
    };
    assert!(matches!(stubbed.call(request).await, NotSent { retryable: false, .. }));
    let mut spec = connector(&live.base());
    spec.test_config = Some(object(json!({"base": test.base()})));
    let (_, _, outcome) = call(compile(spec, vec![post()]).unwrap(), Mode::Test).await;
    assert!(matches!(&outcome, Applied { output, .. } if output["at"] == "test"), "{outcome:?}");
    assert_eq!((live.seen().len(), test.seen().len()), (0, 1));
}
