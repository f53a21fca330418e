//! Cedar behind one function: a request in, a verdict with its reasons out.
//!
//! Policies are compiled once against the tools of a bundle: parsed file by file, re-keyed to their `@id`, validated
//! strictly against a schema generated from the tools, and sliced per action. A recorded decision can be computed
//! again from the exported artifact alone. Nothing here does I/O or knows the clock.
//!
//! What policies can say:
//!
//! | in a policy | means |
//! |---|---|
//! | `principal == Operator::"triage"` | an operator; also `ServiceAccount::"…"` and `System::"…"` |
//! | `action == Action::"shop.refund"` | one tool |
//! | `action in Action::"read"`, `Action::"write"` | all tools of an effect |
//! | `action in Action::"shop.*"` | all tools of a connector |
//! | `action in Action::"class:financial"` | all tools of a class; `destructive`, `financial` and `customer_facing` always exist |
//! | `resource == Entity::"shop:order:17"` | the entity key; the connector's name for a tool called without one |
//! | `context.args.…` | the arguments, as far as the tool's input schema maps to Cedar ([`Policies::unmapped_paths`]) |
//! | `context.value.amount_minor`, `.unit` | the value at stake; test `context has value` first |
//! | `context.classes`, `context.effect`, `context.grade` | as the tool declares them |

mod engine;
mod fault;
mod hierarchy;
mod judge;
mod limits;
mod names;
mod recompute;
mod request;
mod scan;
mod schema;
mod shape;
mod sources;
mod validate;
mod walk;

#[cfg(test)]
mod tests;

pub use engine::Policies;
pub use fault::PolicyFault;
pub use names::EVALUATOR;
pub use recompute::{RecomputeError, Recomputed, Recomputer, recompute};
