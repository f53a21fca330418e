//! The desk: what people and programs do besides sending events. It builds the entries; the store's commands decide who wins.

mod answers;
mod epoch;
mod keys;
mod port;
mod resolve;
mod settings;
mod submit;
mod tenant;

pub use answers::expire;
pub use epoch::{EpochDesk, EpochReport, OpenStep, step_id};
pub use port::{Counter, CounterDeps};
pub use tenant::TenantDesk;
