//! Changes of state as clients see them.

use serde::Serialize;
use tollgate_core::change::{Change, What};
use tollgate_core::id::{ActionId, RunId};
use tollgate_core::time::Timestamp;

/// A change of state of a run, an action or a step.
#[derive(Serialize)]
pub(crate) struct ChangeView<'a> {
    /// Always `change`.
    pub object: &'static str,
    /// What changed and how it stands now: `run.succeeded`, `action.calling`, `step.failed`.
    pub r#type: String,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// The run.
    pub run_id: RunId,
    /// The action; null for a run or a step.
    pub action_id: Option<ActionId>,
    /// The step's place in the run's graph, from 0; null for a run or an action.
    pub step: Option<u32>,
    /// The action's state before; null when it was just proposed.
    pub from: Option<&'static str>,
    /// How it stands now.
    pub state: &'static str,
    /// How the action ended, where this is its end.
    pub disposition: Option<&'static str>,
    /// What a person said of an `unknown`: whether it happened.
    pub applied: Option<bool>,
    /// Why, as a code.
    pub reason: Option<&'a str>,
}

impl ChangeView<'_> {
    /// The type of a change.
    pub fn word(c: &Change) -> String {
        let (what, state) = c.what.word();
        format!("{what}.{state}")
    }
}

impl<'a> From<&'a Change> for ChangeView<'a> {
    fn from(c: &'a Change) -> Self {
        let (_, state) = c.what.word();
        let mut view = Self {
            object: "change",
            r#type: Self::word(c),
            at: c.at,
            run_id: c.run,
            action_id: None,
            step: None,
            from: None,
            state,
            disposition: None,
            applied: None,
            reason: None,
        };
        match &c.what {
            What::Action(m) => {
                view.action_id = Some(m.action);
                view.from = m.from.map(tollgate_core::action::ActionState::as_str);
                view.disposition = m.disposition.map(tollgate_core::ledger::Disposition::as_str);
                view.applied = m.resolved;
                view.reason = m.reason.as_deref();
            }
            What::Node { node, .. } => view.step = Some(*node),
            What::Run(_) | What::Cancelling => {}
        }
        view
    }
}
