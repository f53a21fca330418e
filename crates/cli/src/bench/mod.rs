//! `tollgate bench`: rates and latencies of the real server over a real store, beside what the disk itself can do in the same run.

mod args;
mod chaos;
mod crash;
mod dedup;
mod floor;
mod floor_postgres;
mod graphs;
mod ground;
mod ingest;
mod load;
mod loop_;
mod open;
mod report;
mod retention;
mod scale;
mod spec;
mod stage;

pub use args::{Bench, run};
pub use ground::Ground;
