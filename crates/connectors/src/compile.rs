//! From specs to compiled connectors and tools. Collects every fault before it gives up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tollgate_core::spec::{AuthSpec, ConnectorSpec, ToolRequest, ToolSpec, Transport};

use crate::connectors::{Connector, Connectors, Request, Tool};
use crate::egress::{AllowList, Lookup};
use crate::fault::{ConnectorFault, Fault};
use crate::files::{self, Cleaned, FilesTool};
use crate::http::{Auth, Clients, HttpConnector, HttpTool};
use crate::schema::Schema;
use crate::undo::Undo;
use crate::verify::VerifyingRead;
use crate::webhook::Webhook;

/// Compiles everything. `lookup` resolves names; tests bring their own.
pub(crate) fn compile(
    specs: &BTreeMap<String, ConnectorSpec>,
    tools: &BTreeMap<String, ToolSpec>,
    project_root: &Path,
    lookup: &Arc<dyn Lookup>,
) -> Result<Connectors, Vec<ConnectorFault>> {
    let mut faults = Vec::new();
    let mut connectors = BTreeMap::new();
    for (name, spec) in specs {
        match connector(spec, project_root, lookup) {
            Ok(compiled) => {
                connectors.insert(name.clone(), compiled);
            }
            Err(new) => faults.extend(new.into_iter().map(|f| f.of(name, None))),
        }
    }
    let mut compiled_tools = BTreeMap::new();
    for (name, spec) in tools {
        let Some(connector_spec) = specs.get(&spec.connector) else {
            let message = format!("there is no connector `{}`", spec.connector);
            faults.push(Fault::new("connector", message).of(&spec.connector, Some(name)));
            continue;
        };
        // A broken connector is reported once, not again with each of its tools.
        let Some(shared) = connectors.get(&spec.connector) else { continue };
        match tool(spec, connector_spec, shared, tools, project_root) {
            Ok(compiled) => {
                compiled_tools.insert(name.clone(), compiled);
            }
            Err(new) => faults.extend(new.into_iter().map(|f| f.of(&spec.connector, Some(name)))),
        }
    }
    if faults.is_empty() {
        Ok(Connectors { connectors, tools: compiled_tools, cleaned: Arc::new(Cleaned::default()) })
    } else {
        Err(faults)
    }
}

fn connector(spec: &ConnectorSpec, project_root: &Path, lookup: &Arc<dyn Lookup>) -> Result<Connector, Vec<Fault>> {
    let mut faults = Vec::new();
    let webhook = match spec.webhook.as_ref().map(Webhook::compile).transpose() {
        Ok(webhook) => webhook,
        Err(mut new) => {
            faults.append(&mut new);
            None
        }
    };
    let http = match &spec.transport {
        Transport::Http => http_connector(spec, lookup).map(Some),
        Transport::Files { root } => check_files(spec, root, project_root).map(|()| None),
    };
    match http {
        Ok(http) if faults.is_empty() => Ok(Connector { http, webhook }),
        Ok(_) => Err(faults),
        Err(mut new) => {
            faults.append(&mut new);
            Err(faults)
        }
    }
}

fn http_connector(spec: &ConnectorSpec, lookup: &Arc<dyn Lookup>) -> Result<HttpConnector, Vec<Fault>> {
    let mut faults = Vec::new();
    let auth = Auth::new(&spec.auth).map_err(|m| faults.push(Fault::new("auth", m))).ok();
    let allow = AllowList::parse(&spec.egress.allow_private);
    let allow = allow.map_err(|all| faults.extend(all.into_iter().map(|m| Fault::new("egress.allow_private", m)))).ok();
    let (Some(auth), Some(allow)) = (auth, allow) else { return Err(faults) };
    let clients = Clients::new(allow, lookup).map_err(|m| vec![Fault::new("transport", m)])?;
    Ok(HttpConnector { auth, clients })
}

fn check_files(spec: &ConnectorSpec, root: &str, project_root: &Path) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    if root.is_empty() || root.contains(char::is_control) {
        faults.push(Fault::new("transport.files.root", "name the folder that the tools may use"));
    }
    if spec.auth != AuthSpec::None {
        faults.push(Fault::new("auth", "a `files` connector does not authenticate: remove `auth`"));
    }
    let mut place = |at: &str, root: &str| {
        if let Err(why) = files::check_place(&project_root.join(root), project_root) {
            faults.push(Fault::new(at, format!("`{}` cannot be a root: {why}", root.escape_debug())));
        }
    };
    place("transport.files.root", root);
    if let Some(test) = test_root(spec) {
        place("test_config.root", test);
        let (live, own) = (files::real(&project_root.join(root)), files::real(&project_root.join(test)));
        if live.starts_with(&own) || own.starts_with(&live) || test.split('/').any(|part| part == "..") {
            let message = format!("`{test}` is, holds or may reach the live root: test mode needs a folder of its own, without `..`");
            faults.push(Fault::new("test_config.root", message));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The folder of test mode: `test_config.root`. Without it test mode answers from a stub, whatever else is set.
fn test_root(spec: &ConnectorSpec) -> Option<&str> {
    spec.test_config.as_ref()?.get("root").and_then(Value::as_str)
}

fn tool(
    spec: &ToolSpec,
    connector: &ConnectorSpec,
    shared: &Connector,
    tools: &BTreeMap<String, ToolSpec>,
    project_root: &Path,
) -> Result<Tool, Vec<Fault>> {
    let mut faults = Vec::new();
    let input = Schema::compile(&spec.input).map_err(|m| faults.push(Fault::new("input", m))).ok();
    let output = spec.output.as_ref().map(Schema::compile).transpose().map_err(|m| faults.push(Fault::new("output", m))).ok();
    let verify = spec.verify.as_ref().map(|v| VerifyingRead::compile(spec, v, tools)).transpose();
    let verify = verify.map_err(|mut new| faults.append(&mut new)).ok();
    let undo = spec.undo.as_ref().map(|u| Undo::compile(spec, u, tools)).transpose();
    let undo = undo.map_err(|mut new| faults.append(&mut new)).ok();
    let request = request(spec, connector, shared, output.flatten(), project_root).map_err(|mut new| faults.append(&mut new)).ok();
    let key = spec.dispatch.concurrency.as_ref().and_then(|c| c.key.as_deref());
    let limit_key = key.map(|k| crate::template::expression("concurrency.key", k, &["args"])).transpose().map_err(|f| faults.push(f)).ok();
    match (input, verify, undo, limit_key, request) {
        (Some(input), Some(verify), Some(undo), Some(limit_key), Some(request)) if faults.is_empty() => {
            Ok(Tool { connector: spec.connector.clone(), timeout: spec.timeout(), input, verify, undo, limit_key, request })
        }
        _ => Err(faults),
    }
}

fn request(
    spec: &ToolSpec,
    connector: &ConnectorSpec,
    shared: &Connector,
    output: Option<Schema>,
    project_root: &Path,
) -> Result<Request, Vec<Fault>> {
    match (&spec.request, &connector.transport, &shared.http) {
        (ToolRequest::Http(http), Transport::Http, Some(shared)) => {
            HttpTool::compile(spec, http, connector, shared, output).map(|t| Request::Http(Box::new(t)))
        }
        (ToolRequest::Files(op), Transport::Files { root }, _) => {
            let below = |root: &str| -> PathBuf { project_root.join(root) };
            let tool = FilesTool::compile(spec, op, connector, below(root), test_root(connector).map(below), output)?;
            Ok(Request::Files(Box::new(tool)))
        }
        (ToolRequest::Http(_), ..) => {
            Err(vec![Fault::new("request", "an HTTP request in a `files` connector: use `op`, `path` and `content`")])
        }
        (ToolRequest::Files(_), ..) => Err(vec![Fault::new("request", "a file operation in an HTTP connector: use `method` and `url`")]),
    }
}
