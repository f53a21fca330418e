//! The engine over Postgres 15 and newer.

pub(crate) mod cell;
