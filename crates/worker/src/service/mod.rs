//! The service round the engine: claims, timers, sweeps, replays, checkpoints. Everything here is a loop that may die at any await;
//! what is durable decides how the next one goes on.

mod claim;
mod options;
mod publish;
mod replay;
mod retain;
mod run;
mod session;
mod sign;
mod signals;
mod single;
mod sweep;
mod taking;

pub use options::Options;
pub use retain::{Ages, RetainDeps, Retained, Retention};
pub use run::{Deps, Service};
pub use sign::{Keeper, Signer};
pub use signals::Signals;
pub(crate) use taking::Handing;
pub use taking::Taking;
