//! What clients get from the routes over a real store, worker and vault: good answers, and for each mistake its code and its words.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "api/actions.rs"]
mod actions;
#[path = "api/auth.rs"]
mod auth;
#[path = "api/borders.rs"]
mod borders;
#[path = "api/events.rs"]
mod events;
#[path = "api/flow.rs"]
mod flow;
#[path = "api/follow.rs"]
mod follow;
#[path = "api/hooks.rs"]
mod hooks;
#[path = "api/service.rs"]
mod service;
#[path = "api/stream.rs"]
mod stream;
mod support;
