//! The grammar as data: which fields there are, what they hold, what stands when they are left out. The checker and the published
//! JSON Schemas read the same tables, so that they cannot differ.

mod check;
mod connector;
mod dispatch;
mod operator;
mod publish;
mod settings;
mod shape;
mod tool;

pub(crate) use check::Checker;
pub(crate) use connector::CONNECTOR;
pub(crate) use operator::{OPERATOR, POLICY};
pub use publish::{Kind, schema};
pub(crate) use settings::SETTINGS;
pub(crate) use shape::Record;
