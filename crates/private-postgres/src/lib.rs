//! A private Postgres: finds the programs, starts a server of its own on a free port, and stops it with whoever started it, even when
//! that one was killed. Knows nothing of Tollgate and no Postgres client; it speaks to the server through `psql`.

mod account;
mod deadline;
mod error;
mod folder;
mod options;
mod port;
mod postmaster;
mod programs;
mod psql;
mod server;
mod shared;
mod template;

pub use error::{Missing, SqlError, StartError, StopError};
pub use options::Options;
pub use programs::Programs;
pub use server::{Mode, Server};
pub use shared::{Database, SHARED_SERVER, Shared};
