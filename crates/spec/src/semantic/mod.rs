//! What no table can say: names that must lead somewhere, fields that need or exclude each other.

mod bindings;
mod operator;
mod tool;

pub(crate) use bindings::bindings;
pub(crate) use operator::operator;
pub(crate) use tool::tools;
