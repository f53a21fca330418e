//! Names in `tollgate.toml`. Must not know how settings are applied.

use crate::fault::Fault;
use crate::files::SETTINGS_FILE;
use crate::index::Index;
use crate::nearest::advice;
use crate::node::{Node, short};

/// Capabilities must lead to tools, overrides to connectors.
pub(crate) fn bindings(settings: &Node, index: &Index, faults: &mut Vec<Fault>) {
    let mut fault = |at, message: String, help: Option<String>| faults.push(Fault { help, ..Fault::at(SETTINGS_FILE, at, message) });
    for e in settings.get("bindings").map(Node::entries).unwrap_or_default() {
        if index.tools.contains_key(&e.key) {
            let message = format!("`{}` is a tool already: a capability needs a name of its own", short(&e.key));
            fault(e.key_at, message, Some("rename the capability, here and where operators ask for it".to_owned()));
        }
        if let Some(tool) = e.value.text().filter(|t| !t.trim().is_empty() && !index.tools.contains_key(*t)) {
            let help = advice(tool, index.tools.keys().map(String::as_str));
            fault(e.value.at, format!("`{}` is bound to `{}`, which is not a tool", short(&e.key), short(tool)), help);
        }
    }
    for e in settings.get("connectors").map(Node::entries).unwrap_or_default() {
        if !index.connectors.contains_key(&e.key) {
            let help = advice(&e.key, index.connectors.keys().map(String::as_str));
            fault(e.key_at, format!("there is no connector `{}`", short(&e.key)), help);
        }
    }
}
