//! Retention and archives, on Postgres.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "keep/cases.rs"]
mod cases;

const ENGINE: tollgate_sim::Stands = tollgate_sim::Stands::Postgres;
