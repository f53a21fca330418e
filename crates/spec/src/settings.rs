//! What `tollgate.toml` says, typed. Must not know the specs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use tollgate_core::time::parse_span;

use crate::fault::Fault;
use crate::files::SETTINGS_FILE;
use crate::node::{Node, short};

/// Where data lies when nothing else is said.
pub const DATA_DIR: &str = ".tollgate";

/// The settings of a project.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// Steps of the project under way at once.
    pub concurrency: Option<u32>,
    /// The project's name for people.
    pub name: String,
    /// Where the server listens, when the project says so.
    pub listen: Option<SocketAddr>,
    /// The data folder as written; a relative path starts at the project. `.tollgate` when nothing is said.
    pub data_dir: PathBuf,
    /// Capability to full tool name.
    pub bindings: BTreeMap<String, String>,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// Overrides by connector; the bundle's connectors have them applied already.
    pub connectors: BTreeMap<String, ConnectorSettings>,
}

/// How long things are kept; for ever what has no age.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RetentionSettings {
    /// Events.
    pub events: Option<Duration>,
    /// Runs that ended, with their actions.
    pub runs: Option<Duration>,
    /// Ledger entries.
    pub ledger: Option<Duration>,
    /// Where they go.
    pub archive: Option<PathBuf>,
    /// How often the running process looks.
    pub every: Option<Duration>,
}

fn retention(node: &Node, faults: &mut Vec<Fault>) -> RetentionSettings {
    let text = |key: &str| node.path(&["retention", key]).and_then(Node::text);
    let age = |key: &str| text(key).and_then(|t| parse_span(t).ok());
    let out = RetentionSettings {
        events: age("events"),
        runs: age("runs"),
        ledger: age("ledger"),
        archive: text("archive").map(PathBuf::from),
        every: age("every"),
    };
    if let Some(n) = node.path(&["retention", "ledger"]).filter(|_| out.archive.is_none()) {
        let fault = Fault::at(SETTINGS_FILE, n.at, "ledger entries are archived before they go, and no archive is named".to_owned());
        faults.push(fault.help("add `archive = \"FOLDER\"` below it"));
    }
    out
}

/// Overrides of one connector.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConnectorSettings {
    /// Values that replace those of `config`, key by key.
    pub config: Map<String, Value>,
    /// Values that replace those of `test.config`, key by key.
    pub test_config: Option<Map<String, Value>>,
}

/// From a tree that was checked; what has the wrong type was reported, and is passed over here.
pub(crate) fn build(node: &Node, folder: &str, faults: &mut Vec<Fault>) -> Settings {
    let listen = node.path(&["server", "listen"]).and_then(|n| Some((n, n.text().filter(|t| !t.trim().is_empty())?)));
    let listen = listen.and_then(|(n, text)| {
        let parsed = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}")).parse();
        let message = format!("`{}` is not an address with a port", short(text));
        parsed.map_err(|_| faults.push(Fault::at(SETTINGS_FILE, n.at, message).help("write it like `127.0.0.1:3001`"))).ok()
    });
    let dir = node.path(&["data", "dir"]);
    let data_dir = dir.and_then(Node::text).unwrap_or(DATA_DIR);
    let first = data_dir.trim_start_matches("./").split('/').next().unwrap_or_default();
    if let Some(n) = dir.filter(|_| ["specs", "policies", "", "."].contains(&first) && !data_dir.starts_with('/')) {
        let message = format!("`{}` cannot hold data: it holds the project itself", short(data_dir));
        faults.push(Fault::at(SETTINGS_FILE, n.at, message).help(format!("name a folder of its own, such as `{DATA_DIR}`")));
    }
    let connectors = node.get("connectors").map(Node::entries).unwrap_or_default();
    let connectors = connectors.iter().map(|e| {
        let of = |key| e.value.get(key).map(Node::to_map);
        (e.key.clone(), ConnectorSettings { config: of("config").unwrap_or_default(), test_config: of("test_config") })
    });
    let bindings = node.get("bindings").map(Node::entries).unwrap_or_default();
    Settings {
        concurrency: node.path(&["limits", "concurrency"]).and_then(|n| u32::try_from(n.to_json().as_u64()?).ok()),
        name: node.path(&["project", "name"]).and_then(Node::text).unwrap_or(folder).to_owned(),
        listen,
        data_dir: PathBuf::from(data_dir),
        bindings: bindings.iter().filter_map(|e| Some((e.key.clone(), e.value.text()?.to_owned()))).collect(),
        retention: retention(node, faults),
        connectors: connectors.collect(),
    }
}
