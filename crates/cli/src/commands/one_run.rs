//! `RUN_ID=run_… tollgate worker`: which run that is, how it ended, and the code that says so.

use serde_json::json;
use tollgate_core::id::RunId;
use tollgate_core::ports::{DurableExec, RunStands};
use tollgate_core::run::RunState;
use tollgate_core::scope::Scope;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::text;

/// The run that `RUN_ID` names, if it is set. A worker that took other runs' steps would do what was not asked for, so that what is no id is
/// refused.
pub fn named() -> Result<Option<RunId>, Failure> {
    let Some(value) = std::env::var_os("RUN_ID") else { return Ok(None) };
    let wrong = |e| Failure::new(Exit::Usage, format!("RUN_ID: {e}; without RUN_ID a worker takes every run's steps"));
    value.to_string_lossy().trim().parse().map(Some).map_err(wrong)
}

/// A run that is stored.
#[derive(Clone, Copy)]
pub struct OneRun {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub scope: Scope,
}

/// Looks for it in every tenant and mode.
pub async fn find(exec: &dyn DurableExec, id: RunId) -> Result<(OneRun, RunStands), Failure> {
    let unknown = || Failure {
        exit: Exit::Failed,
        message: format!("RUN_ID: no tenant has a run {id} in this database: `tollgate runs list` shows those there are"),
        code: Some("not_found".to_owned()),
    };
    let run = OneRun { id, scope: exec.scope_of(id).await?.ok_or_else(unknown)? };
    let stands = exec.stands(run.scope, id).await?.ok_or_else(unknown)?;
    Ok((run, stands))
}

impl OneRun {
    /// After the worker has stopped: how the run ended, as far as it heard, or that it has not.
    pub async fn report(self, cx: &Context, exec: &dyn DurableExec, heard: Option<RunStands>) -> Result<(), Failure> {
        let stands = match heard {
            Some(stands) => Some(stands),
            // It was told to stop, and the last of what it did may have been the run's end.
            None => exec.stands(self.scope, self.id).await?,
        };
        match stands {
            Some(stands) if stands.is_over() => self.ended(cx, &stands, false),
            Some(stands) => Err(Failure::new(Exit::Interrupted, format!("stopped before {} had ended: it is {}", self.id, stands.state))),
            None => Err(Failure::plain(format!("{} is not stored any more", self.id))),
        }
    }

    /// Says how it ended; a failure unless it did what it was to do.
    pub fn ended(self, cx: &Context, stands: &RunStands, before: bool) -> Result<(), Failure> {
        let line = json!({"run": self.id, "state": stands.state.as_str(), "reason": stands.reason, "had_ended": before});
        let why = stands.reason.as_ref().map_or_else(String::new, |_| format!(" ({})", text(&line, "/reason")));
        let said = format!("{}{}: {}{why}", self.id, if before { " had ended already" } else { "" }, stands.state);
        cx.out.line(if cx.out.json { line.to_string() } else { said.clone() });
        match stands.state {
            RunState::Succeeded | RunState::NoPlan | RunState::Draft => Ok(()),
            RunState::NeedsResolution => {
                let hint = "a person must say what became of a call: tollgate approvals list; then start the worker again";
                Err(Failure::plain(format!("{}: {hint}", self.id)))
            }
            _ => Err(Failure::plain(said)),
        }
    }
}
