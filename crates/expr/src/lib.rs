//! CEL expressions and `${…}` templates over JSON: compiled once at deploy, run under hard limits.
//!
//! The only crate that knows the CEL library. No I/O, no clock: the same inputs give the same result for ever.

mod convert;
mod error;
mod expression;
mod inputs;
mod limits;
mod template;

pub use error::{CompileError, EvalError};
pub use expression::Expression;
pub use inputs::Inputs;
pub use template::{JsonTemplate, Part, Template};
