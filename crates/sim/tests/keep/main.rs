//! Retention and archives, on the embedded store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod cases;

const ENGINE: tollgate_sim::Stands = tollgate_sim::Stands::Sqlite;
