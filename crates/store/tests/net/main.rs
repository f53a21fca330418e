//! The net under the two engines: what must hold for every table, statement and role there is, found from the catalogs and the source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod base;
mod catalog;
mod claims;
mod groups;
mod line;
mod migrations;
mod outbox;
mod plans;
mod races;
mod removal;
mod retention;
mod roles;
mod row_security;
mod schema;
mod source;
mod statements;
mod tls;
