//! The engine: takes claimed steps through operator, gate and effect protocol to a commit. Decisions are `core`'s, commits the store's.
//!
//! The engine and the desk spawn nothing, sleep never and read no clock of their own: the simulator runs exactly that code. The service
//! round them is the loops of a real process.

mod desk;
mod engine;
mod entries;
mod ledger;
mod service;

pub use desk::{Counter, CounterDeps, EpochDesk, EpochReport, OpenStep, TenantDesk, expire, step_id};
pub use engine::{Deps, Engine, Graphs};
pub use ledger::Archive;
pub use service::{Ages, Deps as ServiceDeps, Keeper, Options, RetainDeps, Retained, Retention, Service, Signals, Signer, Taking};
