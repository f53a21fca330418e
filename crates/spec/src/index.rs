//! What a project declares, found by name, faulty or not: what others may refer to. Must not judge anything but doubled names.

use std::collections::BTreeMap;

use tollgate_core::spec::Effect;

use crate::fault::{Fault, Pos};
use crate::files::Source;
use crate::node::{Entry, Node};

/// One YAML document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Path of its file.
    pub file: String,
    /// Where the next document of the file begins.
    pub end: Pos,
    pub node: Node,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Connector,
    Operator,
    Policy,
    /// A fault was reported.
    Unknown,
}

/// Positions in the list of documents.
#[derive(Default, Debug)]
pub(crate) struct Index {
    pub connectors: BTreeMap<String, usize>,
    pub operators: BTreeMap<String, usize>,
    pub policies: BTreeMap<String, usize>,
    /// By full name.
    pub tools: BTreeMap<String, Tool>,
}

/// A tool that is declared.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub connector: String,
    pub document: usize,
    /// Its name inside the connector.
    pub name: String,
    pub effect: Effect,
    /// It has an `undo`.
    pub undoable: bool,
}

impl Index {
    /// The index of all documents; a name that is taken is a fault of the later one.
    pub fn new(documents: &[Document], faults: &mut Vec<Fault>) -> Self {
        let mut index = Self::default();
        for (number, document) in documents.iter().enumerate() {
            let names = match document.kind {
                Kind::Connector => &mut index.connectors,
                Kind::Operator => &mut index.operators,
                Kind::Policy => &mut index.policies,
                Kind::Unknown => continue,
            };
            let Some((at, name)) = document.node.get("name").and_then(|n| Some((n.at, n.text()?))) else { continue };
            if let Some(other) = names.get(name).and_then(|first| documents.get(*first)) {
                let first = other.node.get("name").map_or(other.node.at, |n| n.at);
                let message = format!(
                    "the name `{name}` is taken: another {} has it at {}:{}:{}",
                    document.kind.word(),
                    other.file,
                    first.line,
                    first.column
                );
                faults.push(Fault::at(&document.file, at, message).help("give each a name of its own"));
                continue;
            }
            names.insert(name.to_owned(), number);
            if document.kind == Kind::Connector {
                for e in document.tools() {
                    let tool = Tool {
                        connector: name.to_owned(),
                        document: number,
                        name: e.key.clone(),
                        effect: effect(&e.value),
                        undoable: e.value.get("undo").is_some(),
                    };
                    index.tools.insert(format!("{name}.{}", e.key), tool);
                }
            }
        }
        index
    }

    /// The tool that a name means inside a connector, by short or full name.
    pub fn tool_for(&self, connector: &str, name: &str) -> Option<&Tool> {
        self.tools.get(&format!("{connector}.{name}")).or_else(|| self.tools.get(name))
    }
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connector => "Connector",
            Self::Operator => "Operator",
            Self::Policy => "Policy",
            Self::Unknown => "spec",
        }
    }
}

impl Document {
    /// The entries under `tools`.
    pub fn tools(&self) -> &[Entry] {
        self.node.get("tools").map(Node::entries).unwrap_or_default()
    }

    /// The folder of a files connector.
    pub fn is_files(&self) -> bool {
        self.node.path(&["transport", "files"]).is_some()
    }

    /// Where the value under a tool's key ends: at the next key, whichever that is.
    pub fn tool_end(&self, number: usize) -> Pos {
        let next = self.tools().get(number + 1).map(|e| e.key_at);
        let tools = self.node.entries().iter().position(|e| e.key == "tools").unwrap_or_default();
        next.or_else(|| self.node.entries().get(tools + 1).map(|e| e.key_at)).unwrap_or(self.end)
    }
}

/// Reads the documents of all files.
pub(crate) fn documents(sources: &[Source], faults: &mut Vec<Fault>) -> Vec<Document> {
    let mut all = Vec::new();
    for source in sources {
        let nodes = crate::yaml::parse(&source.path, &source.text, faults);
        let starts: Vec<Pos> = nodes.iter().map(|n| n.at).collect();
        for (i, node) in nodes.into_iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(Pos { line: u32::MAX, column: u32::MAX });
            all.push(Document { file: source.path.clone(), end, node, kind: Kind::Unknown });
        }
    }
    all
}

/// The author's word; else what the request can only be.
pub(crate) fn effect(tool: &Node) -> Effect {
    match tool.get("effect").and_then(Node::text) {
        Some("read") => return Effect::Read,
        Some(_) => return Effect::Write,
        None => {}
    }
    let of = |key: &str| tool.path(&["request", key]).and_then(Node::text);
    let reads = matches!(of("method"), Some("GET" | "HEAD")) || matches!(of("op"), Some("read" | "check"));
    if reads { Effect::Read } else { Effect::Write }
}
