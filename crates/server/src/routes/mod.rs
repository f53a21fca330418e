//! The routes, one file per group.

mod events;
mod hooks;
mod meta;
mod table;

pub use table::{openapi, router};
