//! The real core, worker and store over a fake world, on one thread, with a clock that moves by hand: named answers, and histories that a
//! seed decides.

mod batch;
mod checks;
mod desk;
mod engine;
mod graph_turns;
mod graphs;
mod history;
mod house;
mod mistaken;
mod mistakes;
mod offline;
mod planes;
mod rest;
mod tasks;
mod told;
mod trips;
mod turns;
mod watch;

pub use batch::{Batch, batch};
pub use checks::{Fault, Law};
pub use desk::someone;
pub use engine::{Bare, Engine as Stands};
pub use history::{Broken, Ran, run, run_on};
pub use house::{House, HouseError, LEASE};
pub use mistakes::{Mistake, Mistaken};
pub use tasks::{Polled, Tasks, Work};
pub use trips::Trips;
pub use watch::Watch;
