//! What connectors do against real sockets and a real disk.

mod answers;
mod egress;
mod files;
mod redirects;
mod render;
mod schema;
mod secrets;
mod sending;
mod support;
mod undo;
mod verify;
