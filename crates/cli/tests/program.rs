//! The program as it is built, from outside: what a new user does, what goes wrong, and what must never get out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "program/bad_days.rs"]
mod bad_days;
#[path = "program/canary.rs"]
mod canary;
#[path = "program/hands.rs"]
mod hands;
#[path = "program/journey.rs"]
mod journey;
#[path = "program/keep.rs"]
mod keep;
#[path = "program/one_run.rs"]
mod one_run;
#[path = "program/outages.rs"]
mod outages;
#[path = "program/processes.rs"]
mod processes;
#[path = "program/streams.rs"]
mod streams;
#[path = "program/support.rs"]
mod support;
