//! Drives a run as a store would: each move, its journal entry and its stored bytes together, every law checked after each of them.

use std::collections::BTreeSet;

use serde_json::json;
use tollgate_core::graph::{
    Advance, EntryKind, GraphPlan, JournalEntry, Outcome, Progress, StepState, Stored, cancel, finish, resume, run_request, start,
    step_request,
};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::run::RunState;

pub const RUN: RunId = RunId::from_bytes([7; 16]);

/// One run, with all that was written of it.
pub struct Run<'p> {
    pub plan: &'p GraphPlan,
    pub progress: Progress,
    pub journal: Vec<JournalEntry>,
    /// The progress after each entry.
    pub kept: Vec<Progress>,
    input: Digest,
    outputs: Vec<Option<Digest>>,
    /// Handed out since the start or the last resume.
    started: BTreeSet<usize>,
}

pub fn kept(value: &serde_json::Value) -> Stored {
    Stored::of(value, |hash| format!("blob/{hash}")).unwrap().0
}

impl<'p> Run<'p> {
    pub fn start(plan: &'p GraphPlan) -> Self {
        let input = kept(&json!({"id": 1}));
        let (progress, advance) = start(plan);
        let (digest, before) = (input.digest().unwrap(), progress.clone());
        let mut run = Self {
            plan,
            progress,
            journal: Vec::new(),
            kept: Vec::new(),
            input: digest,
            outputs: vec![None; plan.len()],
            started: BTreeSet::new(),
        };
        run.write(EntryKind::Started, None, run_request(plan, digest), Some(input));
        for i in &advance.ready {
            run.may_start(*i);
        }
        assert_eq!(before.in_state(StepState::Ready).collect::<Vec<_>>(), advance.ready);
        run.laws();
        run
    }

    pub fn finish(&mut self, step: usize, outcome: Outcome) {
        let before = self.progress.clone();
        let advance = finish(self.plan, &mut self.progress, step, outcome).unwrap();
        let request = step_request(self.plan, step, self.input, |i| self.outputs[i]).unwrap();
        // A person who vouches for an action brings no output.
        let result = (before.state(step) != Some(StepState::Unknown)).then(|| kept(&json!({"of": step, "how": format!("{outcome:?}")})));
        if outcome == Outcome::Succeeded {
            self.outputs[step] = result.as_ref().map(|r| r.digest().unwrap());
        }
        self.write(outcome.into(), Some(step), request, result);
        self.changed(&before, &advance, Some(step));
    }

    pub fn cancel(&mut self) {
        let before = self.progress.clone();
        let advance = cancel(self.plan, &mut self.progress).unwrap();
        self.write(EntryKind::Cancelling, None, run_request(self.plan, self.input), None);
        self.changed(&before, &advance, None);
    }

    /// Whether it could.
    pub fn resume(&mut self) -> bool {
        let before = self.progress.clone();
        let Ok(advance) = resume(self.plan, &mut self.progress) else {
            assert_eq!(self.progress, before);
            return false;
        };
        for (i, state) in before.states().enumerate() {
            assert!(state != StepState::Succeeded || self.progress.state(i) == Some(state), "what succeeded is never put back");
        }
        self.started.clear();
        self.write(EntryKind::Resumed, None, run_request(self.plan, self.input), None);
        for i in &advance.ready {
            self.may_start(*i);
        }
        self.laws();
        true
    }

    fn write(&mut self, kind: EntryKind, step: Option<usize>, request: Digest, result: Option<Stored>) {
        let entry = self.progress.record(RUN, kind, step, request, result);
        assert_eq!(entry.seq as usize, self.journal.len());
        self.journal.push(entry);
        self.kept.push(self.progress.clone());
    }

    /// An advance names every step that changed, and no other.
    fn changed(&mut self, before: &Progress, advance: &Advance, but: Option<usize>) {
        let became = |to: StepState| {
            let changed = (0..self.plan.len()).filter(|i| Some(*i) != but && before.state(*i) != self.progress.state(*i));
            changed.filter(|i| self.progress.state(*i) == Some(to)).collect::<Vec<_>>()
        };
        let all = (0..self.plan.len()).filter(|i| Some(*i) != but && before.state(*i) != self.progress.state(*i)).count();
        assert_eq!(became(StepState::Ready), advance.ready);
        assert_eq!(became(StepState::Skipped), advance.skipped);
        assert_eq!(became(StepState::Cancelled), advance.cancelled);
        assert_eq!(all, advance.ready.len() + advance.skipped.len() + advance.cancelled.len());
        assert_eq!(advance.state, self.progress.run_state());
        for i in &advance.ready {
            self.may_start(*i);
        }
        self.laws();
    }

    fn may_start(&mut self, step: usize) {
        assert!(self.started.insert(step), "step {step} is handed out twice");
        assert!(!self.progress.is_cancelling(), "step {step} starts in a cancelled run");
        for on in self.plan.depends_on(step) {
            let done = match self.progress.state(*on) {
                Some(StepState::Succeeded) => true,
                Some(StepState::Failed) => self.plan.continues(*on),
                _ => false,
            };
            assert!(done, "step {step} starts before {on}");
        }
    }

    fn laws(&self) {
        let any = |f: fn(StepState) -> bool| self.progress.states().any(f);
        let state = self.progress.run_state();
        assert_eq!(state.is_final(), !any(StepState::is_open), "{state}");
        assert_eq!(state == RunState::NeedsResolution, any(StepState::is_open) && !any(StepState::is_handed_out));
        assert_eq!(Progress::from_bytes(&self.progress.to_bytes()).as_ref(), Ok(&self.progress));
    }
}
