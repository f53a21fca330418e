//! The project that benchmarks run: one operator, one keyed HTTP tool on a local upstream, one permit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, json};
use tollgate_core::spec::{
    ActionTemplate, AuthSpec, BundleSpec, ConnectorSpec, Effect, EgressSpec, Grade, HttpRequestSpec, OnUnknown, OperatorSpec, Ordering,
    PolicySource, RetrySpec, ToolRequest, ToolSpec, Transport,
};
use tollgate_core::time::Span;

/// The event type that the operator subscribes to.
pub const MATCHING: &str = "bench.order";
/// One that nobody subscribes to.
pub const OTHER: &str = "bench.noise";

fn connector() -> ConnectorSpec {
    ConnectorSpec {
        name: "upstream".into(),
        description: String::new(),
        transport: Transport::Http,
        auth: AuthSpec::None,
        config: Map::new(),
        egress: EgressSpec { allow_private: BTreeSet::from(["127.0.0.1".to_owned()]) },
        webhook: None,
        test_config: None,
    }
}

fn tool(upstream: SocketAddr) -> ToolSpec {
    let request = json!({
        "method": "POST", "url": format!("http://{upstream}/orders"), "json": {"order": "${args.order}", "note": "${args.note}"},
        "idempotency_header": "Idempotency-Key"
    });
    let request: HttpRequestSpec = serde_json::from_value(request).unwrap_or_else(|_| unreachable!("a constant"));
    ToolSpec {
        dispatch: Default::default(),
        name: "upstream.place".into(),
        connector: "upstream".into(),
        description: String::new(),
        effect: Effect::Write,
        grade: Grade::Keyed,
        key_ttl: Some(Span(Duration::from_secs(86_400))),
        verify: None,
        undo: None,
        identity: vec!["order".into()],
        classes: BTreeSet::new(),
        input: json!({"type": "object", "required": ["order"], "additionalProperties": false,
            "properties": {"order": {"type": "string"}, "note": {"type": "string"}}}),
        output: None,
        on_unknown: OnUnknown::Hold,
        retry: RetrySpec::default(),
        request: ToolRequest::Http(Box::new(request)),
    }
}

fn operator() -> OperatorSpec {
    let action = ActionTemplate {
        priority: None,
        tool: "upstream.place".into(),
        args: json!({"order": "${event.payload.order}", "note": "${event.payload.filler}"}),
        entity_key: Some("order:${event.payload.order}".into()),
        idempotency_key: Some("bench:${event.payload.n}".into()),
        value: None,
        when: None,
        independent: false,
        continue_on_failure: false,
    };
    OperatorSpec {
        dispatch: Default::default(),
        name: "bench".into(),
        description: String::new(),
        on: vec![MATCHING.into()],
        when: Some("event.payload.n >= 0".into()),
        propose: vec![action],
        ordering: Ordering::Relaxed,
        draft: false,
    }
}

/// The bundle.
pub fn bundle(upstream: SocketAddr) -> BundleSpec {
    let cedar = r#"@id("bench") permit (principal == Operator::"bench", action == Action::"upstream.place", resource);"#;
    BundleSpec {
        concurrency: None,
        connectors: BTreeMap::from([("upstream".into(), connector())]),
        tools: BTreeMap::from([("upstream.place".into(), tool(upstream))]),
        operators: BTreeMap::from([("bench".into(), operator())]),
        policies: BTreeMap::new(),
        cedar: vec![PolicySource { path: "policies/bench.cedar".into(), text: cedar.into() }],
        bindings: BTreeMap::new(),
    }
}
