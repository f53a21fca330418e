//! What the fields of a tool need of each other. Must not know how tools are performed.

use std::collections::BTreeSet;

use tollgate_core::spec::Effect;

use crate::fault::{Fault, Pos};
use crate::index::{Document, Index, Tool, effect};
use crate::input;
use crate::locate::blame;
use crate::nearest::advice;
use crate::node::{Data, Entry, Node, short};

/// Every fault of a connector's tools.
pub(crate) fn tools(document: &Document, index: &Index, faults: &mut Vec<Fault>) {
    let connector = document.node.get("name").and_then(Node::text).unwrap_or_default();
    for entry in document.tools().iter().filter(|e| matches!(e.value.data, Data::Map(_))) {
        let mut check = Check { document, connector, entry, index, faults: &mut *faults };
        check.request();
        check.effect();
        check.grade();
        check.verify();
        check.undo();
        check.schemas();
    }
}

struct Check<'a> {
    document: &'a Document,
    connector: &'a str,
    entry: &'a Entry,
    index: &'a Index,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, at: Pos, message: impl Into<String>, help: impl Into<Option<&'static str>>) {
        let help: Option<&str> = help.into();
        self.faults.push(Fault { help: help.map(str::to_owned), ..Fault::at(&self.document.file, at, message) });
    }

    fn get(&self, field: &str) -> Option<&Entry> {
        self.entry.value.entry(field)
    }

    fn word(&self, path: &[&str]) -> Option<&str> {
        self.entry.value.path(path).and_then(Node::text)
    }

    /// The request must be of the kind that the connector carries.
    fn request(&mut self) {
        let Some(request) = self.get("request").filter(|e| matches!(e.value.data, Data::Map(_))) else { return };
        let at = blame(request);
        let file_operation = request.value.get("op").is_some();
        if file_operation && !self.document.is_files() {
            self.fault(
                at,
                "a file operation in an HTTP connector",
                "use `method` and `url`, or give the connector `transport: { files: { root: FOLDER } }`",
            );
        } else if !file_operation && self.document.is_files() {
            self.fault(
                at,
                "an HTTP request in a files connector",
                "use `op` and `path`, or move the tool to a connector without `transport`",
            );
        }
    }

    /// A `read` is an author's word, and for a file that is written it cannot be true.
    fn effect(&mut self) {
        let Some(at) = self.get("effect").map(|e| e.value.at) else { return };
        if self.word(&["effect"]) == Some("read") && self.word(&["request", "op"]) == Some("write") {
            self.fault(at, "a tool that writes a file is not a `read`", "remove `effect`");
        }
    }

    fn grade(&mut self) {
        if effect(&self.entry.value) == Effect::Read {
            for field in ["grade", "key_ttl", "verify", "undo", "on_unknown"] {
                if let Some(at) = self.get(field).map(|e| e.key_at) {
                    let why = if field == "undo" { "it leaves nothing to take back" } else { "it can simply be asked again" };
                    self.fault(at, format!("a read has no `{field}`: {why}"), "remove it, or say `effect: write`");
                }
            }
            return;
        }
        let (owner, files) = (self.entry.key_at, self.word(&["request", "op"]).is_some());
        let grade_at = self.get("grade").map_or(owner, |e| e.value.at);
        let grade = self.word(&["grade"]).unwrap_or(if files { "verifiable" } else { "at_most_once" }).to_owned();
        let header = self.entry.value.path(&["request"]).and_then(|r| r.entry("idempotency_header")).map(|e| e.key_at);
        let ttl = self.get("key_ttl").map(|e| e.key_at);
        let verify = self.get("verify").map(|e| e.key_at);
        if grade == "keyed" {
            if files {
                return self.fault(
                    grade_at,
                    "a file takes no idempotency key, so that `keyed` cannot hold",
                    "remove `grade`: writing a file is `verifiable`",
                );
            }
            if ttl.is_none() {
                self.fault(grade_at, "`keyed` needs `key_ttl`: how long the remote honours a key", "such as `key_ttl: 24h`");
            }
            if header.is_none() {
                self.fault(
                    grade_at,
                    "`keyed` needs `request.idempotency_header`: the header that carries the key",
                    "such as `idempotency_header: Idempotency-Key`",
                );
            }
        } else {
            if let Some(at) = ttl {
                self.fault(at, format!("`key_ttl` belongs to `keyed`, and this tool is `{grade}`"), "add `grade: keyed`, or remove it");
            }
            if let Some(at) = header {
                self.fault(
                    at,
                    format!("`idempotency_header` belongs to `keyed`, and this tool is `{grade}`"),
                    "add `grade: keyed` and `key_ttl`, or remove it",
                );
            }
        }
        match verify {
            None if grade == "verifiable" && !files => {
                self.fault(
                    grade_at,
                    "`verifiable` needs `verify`: the read tool that tells whether it happened",
                    "such as `verify: { tool: has_label, settle: 10s }`",
                );
            }
            // A keyed tool becomes what the next grade is once its key has lapsed: there a check is of use.
            Some(at) if grade == "at_most_once" => {
                self.fault(at, "`verify` is of no use to `at_most_once`", "say `grade: verifiable`, or remove it");
            }
            _ => {}
        }
    }

    /// The tool that a field names, which must exist.
    fn named(&mut self, field: &str) -> Option<(Pos, &'a Tool)> {
        let (at, name) = self.entry.value.path(&[field, "tool"]).and_then(|n| Some((n.at, n.text().filter(|t| !t.trim().is_empty())?)))?;
        if let Some(tool) = self.index.tool_for(self.connector, name) {
            return Some((at, tool));
        }
        let own = self.document.tools().iter().map(|e| e.key.as_str());
        let help = advice(name, own.chain(self.index.tools.keys().map(String::as_str)));
        let message = format!("there is no tool `{}`, neither in this connector nor by full name", short(name));
        self.faults.push(Fault { help, ..Fault::at(&self.document.file, at, message) });
        None
    }

    fn verify(&mut self) {
        let Some((at, tool)) = self.named("verify") else { return };
        if tool.effect == Effect::Write {
            let message = format!("`{}.{}` is a write: what verifies must be a read", tool.connector, tool.name);
            self.fault(at, message, "name a tool with `effect: read`");
        }
    }

    /// What takes back is a write of its own, and is never taken back: a cancellation would never end.
    fn undo(&mut self) {
        if effect(&self.entry.value) == Effect::Read {
            return;
        }
        let Some((at, tool)) = self.named("undo") else { return };
        let name = format!("{}.{}", tool.connector, tool.name);
        let (reads, undoable) = (tool.effect == Effect::Read, tool.undoable);
        if name == format!("{}.{}", self.connector, self.entry.key) {
            self.fault(at, "a tool does not take back its own effect", "name the write that does");
        } else if reads {
            self.fault(at, format!("`{name}` is a read: what takes an effect back must be a write"), "name a tool with `effect: write`");
        } else if undoable {
            self.fault(at, format!("`{name}` has an `undo` itself: what takes back is never taken back"), "remove one of the two");
        }
    }

    fn schemas(&mut self) {
        for field in ["input", "output"] {
            if let Some(entry) = self.entry.value.entry(field) {
                input::check(&self.document.file, field, &entry.value, self.faults);
            }
        }
        let properties: BTreeSet<&str> =
            self.entry.value.path(&["input", "properties"]).map(Node::entries).unwrap_or_default().iter().map(|e| e.key.as_str()).collect();
        for item in self.entry.value.get("identity").map(Node::items).unwrap_or_default() {
            if let Some(name) = item.text().filter(|n| !n.trim().is_empty() && !properties.contains(n)) {
                let help = advice(name, properties.iter().copied());
                let message = format!("`identity` names `{}`, which is not among the properties of `input`", short(name));
                self.faults.push(Fault { help, ..Fault::at(&self.document.file, item.at, message) });
            }
        }
    }
}
