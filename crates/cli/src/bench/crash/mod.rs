//! `tollgate bench crash`: real processes killed at random moments, and every promise checked by counting at the upstream.

mod args;
mod child;
mod effects;
mod facts;
mod fate;
mod laws;
mod node;
mod report;
mod run;
mod send;
mod spec;
mod upstream;

pub use args::{Crash, crash};
pub use node::{CrashNode, run as crash_node};

/// How to get the file layer that loses.
const WITHOUT_LOSSY: &str =
    "this build has no lossy file layer: run `cargo run --release --features lossy -p tollgate -- bench crash --lossy`";
