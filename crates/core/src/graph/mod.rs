//! The pure machine of static graphs: steps that wait for each other, each durable with its results before the next one starts.
//!
//! `spec` is what an author writes, `check` finds its faults, `plan` is its compiled form, `progress` is where one run stands,
//! `machine` moves it, `journal` records it, `replay` reads it again. Nothing here does I/O, knows SQL or CEL, or reads the clock.

mod bytes;
mod check;
mod context;
mod journal;
mod machine;
mod order;
mod plan;
mod progress;
mod replay;
mod spec;
mod state;
mod stored;

pub use bytes::BytesError;
pub use check::{GraphFault, References};
pub use context::{ROOTS, context};
pub use journal::{EntryKind, JournalEntry, SEMANTICS_VERSION, run_request, step_request};
pub use machine::{Advance, Outcome, Refused, cancel, finish, resume, retry, start};
pub use plan::GraphPlan;
pub use progress::Progress;
pub use replay::{Mismatch, check_journal, replay};
pub use spec::{ActionStep, ComputeStep, EXPRESSION_MAX, GraphSpec, NAME_MAX, STEPS_MAX, Source, StepKind, StepSpec, TEMPLATE_MAX};
pub use state::{StepState, TRANSITIONS, Trigger};
pub use stored::{BlobRef, INLINE_MAX, Stored, StoredError};
