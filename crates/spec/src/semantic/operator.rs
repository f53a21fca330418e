//! What an operator refers to. Must not know how rules run.

use tollgate_core::route::check_glob;
use tollgate_core::spec::Effect;
use tollgate_expr::Template;

use crate::fault::{Fault, Pos};
use crate::index::{Document, Index};
use crate::nearest::advice;
use crate::node::{Node, short};

/// What differs with every delivery or replay: a key made of it would never meet its duplicate.
const FLEETING: &[&str] = &["event", "event.id", "event.time", "event.received_at", "event.correlation_id", "event.traceparent"];

/// Every fault of an operator.
pub(crate) fn operator(document: &Document, index: &Index, bindings: &Node, faults: &mut Vec<Fault>) {
    let mut check = Check { file: &document.file, index, bindings, faults };
    for glob in document.node.get("on").map(Node::items).unwrap_or_default() {
        if let Some(Err(message)) = glob.text().map(check_glob) {
            check.fault(glob.at, message, None);
        }
    }
    for action in document.node.get("propose").map(Node::items).unwrap_or_default() {
        check.action(action);
    }
}

struct Check<'a> {
    file: &'a str,
    index: &'a Index,
    bindings: &'a Node,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, at: Pos, message: impl Into<String>, help: Option<String>) {
        self.faults.push(Fault { help, ..Fault::at(self.file, at, message) });
    }

    fn action(&mut self, action: &Node) {
        self.key(action);
        let Some((at, name)) = action.get("tool").and_then(|n| Some((n.at, n.text().filter(|t| !t.trim().is_empty())?))) else { return };
        let bound = self.bindings.get(name);
        let tool = self.index.tools.get(name).or_else(|| self.index.tools.get(bound?.text()?));
        let Some(tool) = tool else {
            // A capability that is bound to nothing was reported where it is bound.
            if bound.is_none() {
                let names = self.index.tools.keys().chain(self.bindings.entries().iter().map(|e| &e.key));
                let help = advice(name, names.map(String::as_str));
                self.fault(at, format!("there is no tool or bound capability `{}`", short(name)), help);
            }
            return;
        };
        if tool.effect == Effect::Read {
            return;
        }
        let needs = [
            ("entity_key", "the entity that it changes", "\"shop:order:${event.payload.order.id}\""),
            ("idempotency_key", "the operation", "\"hold:${event.payload.order.id}\""),
        ];
        for (field, what, example) in needs {
            if action.entry(field).is_none() {
                let message = format!("`{}` writes: an action with it needs `{field}`, which names {what}", short(name));
                self.fault(action.at, message, Some(format!("such as `{field}: {example}`")));
            }
        }
    }

    /// A key must be the same when the same fact is delivered again.
    fn key(&mut self, action: &Node) {
        let Some((at, text)) = action.get("idempotency_key").and_then(|n| Some((n.at, n.text()?))) else { return };
        // What does not compile is reported by those who compile it.
        let Ok(template) = Template::compile(text, &["event"]) else { return };
        let paths = template.references();
        let below =
            |path: &str, root: &str| path == root || (root != "event" && path.strip_prefix(root).is_some_and(|r| r.starts_with('.')));
        if let Some(path) = paths.iter().find(|path| FLEETING.iter().any(|root| below(path, root))) {
            let message = format!("`{path}` differs when the same fact is delivered again, so that the key would not recognise it");
            self.fault(at, message, Some("make the key of fields of `event.payload`".to_owned()));
        }
    }
}
