//! `tollgate bench crash`: real processes killed at random moments, and every promise checked by counting at the upstream.

mod args;
mod child;
pub(super) mod effects;
pub(super) mod facts;
pub(super) mod fate;
pub(super) mod laws;
mod node;
pub(super) mod report;
mod run;
pub(super) mod send;
pub(super) mod settled;
pub(super) mod spec;
pub(super) mod upstream;

pub use args::{Crash, crash};
pub use node::{CrashNode, run as crash_node};

/// How to get the file layer that loses.
const WITHOUT_LOSSY: &str =
    "this build has no lossy file layer: run `cargo run --release --features lossy -p tollgate -- bench crash --lossy`";
