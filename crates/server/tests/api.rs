//! What clients get from the routes over a real store, worker and vault: good answers, and for each mistake its code and its words.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "api/auth.rs"]
mod auth;
mod support;
