//! The project that the tests are about: notes in files, two senders of webhooks, one operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_connectors::Connectors;
use tollgate_core::ports::{Bundle, PolicyEngine};
use tollgate_core::spec::{BundleSpec, ConnectorSpec, ToolSpec};
use tollgate_operators::Rules;
use tollgate_policy::Policies;

const CEDAR: &str = r#"
@id("notes") permit (principal, action in [Action::"notes.read", Action::"notes.write"], resource);
@id("signing") @require_approval("finance") permit (principal, action == Action::"notes.sign", resource);
"#;

fn connector(name: &str, over: Value) -> (String, ConnectorSpec) {
    let mut spec = json!({"name": name, "description": "", "transport": "http", "auth": {"kind": "none"}, "config": {},
        "egress": {"allow_private": []}, "webhook": null, "test_config": null});
    for (k, v) in over.as_object().unwrap() {
        spec[k] = v.clone();
    }
    (name.to_owned(), serde_json::from_value(spec).unwrap())
}

fn tool(name: &str, effect: &str, request: Value) -> (String, ToolSpec) {
    let write = effect == "write";
    let properties =
        if write { json!({"name": {"type": "string"}, "text": {"type": "string"}}) } else { json!({"name": {"type": "string"}}) };
    let required = if write { json!(["name", "text"]) } else { json!(["name"]) };
    let spec = json!({"name": name, "connector": "notes", "description": "A note", "effect": effect, "grade": "at_most_once", "key_ttl": null,
        "verify": null, "identity": if write { json!(["name"]) } else { json!([]) }, "classes": [], "output": null, "on_unknown": "hold",
        "retry": {"max_attempts": 1}, "request": {"files": request},
        "input": {"type": "object", "required": required, "additionalProperties": false, "properties": properties}});
    (name.to_owned(), serde_json::from_value(spec).unwrap())
}

/// The specs.
pub fn spec() -> BundleSpec {
    let write = json!({"op": "write", "path": "${args.name}", "content": "${args.text}"});
    let hook =
        |scheme: &str, secret: &str, event_type: &str| json!({"webhook": {"scheme": scheme, "secret": secret, "event_type": event_type}});
    BundleSpec {
        concurrency: None,
        connectors: BTreeMap::from([
            connector("notes", json!({"transport": {"files": {"root": "notes"}}, "test_config": {"root": "test-notes"}})),
            connector("github", hook("github", "github_webhook", "${headers['x-github-event']}.${body.action}")),
            connector("pay", hook("standard_webhooks", "pay_webhook", "pay.${body.kind}")),
        ]),
        tools: BTreeMap::from([
            tool("notes.write", "write", write.clone()),
            tool("notes.sign", "write", write.clone()),
            tool("notes.burn", "write", write),
            tool("notes.read", "read", json!({"op": "read", "path": "${args.name}"})),
        ]),
        operators: BTreeMap::from([(
            "filer".to_owned(),
            serde_json::from_value(json!({"name": "filer", "description": "Files notes", "on": ["note.made"], "when": null,
                "ordering": "relaxed", "draft": false,
                "propose": [{"tool": "notes.write", "entity_key": "note:${event.payload.name}", "idempotency_key": "file:${event.payload.name}",
                             "args": {"name": "${event.payload.name}", "text": "${event.payload.text}"}}]}))
            .unwrap(),
        )]),
        policies: BTreeMap::new(),
        cedar: serde_json::from_value(json!([{"path": "policies/notes.cedar", "text": CEDAR}])).unwrap(),
        bindings: BTreeMap::from([("memo.store".to_owned(), "notes.write".to_owned())]),
    }
}

/// The specs made into what runs. Notes lie below `root`.
pub fn assemble(root: &Path) -> (Bundle, Arc<dyn PolicyEngine>) {
    for folder in ["notes", "test-notes"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let spec = Arc::new(spec());
    let shown = |faults: Vec<String>| -> ! { panic!("the project of the tests does not compile: {faults:?}") };
    let connectors =
        Connectors::compile(&spec.connectors, &spec.tools, root).unwrap_or_else(|f| shown(f.iter().map(ToString::to_string).collect()));
    let rules =
        Rules::compile(&spec.operators, &spec.bindings, &spec.tools).unwrap_or_else(|f| shown(f.iter().map(ToString::to_string).collect()));
    let policy = Policies::compile(&spec.cedar, &spec.tools, spec.operators.keys().map(String::as_str))
        .unwrap_or_else(|f| shown(f.iter().map(ToString::to_string).collect()));
    let connectors = Arc::new(connectors);
    let bundle =
        Bundle { digest: spec.digest(), spec, reasoner: Arc::new(rules), tools: Arc::clone(&connectors) as _, webhooks: connectors };
    (bundle, Arc::new(policy))
}
