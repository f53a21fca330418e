//! The ports, each a thin line to its command or query, for any engine.

mod changes;
mod effects;
mod epoch;
mod events;
mod graphs;
mod lists;
mod registry;

use tollgate_core::ports::{BoxFuture, StoreError};

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;
