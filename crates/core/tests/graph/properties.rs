//! Random graphs, random fates of their steps, random orders: what holds in all of them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tollgate_core::graph::{GraphPlan, JournalEntry, Outcome, StepState, check_journal, replay};
use tollgate_core::hash::Digest;
use tollgate_core::id::RunId;
use tollgate_core::run::RunState;

use super::drive::{Run, kept};
use super::support::plan;

/// What a step will do: attempts that fail in passing, whether its action ends `unknown`, and how it ends at last.
#[derive(Clone, Copy, Debug)]
struct Fate {
    deferred: u32,
    unknown: bool,
    succeeds: bool,
}

#[derive(Clone, Debug)]
struct Case {
    plan: Arc<GraphPlan>,
    fates: Vec<Fate>,
}

impl Case {
    /// What a step does next.
    fn next(&self, run: &Run<'_>, step: usize, fates: &[Fate]) -> Outcome {
        let (fate, attempts) = (fates[step], run.progress.attempts(step));
        let unknown = run.progress.state(step) == Some(StepState::Unknown);
        match () {
            () if attempts < fate.deferred && !unknown && !run.progress.is_cancelling() => Outcome::Deferred,
            () if fate.unknown && !unknown => Outcome::Unknown,
            () if fate.succeeds => Outcome::Succeeded,
            () => Outcome::Failed,
        }
    }

    /// Runs until nothing is open. `choices` picks who moves; an odd one gives up what is cancelled.
    fn run_on(&self, run: &mut Run<'_>, fates: &[Fate], choices: &[usize], cancel_at: Option<usize>) {
        let mut turn = 0;
        loop {
            let movable = |s: StepState| s.is_handed_out() || s == StepState::Unknown;
            let open: Vec<usize> = (0..self.plan.len()).filter(|i| run.progress.state(*i).is_some_and(movable)).collect();
            if open.is_empty() {
                break;
            }
            if cancel_at == Some(turn) {
                run.cancel();
            }
            let choice = choices[turn % choices.len()];
            let step = open[choice % open.len()];
            let handed_out = run.progress.state(step) != Some(StepState::Unknown);
            if run.progress.is_cancelling() && handed_out && choice % 2 == 1 {
                run.finish(step, Outcome::Cancelled);
            } else {
                let outcome = self.next(run, step, fates);
                run.finish(step, outcome);
            }
            turn += 1;
        }
    }

    fn run(&self, choices: &[usize], cancel_at: Option<usize>) -> Run<'_> {
        let mut run = Run::start(&self.plan);
        self.run_on(&mut run, &self.fates, choices, cancel_at);
        run
    }

    /// How each step must end, told without the machine.
    fn expected(&self) -> Vec<StepState> {
        let mut out = vec![StepState::Waiting; self.plan.len()];
        for i in self.plan.order() {
            let broken = |on: &usize| match out[*on] {
                StepState::Failed => !self.plan.continues(*on),
                state => state == StepState::Skipped,
            };
            out[*i] = match self.plan.depends_on(*i).iter().any(broken) {
                true => StepState::Skipped,
                false if self.fates[*i].succeeds => StepState::Succeeded,
                false => StepState::Failed,
            };
        }
        out
    }
}

/// A graph whose steps stand in any order.
fn any_case(steps: usize) -> impl Strategy<Value = Case> {
    let fate = (0_u32..4, prop::bool::weighted(0.1), prop::bool::weighted(0.8)).prop_map(|(d, unknown, succeeds)| Fate {
        deferred: d.saturating_sub(1),
        unknown,
        succeeds,
    });
    let step = (prop::collection::vec(any::<prop::sample::Index>(), 0..4), prop::bool::weighted(0.2), fate);
    prop::collection::vec(step, 1..=steps).prop_flat_map(|steps| {
        let lines: Vec<(String, Fate)> = steps
            .iter()
            .enumerate()
            .map(|(i, (on, continues, fate))| {
                let on: std::collections::BTreeSet<usize> = on.iter().filter(|_| i > 0).map(|o| o.index(i)).collect();
                let on: Vec<String> = on.iter().map(|o| format!("s{o}")).collect();
                (format!("s{i}{}: {}", if *continues { "!" } else { "" }, on.join(" ")), *fate)
            })
            .collect();
        Just(lines).prop_shuffle().prop_map(|lines| Case {
            plan: plan(&lines.iter().map(|(l, _)| l.as_str()).collect::<Vec<_>>()),
            fates: lines.iter().map(|(_, f)| *f).collect(),
        })
    })
}

fn any_choices() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..1000, 1..200)
}

proptest! {
    /// The laws of `drive` hold after each move besides.
    #[test]
    fn every_step_ends_as_it_must_in_any_order(case in any_case(60), one in any_choices(), two in any_choices()) {
        let (one, two) = (case.run(&one, None), case.run(&two, None));
        let expected = case.expected();
        prop_assert_eq!(one.progress.states().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(two.progress.states().collect::<Vec<_>>(), expected.clone());
        let attempts = |run: &Run<'_>| (0..case.plan.len()).map(|i| run.progress.attempts(i)).collect::<Vec<_>>();
        prop_assert_eq!(attempts(&one), attempts(&two));
        let all = expected.iter().all(|s| *s == StepState::Succeeded);
        prop_assert_eq!(one.progress.run_state(), if all { RunState::Succeeded } else { RunState::Failed });
    }

    #[test]
    fn a_cancelled_run_ends_with_every_step_ended(case in any_case(60), choices in any_choices(), at in 0_usize..80) {
        let run = case.run(&choices, Some(at));
        prop_assert!(run.progress.states().all(|s| !s.is_open()));
        let cancelled = run.progress.is_cancelling();
        prop_assert_eq!(run.progress.run_state() == RunState::Cancelled, cancelled);
        prop_assert!(cancelled || run.progress.in_state(StepState::Cancelled).next().is_none());
    }

    #[test]
    fn a_resumed_run_succeeds_once_its_steps_do(case in any_case(60), choices in any_choices()) {
        let mut run = case.run(&choices, None);
        let before = run.progress.clone();
        if before.run_state() != RunState::Failed || !run.resume() {
            return Ok(());
        }
        let well = vec![Fate { deferred: 0, unknown: false, succeeds: true }; case.plan.len()];
        case.run_on(&mut run, &well, &choices, None);
        for i in 0..case.plan.len() {
            let stayed = |i: usize| before.state(i) == run.progress.state(i);
            // Only a failure stays that was left behind: by a step that succeeded, or by one whose own failure was left behind.
            let left_behind = case.plan.dependents(i).iter().any(|d| stayed(*d));
            match before.state(i) {
                Some(StepState::Failed) if left_behind => prop_assert!(stayed(i)),
                _ => prop_assert_eq!(run.progress.state(i), Some(StepState::Succeeded)),
            }
        }
        check_journal(&case.plan, &run.journal, &run.progress).unwrap();
    }

    #[test]
    fn a_journal_leads_to_the_progress_at_every_entry(case in any_case(25), choices in any_choices(), at in prop::option::of(0_usize..40)) {
        let mut run = case.run(&choices, at);
        if run.progress.run_state() == RunState::Failed {
            run.resume();
        }
        for (n, progress) in run.kept.iter().enumerate() {
            let replayed = replay(&case.plan, &run.journal[..=n]);
            prop_assert_eq!(replayed.as_ref(), Ok(progress), "entry {}", n);
        }
    }

    #[test]
    fn any_change_of_one_entry_is_found(case in any_case(12), choices in any_choices(), pick in any::<prop::sample::Index>()) {
        let run = case.run(&choices, None);
        let place = pick.index(run.journal.len());
        for (what, bad) in mutations(&run.journal, place) {
            let found = check_journal(&case.plan, &bad, &run.progress);
            prop_assert!(found.is_err(), "{} of entry {}: {:?}", what, place, run.journal[place]);
        }
        check_journal(&case.plan, &run.journal, &run.progress).unwrap();
    }
}

/// The journal with one entry changed, lost, doubled or moved, in every way there is.
fn mutations(journal: &[JournalEntry], place: usize) -> Vec<(&'static str, Vec<JournalEntry>)> {
    use tollgate_core::graph::EntryKind;
    let mut out = Vec::new();
    let mut change = |what, f: &dyn Fn(&mut JournalEntry)| {
        let mut bad = journal.to_vec();
        f(&mut bad[place]);
        if bad != journal {
            out.push((what, bad));
        }
    };
    change("run", &|e| e.run = RunId::from_bytes([8; 16]));
    change("seq", &|e| e.seq += 1);
    for kind in EntryKind::ALL {
        change("kind", &|e| e.kind = *kind);
    }
    for step in [None, Some(0), Some(1), Some(11), Some(u32::MAX)] {
        change("step", &|e| e.step = step);
    }
    change("request", &|e| e.request_hash = Digest::of(&e.request_hash.0));
    for result in [None, Some(kept(&json!(null))), Some(kept(&json!("x".repeat(20_000))))] {
        change("result", &|e| e.result = result.clone());
    }
    change("semantics", &|e| e.semantics_version += 1);
    let mut lost = journal.to_vec();
    lost.remove(place);
    out.push(("loss", lost));
    out.push(("end", journal[..place].to_vec()));
    let mut twice = journal.to_vec();
    twice.insert(place, journal[place].clone());
    out.push(("double", twice));
    if place + 1 < journal.len() {
        let mut moved = journal.to_vec();
        moved.swap(place, place + 1);
        out.push(("order", moved));
    }
    out
}
