//! The project of a crash run: one tool and one operator per grade, and one that keeps the order of its entities.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tollgate_core::spec::{
    ActionTemplate, AuthSpec, BundleSpec, ConnectorSpec, Effect, EgressSpec, Grade, HttpRequestSpec, OnUnknown, OperatorSpec, Ordering,
    PolicySource, RetrySpec, ToolRequest, ToolSpec, Transport, VerifySpec,
};
use tollgate_core::time::Span;

/// The deadline of one call: short, so that a lost answer costs a run little.
pub const TIMEOUT: Duration = Duration::from_millis(300);
/// How long after the deadline the upstream may still apply a call.
pub const SETTLE: Duration = Duration::from_secs(2);
const CONNECTOR: &str = "upstream";
/// Rejections that an action bears before it is given up: more than an unlucky run brings.
const ATTEMPTS_MAX: u32 = 40;

/// What kind of promise an action is under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The upstream honours keys.
    Keyed,
    /// The upstream can be asked.
    Verifiable,
    /// Neither.
    Once,
    /// Keyed, and in the order of the entity's events.
    Strict,
}

impl Kind {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Keyed, Self::Verifiable, Self::Once, Self::Strict];

    /// The word in event types, operators, tools, paths and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Verifiable => "verifiable",
            Self::Once => "at_most_once",
            Self::Strict => "strict",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == text)
    }

    /// Full name of its tool.
    pub fn tool(self) -> String {
        format!("{CONNECTOR}.{}", self.word())
    }

    /// The type of its events.
    pub fn event_type(self) -> String {
        format!("crash.{}", self.word())
    }

    const fn grade(self) -> Grade {
        match self {
            Self::Keyed | Self::Strict => Grade::Keyed,
            Self::Verifiable => Grade::Verifiable,
            Self::Once => Grade::AtMostOnce,
        }
    }
}

fn connector() -> ConnectorSpec {
    ConnectorSpec {
        name: CONNECTOR.into(),
        description: String::new(),
        transport: Transport::Http,
        auth: AuthSpec::None,
        config: Map::new(),
        egress: EgressSpec { allow_private: BTreeSet::from(["127.0.0.1".to_owned()]) },
        webhook: None,
        test_config: None,
    }
}

fn http(request: Value) -> ToolRequest {
    let request: HttpRequestSpec = serde_json::from_value(request).unwrap_or_else(|_| unreachable!("a constant"));
    ToolRequest::Http(Box::new(request))
}

fn input() -> Value {
    json!({"type": "object", "required": ["op", "entity"], "additionalProperties": false,
        "properties": {"op": {"type": "string"}, "entity": {"type": "string"}}})
}

fn bare(name: String, effect: Effect, grade: Grade, request: ToolRequest) -> ToolSpec {
    ToolSpec {
        dispatch: Default::default(),
        name,
        connector: CONNECTOR.into(),
        description: String::new(),
        effect,
        grade,
        key_ttl: None,
        verify: None,
        undo: None,
        identity: Vec::new(),
        classes: BTreeSet::new(),
        input: input(),
        output: None,
        on_unknown: OnUnknown::Hold,
        retry: RetrySpec { max_attempts: ATTEMPTS_MAX, base: Span(Duration::from_millis(20)), cap: Span(Duration::from_millis(200)) },
        request,
    }
}

fn write_tool(kind: Kind, upstream: SocketAddr) -> ToolSpec {
    let mut request = json!({
        "method": "POST", "url": format!("http://{upstream}/{}/${{args.op}}", kind.word()),
        "json": {"entity": "${args.entity}"}, "timeout": format!("{}ms", TIMEOUT.as_millis()),
    });
    match kind.grade() {
        Grade::Keyed => request["idempotency_header"] = json!("Idempotency-Key"),
        // Declared, so that refusals are told from doubt where doubt needs a person.
        Grade::AtMostOnce => request["rejected"] = json!([429, 503]),
        Grade::Verifiable => {}
    }
    let mut tool = bare(kind.tool(), Effect::Write, kind.grade(), http(request));
    tool.identity = vec!["op".into()];
    match kind.grade() {
        Grade::Keyed => tool.key_ttl = Some(Span(Duration::from_secs(86_400))),
        Grade::Verifiable => {
            tool.verify =
                Some(VerifySpec { tool: "look".into(), args: None, settle: Span(SETTLE), happened: "output.applied == true".into() });
        }
        Grade::AtMostOnce => {}
    }
    tool
}

fn read_tool(upstream: SocketAddr) -> ToolSpec {
    let url = format!("http://{upstream}/{}/${{args.op}}", Kind::Verifiable.word());
    let request = json!({"method": "GET", "url": url, "timeout": format!("{}ms", TIMEOUT.as_millis())});
    bare(format!("{CONNECTOR}.look"), Effect::Read, Grade::AtMostOnce, http(request))
}

fn operator(kind: Kind) -> OperatorSpec {
    let action = ActionTemplate {
        priority: None,
        tool: kind.tool(),
        args: json!({"op": "${event.payload.op}", "entity": "${event.payload.entity}"}),
        entity_key: Some(format!("{}:${{event.payload.entity}}", kind.word())),
        idempotency_key: Some(format!("{}:${{event.payload.op}}", kind.word())),
        value: None,
        when: None,
        independent: false,
        continue_on_failure: false,
    };
    OperatorSpec {
        dispatch: Default::default(),
        name: kind.word().into(),
        description: String::new(),
        on: vec![kind.event_type()],
        when: None,
        propose: vec![action],
        ordering: if kind == Kind::Strict { Ordering::Strict } else { Ordering::Relaxed },
        draft: false,
    }
}

/// The bundle.
pub fn bundle(upstream: SocketAddr) -> BundleSpec {
    let tools = Kind::ALL.into_iter().map(|k| write_tool(k, upstream)).chain([read_tool(upstream)]);
    let cedar = r#"@id("crash") permit (principal, action, resource);"#;
    BundleSpec {
        concurrency: None,
        connectors: BTreeMap::from([(CONNECTOR.into(), connector())]),
        tools: tools.map(|t| (t.name.clone(), t)).collect(),
        operators: Kind::ALL.into_iter().map(|k| (k.word().into(), operator(k))).collect(),
        policies: BTreeMap::new(),
        cedar: vec![PolicySource { path: "policies/crash.cedar".into(), text: cedar.into() }],
        bindings: BTreeMap::new(),
    }
}
