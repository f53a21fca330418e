//! A project folder read into specs, with every fault at its place.

mod build;
mod fault;
mod files;
mod grammar;
mod index;
mod input;
mod locate;
mod nearest;
mod node;
mod offset;
mod project;
mod scaffold;
mod scalar;
mod semantic;
mod settings;
mod toml_tree;
mod yaml;

pub use fault::{Fault, Pos, merge};
pub use grammar::{Kind, schema};
pub use nearest::nearest;
pub use project::Project;
pub use scaffold::{ScaffoldError, scaffold};
pub use settings::{ConnectorSettings, DATA_DIR, RetentionSettings, Settings};
