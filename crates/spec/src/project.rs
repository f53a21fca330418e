//! A project folder as one value: read, checked, built. Must not know what compiles the specs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tollgate_core::spec::{BundleSpec, ConnectorSpec, OperatorSpec, PolicySource, PolicySpec, ToolSpec};

use crate::fault::{Fault, Pos, merge};
use crate::files::{self, SETTINGS_FILE, Source, Sources};
use crate::grammar::{CONNECTOR, Checker, OPERATOR, POLICY, Record, SETTINGS};
use crate::index::{self, Document, Index, Kind};
use crate::node::{Data, Node};
use crate::settings::{self, Settings};
use crate::{build, locate, semantic, toml_tree};

/// A project that was read.
#[derive(Debug)]
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// `tollgate.toml`.
    pub settings: Settings,
    /// The specs, every default filled in.
    pub bundle: BundleSpec,
    documents: Vec<Document>,
    index: Index,
    texts: BTreeMap<String, String>,
}

impl Project {
    /// Reads a project.
    ///
    /// # Errors
    /// Every fault at once, sorted by place. What only the compilers of expressions, schemas and policies find is not among them.
    pub fn load(root: &Path) -> Result<Self, Vec<Fault>> {
        match Self::load_lenient(root) {
            (Some(project), faults) if faults.is_empty() => Ok(project),
            (_, faults) => Err(faults),
        }
    }

    /// Reads a project as far as it goes: specs that the grammar does not allow are left out of the bundle; the compilers can look at
    /// all others.
    /// `None` when there is no project to read.
    pub fn load_lenient(root: &Path) -> (Option<Self>, Vec<Fault>) {
        let mut faults = Vec::new();
        let Some(sources) = files::read(root, &mut faults) else { return (None, faults) };
        let (settings_node, settings) = read_settings(root, sources.settings.as_ref(), &mut faults);
        let mut documents = index::documents(&sources.specs, &mut faults);
        documents.iter_mut().for_each(|d| check_document(d, &mut faults));
        let index = Index::new(&documents, &mut faults);
        let unreadable = faults.clone();
        let mut second = Vec::new();
        judge(&documents, &index, &settings_node, &mut second);
        let texts = sources.specs.iter().chain(&sources.settings).map(|s| (s.path.clone(), s.text.clone())).collect();
        let mut faults = merge(faults, second);
        let bundle = bundle(&documents, &index, &settings, sources, unreadable, &mut faults);
        within_texts(&mut faults, &texts);
        (Some(Self { root: root.to_owned(), settings, bundle, documents, index, texts }), faults)
    }

    /// Where a place of an operator is, such as `propose[0].args/issue`: file and position. `line` and `column` count from 1 inside
    /// the text at that place.
    pub fn locate_operator(&self, name: &str, place: &str, line: u32, column: u32) -> (String, Pos) {
        let document = self.index.operators.get(name).and_then(|n| self.documents.get(*n));
        document.map_or_else(unplaced, |d| self.locate(d, &d.node, d.node.at, place, line, column))
    }

    /// Where a place of a connector, or of one of its tools (by full name), is.
    pub fn locate_connector(&self, connector: &str, tool: Option<&str>, place: &str, line: u32, column: u32) -> (String, Pos) {
        let Some(document) = self.index.connectors.get(connector).and_then(|n| self.documents.get(*n)) else { return unplaced() };
        // The check that a files `write` brings along has no place of its own.
        let short =
            tool.and_then(|t| t.strip_prefix(connector)?.strip_prefix('.')).map(|t| t.strip_suffix(build::CHECK_SUFFIX).unwrap_or(t));
        let entry = short.and_then(|t| document.tools().iter().find(|e| e.key == t));
        match entry {
            Some(entry) => self.locate(document, &entry.value, entry.key_at, place, line, column),
            None if place.starts_with("webhook") => {
                let place = format!("events.{place}");
                self.locate(document, &document.node, document.node.at, &place, line, column)
            }
            None => self.locate(document, &document.node, document.node.at, place, line, column),
        }
    }

    fn locate(&self, document: &Document, node: &Node, owner: Pos, place: &str, line: u32, column: u32) -> (String, Pos) {
        let text = self.texts.get(&document.file).map(String::as_str).unwrap_or_default();
        let at = files::within(text, locate::follow(node, owner, place).inside(text, line, column));
        (document.file.clone(), at)
    }
}

fn unplaced() -> (String, Pos) {
    (SETTINGS_FILE.to_owned(), Pos::default())
}

fn read_settings(root: &Path, source: Option<&Source>, faults: &mut Vec<Fault>) -> (Node, Settings) {
    let folder = root.canonicalize().ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
    let folder = folder.unwrap_or_else(|| "project".to_owned());
    let node = match source {
        Some(source) => toml_tree::parse(&source.path, &source.text, faults),
        None => Node::new(Pos::START, Data::Map(Vec::new())),
    };
    Checker { file: SETTINGS_FILE, faults }.record(&node, Pos::START, &SETTINGS);
    let settings = settings::build(&node, &folder, faults);
    (node, settings)
}

fn check_document(document: &mut Document, faults: &mut Vec<Fault>) {
    const KINDS: [(&str, Kind, &Record); 3] =
        [("Connector", Kind::Connector, &CONNECTOR), ("Operator", Kind::Operator, &OPERATOR), ("Policy", Kind::Policy, &POLICY)];
    let mut checker = Checker { file: &document.file, faults };
    let word = checker.kind(&document.node, &KINDS.map(|k| k.0));
    let Some((_, kind, record)) = word.and_then(|w| KINDS.into_iter().find(|k| k.0 == w)) else { return };
    checker.record(&document.node, document.node.at, record);
    document.kind = kind;
}

fn judge(documents: &[Document], index: &Index, settings: &Node, faults: &mut Vec<Fault>) {
    let empty = Node::new(Pos::START, Data::Map(Vec::new()));
    let bindings = settings.get("bindings").unwrap_or(&empty);
    semantic::bindings(settings, index, faults);
    for document in documents {
        match document.kind {
            Kind::Connector => semantic::tools(document, index, faults),
            Kind::Operator => semantic::operator(document, index, bindings, faults),
            Kind::Policy | Kind::Unknown => {}
        }
    }
}

/// Everything that can be read, so that the compilers find their faults as well.
fn bundle(
    documents: &[Document],
    index: &Index,
    settings: &Settings,
    sources: Sources,
    unreadable: Vec<Fault>,
    faults: &mut Vec<Fault>,
) -> BundleSpec {
    let mut builder = Builder { documents, faulty: unreadable, faults };
    let mut tools = BTreeMap::new();
    for tool in index.tools.values() {
        tools.extend(builder.tools(tool).into_iter().map(|t| (t.name.clone(), t)));
    }
    let connectors: Vec<ConnectorSpec> = builder.each(&index.connectors, |node| {
        let name = node.get("name").and_then(Node::text).unwrap_or_default();
        build::connector(node, settings.connectors.get(name))
    });
    let operators: Vec<OperatorSpec> = builder.each(&index.operators, build::operator);
    let policies: Vec<PolicySpec> = builder.each(&index.policies, build::policy);
    let connectors: BTreeMap<_, _> = connectors.into_iter().map(|c| (c.name.clone(), c)).collect();
    tools.retain(|_, t: &mut ToolSpec| connectors.contains_key(&t.connector));
    let bindings: BTreeMap<_, _> = settings.bindings.clone().into_iter().filter(|(_, tool)| tools.contains_key(tool)).collect();
    BundleSpec {
        concurrency: settings.concurrency,
        operators: operators.into_iter().map(|o| (o.name.clone(), o)).collect(),
        policies: policies.into_iter().map(|p| (p.name.clone(), p)).collect(),
        cedar: sources.policies.into_iter().map(|s| PolicySource { path: s.path, text: s.text }).collect(),
        connectors,
        tools,
        bindings,
    }
}

struct Builder<'a> {
    documents: &'a [Document],
    /// What the grammar does not allow: types cannot be filled from it.
    faulty: Vec<Fault>,
    faults: &'a mut Vec<Fault>,
}

impl Builder<'_> {
    /// Whether a stretch of a file has a fault.
    fn broken(&self, file: &str, from: Pos, to: Pos) -> bool {
        self.faulty.iter().any(|f| {
            let at = Pos { line: f.line, column: f.column };
            f.file == file && (f.line == 0 || (from <= at && at < to))
        })
    }

    fn each<T>(&mut self, names: &BTreeMap<String, usize>, build: impl Fn(&Node) -> Result<T, String>) -> Vec<T> {
        let mut all = Vec::new();
        for document in names.values().filter_map(|n| self.documents.get(*n)) {
            if self.broken_outside_tools(document) {
                continue;
            }
            match build(&document.node) {
                Ok(built) => all.push(built),
                Err(message) => self.faults.push(Fault::at(&document.file, document.node.at, message)),
            }
        }
        all
    }

    /// A fault in one tool leaves its connector and the other tools as they are.
    fn broken_outside_tools(&self, document: &Document) -> bool {
        let tools = document.tools();
        let (Some(first), false) = (tools.first(), tools.is_empty()) else {
            return self.broken(&document.file, document.node.at, document.end);
        };
        let after = document.tool_end(tools.len() - 1);
        self.broken(&document.file, document.node.at, first.key_at) || self.broken(&document.file, after, document.end)
    }

    fn tools(&mut self, tool: &index::Tool) -> Vec<ToolSpec> {
        let Some(document) = self.documents.get(tool.document) else { return Vec::new() };
        let found = document.tools().iter().enumerate().find(|(_, e)| e.key == tool.name);
        let Some((_, entry)) = found.filter(|(n, e)| !self.broken(&document.file, e.key_at, document.tool_end(*n))) else {
            return Vec::new();
        };
        build::tool(&tool.connector, &tool.name, &entry.value).unwrap_or_else(|message| {
            self.faults.push(Fault::at(&document.file, entry.key_at, message));
            Vec::new()
        })
    }
}

/// Parsers speak of places after the end of a text; people look for one inside it.
fn within_texts(faults: &mut Vec<Fault>, texts: &BTreeMap<String, String>) {
    for fault in faults.iter_mut() {
        if let Some(text) = texts.get(&fault.file) {
            let at = files::within(text, Pos { line: fault.line, column: fault.column });
            (fault.line, fault.column) = (at.line, at.column);
        }
    }
    faults.sort();
    faults.dedup();
}
