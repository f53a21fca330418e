//! The `files` transport: whole files under one root. Knows nothing of HTTP or secrets.

mod folder;
mod path;
mod perform;
mod place;
mod read;
mod render;
mod write;

use tollgate_core::attempt::AttemptOutcome;

pub(crate) use perform::{Operation, call};
pub(crate) use place::{check as check_place, real};
pub(crate) use render::FilesTool;
pub(crate) use write::Cleaned;

#[cfg(test)]
pub(crate) use folder::{is_passing, words};
#[cfg(test)]
pub(crate) use perform::perform;

/// The longest file that `read` returns, in bytes: the cap of HTTP answers.
pub(crate) const MAX_READ: usize = 256 * 1024;

/// The file system refused before anything changed. It says nothing of an earlier attempt.
fn did_not_happen(message: String, retryable: bool) -> AttemptOutcome {
    AttemptOutcome::Rejected { status: None, message, retryable, retry_after: None, settles_doubt: false }
}

/// The deadline passed before anything changed.
fn given_up() -> AttemptOutcome {
    AttemptOutcome::NotSent { message: "nothing was written: the deadline had passed".into(), retryable: true }
}

/// Holds the output against the tool's schema: a write that happened stays applied, and its output says what is wrong.
pub(crate) fn fit(outcome: AttemptOutcome, tool: &FilesTool) -> AttemptOutcome {
    let (AttemptOutcome::Applied { output, .. }, Some(schema)) = (&outcome, &tool.output_schema) else { return outcome };
    let Err(faults) = schema.check(output) else { return outcome };
    let why = format!("the output does not fit the tool's schema: {}", faults.join("; "));
    if tool.op() != "write" {
        return did_not_happen(why, false);
    }
    AttemptOutcome::Applied { output: serde_json::json!({ "unusable_output": why }), status: None }
}
