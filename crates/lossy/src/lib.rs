//! A SQLite VFS whose writes stay in the process's memory until they are synced: a `kill -9` then loses what a power cut would.
//! The only crate with `unsafe`; it knows SQLite's file interface and nothing of Tollgate.
#![allow(unsafe_code, reason = "a SQLite VFS is a table of C functions; every block says why it is sound")]
#![deny(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

mod dice;
mod files;
mod methods;
mod overlay;
mod real;
mod vfs;

pub use methods::{held_back, lie};
pub use vfs::{NAME, RegisterError, register, register_as_default};
