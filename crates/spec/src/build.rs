//! Checked trees to the types of core, every default filled in. Must not judge: what comes here has no fault.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tollgate_core::spec::{
    ConnectorSpec, DispatchSpec, Effect, FilesOp, Grade, HttpRequestSpec, OperatorSpec, PolicySpec, ToolRequest, ToolSpec, Transport,
    VerifySpec,
};
use tollgate_core::terms::check_label;
use tollgate_core::time::Span;

use crate::index::effect;
use crate::input;
use crate::node::{Node, short};
use crate::settings::ConnectorSettings;

/// What the check of a files `write` is called, after the tool's name. The dot keeps it apart from every name of an author.
pub(crate) const CHECK_SUFFIX: &str = ".check";
/// A rename that had begun when the deadline passed is done within this time, or the disk is gone.
const FILES_SETTLE: Span = Span::secs(2);

type Built<T> = Result<T, String>;

fn typed<T: DeserializeOwned>(what: &str, value: Value) -> Built<T> {
    serde_json::from_value(value).map_err(|e| format!("{what} cannot be read: {e}"))
}

fn field<T: DeserializeOwned + Default>(node: &Node, name: &str) -> Built<T> {
    optional(node, name).map(Option::unwrap_or_default)
}

fn optional<T: DeserializeOwned>(node: &Node, name: &str) -> Built<Option<T>> {
    node.get(name).map(|n| typed(&format!("`{}`", short(name)), n.to_json())).transpose()
}

/// How the steps of a tool or operator wait.
fn dispatch(node: &Node) -> Built<DispatchSpec> {
    let requires: BTreeSet<String> = field(node, "requires")?;
    for label in &requires {
        check_label(label).map_err(|e| format!("`requires` names `{}`: {e}", short(label)))?;
    }
    Ok(DispatchSpec { requires, priority: optional(node, "priority")?, concurrency: optional(node, "concurrency")? })
}

/// A connector without its tools.
pub(crate) fn connector(node: &Node, settings: Option<&ConnectorSettings>) -> Built<ConnectorSpec> {
    let mut config: Map<String, Value> = field(node, "config")?;
    let mut test_config = node.path(&["test", "config"]).map(Node::to_map);
    if let Some(settings) = settings {
        config.extend(settings.config.clone());
        if let Some(over) = &settings.test_config {
            test_config.get_or_insert_default().extend(over.clone());
        }
    }
    let transport = node.path(&["transport", "files", "root"]).and_then(Node::text);
    Ok(ConnectorSpec {
        name: field(node, "name")?,
        description: field(node, "description")?,
        transport: transport.map_or(Transport::Http, |root| Transport::Files { root: root.to_owned() }),
        auth: field(node, "auth")?,
        config,
        egress: field(node, "egress")?,
        webhook: node.path(&["events", "webhook"]).map(|n| typed("`webhook`", n.to_json())).transpose()?,
        test_config,
    })
}

/// A tool, and the check that a files `write` brings along.
pub(crate) fn tool(connector: &str, name: &str, node: &Node) -> Built<Vec<ToolSpec>> {
    let request = node.get("request").map(Node::to_json).unwrap_or_default();
    let request = if request.get("op").is_some() {
        ToolRequest::Files(typed::<FilesOp>("`request`", request)?)
    } else {
        ToolRequest::Http(Box::new(typed::<HttpRequestSpec>("`request`", request)?))
    };
    let effect = effect(node);
    let writes_file = matches!(&request, ToolRequest::Files(FilesOp::Write { .. }));
    let grade = optional::<Grade>(node, "grade")?;
    let grade = grade.unwrap_or(if writes_file && effect == Effect::Write { Grade::Verifiable } else { Grade::AtMostOnce });
    let mut spec = ToolSpec {
        name: format!("{connector}.{name}"),
        connector: connector.to_owned(),
        description: field(node, "description")?,
        effect,
        grade,
        key_ttl: optional(node, "key_ttl")?,
        verify: optional(node, "verify")?,
        undo: optional(node, "undo")?,
        identity: field(node, "identity")?,
        classes: field(node, "classes")?,
        input: input::closed(node.get("input").map(Node::to_json).as_ref()),
        output: node.get("output").map(Node::to_json),
        on_unknown: field(node, "on_unknown")?,
        retry: field(node, "retry")?,
        dispatch: dispatch(node)?,
        request,
    };
    let check = if grade == Grade::Verifiable && spec.verify.is_none() { check_of(&spec, name) } else { None };
    if let Some(check) = &check {
        let tool = format!("{name}{CHECK_SUFFIX}");
        spec.verify = Some(VerifySpec { tool, args: None, settle: FILES_SETTLE, happened: "output.matches".to_owned() });
        debug_assert_eq!(check.effect, Effect::Read);
    }
    Ok(std::iter::once(spec).chain(check).collect())
}

/// The read that tells whether a file holds what a write was to put there.
fn check_of(write: &ToolSpec, name: &str) -> Option<ToolSpec> {
    let ToolRequest::Files(FilesOp::Write { path, content }) = &write.request else { return None };
    Some(ToolSpec {
        name: format!("{}.{name}{CHECK_SUFFIX}", write.connector),
        description: format!("Tell whether the file of `{}` has the content that it would write", write.name),
        effect: Effect::Read,
        grade: Grade::AtMostOnce,
        key_ttl: None,
        verify: None,
        undo: None,
        identity: Vec::new(),
        classes: std::collections::BTreeSet::new(),
        output: Some(json!({
            "type": "object",
            "required": ["exists", "sha256", "matches"],
            "properties": {"exists": {"type": "boolean"}, "sha256": {"type": ["string", "null"]}, "matches": {"type": "boolean"}},
        })),
        request: ToolRequest::Files(FilesOp::Check { path: path.clone(), content: content.clone() }),
        ..write.clone()
    })
}

/// An operator.
pub(crate) fn operator(node: &Node) -> Built<OperatorSpec> {
    Ok(OperatorSpec {
        name: field(node, "name")?,
        description: field(node, "description")?,
        on: field(node, "on")?,
        when: optional(node, "when")?,
        propose: field(node, "propose")?,
        ordering: field(node, "ordering")?,
        draft: field(node, "draft")?,
        dispatch: dispatch(node)?,
    })
}

/// A policy.
pub(crate) fn policy(node: &Node) -> Built<PolicySpec> {
    let mut map = node.to_map();
    map.remove("kind");
    typed("the Policy", Value::Object(map))
}
