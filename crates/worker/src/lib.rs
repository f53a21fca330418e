//! The engine: takes claimed steps through operator, gate and effect protocol to a commit. Decisions are `core`'s, commits the store's.
//!
//! Nothing here spawns, sleeps or reads a clock of its own: the simulator runs exactly this code.

mod engine;
mod entries;

pub use engine::{Deps, Engine};
