//! Operators of kind `rules`: conditions and templates over an event, giving a plan; and the steps of graphs, which are written in the
//! same language. Pure; no network, no secrets.

mod check;
mod compile;
mod fault;
mod graphs;
mod propose;

pub use compile::Rules;
pub use fault::OperatorFault;
pub use graphs::GraphCompiler;
