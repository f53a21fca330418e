//! HTTP: authentication, routes, streams, errors. Maps requests onto ports and never decides; knows no SQL and no connectors.

mod auth;
mod body;
mod cursor;
mod deps;
mod docs;
mod error;
mod extract;
mod follow;
mod intake;
mod layers;
mod routes;
mod serve;
mod view;
mod words;

pub use deps::{Deps, Health, Options};
pub use error::{ApiError, Code};
pub use routes::{openapi, router};
pub use serve::{Drain, serve, serve_until_drained};
