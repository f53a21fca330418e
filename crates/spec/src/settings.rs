//! What `tollgate.toml` says, typed. Must not know the specs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};

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
    /// Overrides by connector; the bundle's connectors have them applied already.
    pub connectors: BTreeMap<String, ConnectorSettings>,
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
        connectors: connectors.collect(),
    }
}
