//! A remote on 127.0.0.1 and specs to call it with.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::{BoxFuture, CallRequest, Rendered, SecretLease, ToolCaller as _};
use tollgate_core::scope::Mode;
use tollgate_core::spec::{AuthSpec, ConnectorSpec, Effect, EgressSpec, FilesOp, Grade, OnUnknown, ToolRequest, ToolSpec, Transport};
use tollgate_core::time::{Span, Timestamp};

use crate::egress::{Lookup, SystemLookup};
use crate::{ConnectorFault, Connectors};

pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// Long enough for a loaded machine; calls that succeed never wait for it.
pub const PLENTY: Duration = Duration::from_secs(30);
pub const SHORT: Duration = Duration::from_millis(50);

/// A request as the remote saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What the remote answers: status, headers, body.
pub type Reply = (u16, Vec<(&'static str, String)>, Vec<u8>);

pub struct Remote {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Remote {
    /// Answers every request with what the function says.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let remote = Self { addr, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (seen, answer) = (seen.clone(), answer.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let got = Seen {
                            method: parts.method.to_string(),
                            target: parts.uri.to_string(),
                            headers: parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect(),
                            body: String::from_utf8(body.to_vec()).unwrap(),
                        };
                        seen.lock().unwrap().push(got.clone());
                        let (status, headers, body) = answer(&got);
                        let mut response = hyper::Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        response.body(Full::new(Bytes::from(body)))
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        remote
    }

    pub async fn json(status: u16, body: Value) -> Self {
        Self::start(move |_| reply(status, &body)).await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }
}

pub fn reply(status: u16, body: &Value) -> Reply {
    (status, vec![("content-type", "application/json".into())], body.to_string().into_bytes())
}

/// A remote that does with each connection what the function says.
pub async fn raw<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    addr
}

/// A connector `shop` over HTTP at this base, allowed to reach 127.0.0.1.
pub fn connector(base: &str) -> ConnectorSpec {
    ConnectorSpec {
        name: "shop".into(),
        description: String::new(),
        transport: Transport::Http,
        auth: AuthSpec::None,
        config: object(json!({ "base": base })),
        egress: EgressSpec { allow_private: ["127.0.0.1".to_owned()].into() },
        webhook: None,
        test_config: None,
    }
}

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// A tool of `shop` from its HTTP request.
pub fn tool(name: &str, effect: Effect, request: Value) -> ToolSpec {
    ToolSpec {
        dispatch: Default::default(),
        name: format!("shop.{name}"),
        connector: "shop".into(),
        description: String::new(),
        effect,
        grade: Grade::AtMostOnce,
        key_ttl: None,
        verify: None,
        undo: None,
        identity: vec![],
        classes: [].into(),
        input: json!({ "type": "object" }),
        output: None,
        on_unknown: OnUnknown::Hold,
        retry: tollgate_core::spec::RetrySpec::default(),
        request: ToolRequest::Http(Box::new(serde_json::from_value(request).unwrap())),
    }
}

/// A keyed write that posts its arguments.
pub fn post() -> ToolSpec {
    let request = json!({"method": "POST", "url": "${config.base}/orders", "json": {"item": "${args.item}"}, "idempotency_header": "Idempotency-Key"});
    let mut tool = tool("order", Effect::Write, request);
    tool.grade = Grade::Keyed;
    tool.key_ttl = Some(Span::secs(3600));
    tool
}

pub fn get() -> ToolSpec {
    tool("look", Effect::Read, json!({"method": "GET", "url": "${config.base}/orders"}))
}

pub fn files_tool(name: &str, effect: Effect, op: FilesOp) -> ToolSpec {
    let mut tool = tool(name, effect, json!({"method": "GET", "url": "x"}));
    tool.request = ToolRequest::Files(op);
    tool
}

pub fn compile(connector: ConnectorSpec, tools: Vec<ToolSpec>) -> Result<Connectors, Vec<ConnectorFault>> {
    compile_with(connector, tools, Path::new("/nowhere"), &(Arc::new(SystemLookup) as _))
}

pub fn compile_with(
    connector: ConnectorSpec,
    tools: Vec<ToolSpec>,
    root: &Path,
    lookup: &Arc<dyn Lookup>,
) -> Result<Connectors, Vec<ConnectorFault>> {
    let tools = tools.into_iter().map(|t| (t.name.clone(), t)).collect();
    crate::compile::compile(&[(connector.name.clone(), connector)].into(), &tools, root, lookup)
}

/// Renders and calls, live.
pub async fn run(connectors: &Connectors, tool: &str, args: &Value, secret: Option<&str>, within: Duration) -> AttemptOutcome {
    let rendered = connectors.render(tool, Mode::Live, args).unwrap();
    send(connectors, tool, &rendered, secret, within).await
}

pub async fn send(connectors: &Connectors, tool: &str, rendered: &Rendered, secret: Option<&str>, within: Duration) -> AttemptOutcome {
    let request = CallRequest {
        tool,
        mode: Mode::Live,
        rendered,
        remote_key: Some("remote-key-1"),
        secret: secret.map(|s| SecretLease::new(s.as_bytes().to_vec(), 1)),
        deadline_at: NOW.plus(within),
        now: NOW,
    };
    connectors.call(request).await
}

/// Resolves every name to these addresses, and remembers how often it was asked.
pub struct Names {
    pub answers: Mutex<Vec<Vec<IpAddr>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Names {
    pub fn of(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|a| a.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }
}

impl Lookup for Names {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

/// Never answers.
pub struct Silent;

impl Lookup for Silent {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}
