//! Many processes over one Postgres: killed and stopped at random (`bench chaos`), restarted one by one under load (`bench rolling`), and left alone (`bench idle`).

mod args;
mod balancer;
mod fleet;
mod graphs;
mod idle;
mod load;
mod report;
mod rolling;
mod run;
mod slot;
mod trouble;

pub use args::{Chaos, Idle, Rolling, chaos, idle, rolling};
