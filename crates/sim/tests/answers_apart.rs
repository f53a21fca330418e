//! The table of answers that must hold (design, section 6), on the embedded store with effects and steps apart.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "answers/cases/mod.rs"]
mod cases;

const ENGINE: tollgate_sim::Stands = tollgate_sim::Stands::SqliteApart;
