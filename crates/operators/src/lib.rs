//! Operators of kind `rules`: conditions and templates over an event, giving a plan. Pure; no network, no secrets.

mod check;
mod compile;
mod fault;
mod propose;

pub use compile::Rules;
pub use fault::OperatorFault;
