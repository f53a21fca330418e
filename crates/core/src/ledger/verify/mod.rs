//! Verifies an export with nothing but the file and the public key.
//!
//! One pass: each line is checked as it comes, then the root, then the seal. Nothing is reported unless everything held.
//! Policy evaluation comes in as a function, so that this knows no policy language.

mod check;
mod compare;
mod failure;
mod lines;
mod report;
mod rules;

pub use check::{Recompute, verify};
pub use compare::RecomputedVerdict;
pub use failure::{FailureKind, VerifyFailure};
pub use report::Report;
