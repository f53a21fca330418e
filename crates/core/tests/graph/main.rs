//! The machine of static graphs from outside: faults of specs, single moves, and random histories.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod bytes;
mod drive;
mod journal;
mod machine;
mod properties;
mod spec;
mod support;
