//! A project folder read into specs, with every fault at its place.

mod fault;
mod files;
mod grammar;
mod nearest;
mod node;
mod scalar;
mod settings;
mod toml_tree;
mod yaml;

pub use fault::{Fault, Pos, merge};
pub use grammar::{Kind, schema};
pub use nearest::nearest;
pub use settings::{ConnectorSettings, DATA_DIR, Settings};
