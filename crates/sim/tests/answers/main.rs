//! The table of answers that must hold (design, section 6), on the embedded store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod cases;
#[path = "group.rs"]
mod group;

const ENGINE: tollgate_sim::Stands = tollgate_sim::Stands::Sqlite;
