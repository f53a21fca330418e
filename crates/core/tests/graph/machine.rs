//! Single moves of the machine, one story each.

use std::time::Duration;

use tollgate_core::graph::{GraphPlan, Outcome, Progress, Refused, StepState, cancel, finish, resume, retry, start};
use tollgate_core::ledger::Disposition;
use tollgate_core::run::RunState;
use tollgate_core::spec::RetrySpec;

use super::support::{at, plan, said, show};

use Outcome::{Cancelled, Deferred, Failed, Succeeded, Unknown};

/// Ends steps one after the other; answers what the last end led to.
fn end(plan: &GraphPlan, p: &mut Progress, ends: &[(&str, Outcome)]) -> String {
    let mut last = String::new();
    for (name, outcome) in ends {
        last = said(plan, &finish(plan, p, at(plan, name), *outcome).unwrap());
    }
    last
}

#[test]
fn what_depends_on_nothing_starts_and_a_fan_in_waits_for_all() {
    let plan = plan(&["a", "b", "c: a b", "d: c"]);
    let (mut p, first) = start(&plan);
    assert_eq!(said(&plan, &first), "ready [a b] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("b", Succeeded)]), "ready [] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("a", Succeeded)]), "ready [c] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("c", Succeeded), ("d", Succeeded)]), "ready [] skipped [] cancelled [] succeeded");
}

#[test]
fn a_failure_skips_all_that_depends_on_it_and_other_branches_go_on() {
    let plan = plan(&["a", "b: a", "c: b x", "x", "y: x"]);
    let (mut p, _) = start(&plan);
    assert_eq!(end(&plan, &mut p, &[("a", Failed)]), "ready [] skipped [b c] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("x", Succeeded)]), "ready [y] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("y", Succeeded)]), "ready [] skipped [] cancelled [] failed");
    assert_eq!(show(&plan, &p), "a:failed b:skipped c:skipped x:succeeded y:succeeded | failed");
}

#[test]
fn a_failure_under_continue_skips_nothing_and_the_run_has_failed_all_the_same() {
    let plan = plan(&["a!", "b: a", "c!: b", "d: c"]);
    let (mut p, _) = start(&plan);
    assert_eq!(end(&plan, &mut p, &[("a", Failed)]), "ready [b] skipped [] cancelled [] running");
    // What is skipped is not a failure of its own: `continue` does not hold it up.
    assert_eq!(end(&plan, &mut p, &[("b", Failed)]), "ready [] skipped [c d] cancelled [] failed");
}

#[test]
fn an_unknown_holds_its_dependents_until_it_is_resolved() {
    let plan = plan(&["a!", "b: a", "x"]);
    let (mut p, _) = start(&plan);
    assert_eq!(end(&plan, &mut p, &[("a", Unknown)]), "ready [] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("x", Succeeded)]), "ready [] skipped [] cancelled [] needs_resolution");
    let mut other = p.clone();
    assert_eq!(end(&plan, &mut p, &[("a", Succeeded)]), "ready [b] skipped [] cancelled [] running");
    assert_eq!(p.attempts(0), 1, "a person's word is no attempt");
    assert_eq!(end(&plan, &mut other, &[("a", Failed)]), "ready [b] skipped [] cancelled [] running", "it says `continue`");
}

#[test]
fn attempts_are_counted_through_backoff() {
    let plan = plan(&["a", "b: a"]);
    let (mut p, _) = start(&plan);
    assert_eq!(end(&plan, &mut p, &[("a", Deferred), ("a", Deferred)]), "ready [] skipped [] cancelled [] running");
    assert_eq!((p.state(0), p.attempts(0)), (Some(StepState::Backoff), 2));
    assert_eq!(end(&plan, &mut p, &[("a", Succeeded)]), "ready [b] skipped [] cancelled [] running");
    assert_eq!((p.attempts(0), p.attempts(1)), (3, 0));
}

#[test]
fn a_cancel_lets_nothing_become_ready_and_waits_for_what_is_handed_out() {
    let plan = plan(&["a", "b: a", "c", "d!", "e"]);
    let (mut p, _) = start(&plan);
    end(&plan, &mut p, &[("c", Deferred), ("d", Unknown)]);
    assert_eq!(said(&plan, &cancel(&plan, &mut p).unwrap()), "ready [] skipped [] cancelled [b] running");
    assert_eq!(cancel(&plan, &mut p), Err(Refused::Cancelling));
    assert_eq!(finish(&plan, &mut p, 2, Deferred), Err(Refused::Cancelling), "it is not tried again");
    // One worker brings its result, another gives up, the third step is held by nobody.
    assert_eq!(end(&plan, &mut p, &[("a", Succeeded)]), "ready [] skipped [] cancelled [] running");
    assert_eq!(end(&plan, &mut p, &[("c", Cancelled), ("e", Cancelled)]), "ready [] skipped [] cancelled [] needs_resolution");
    assert_eq!(finish(&plan, &mut p, 3, Cancelled), Err(Refused::WrongState { step: 3, state: StepState::Unknown }));
    assert_eq!(end(&plan, &mut p, &[("d", Succeeded)]), "ready [] skipped [] cancelled [] cancelled");
    assert_eq!(show(&plan, &p), "a:succeeded b:cancelled c:cancelled d:succeeded e:cancelled | cancelled");
    assert_eq!((p.attempts(2), p.attempts(4)), (1, 0), "who gives up makes no attempt");
    assert_eq!(cancel(&plan, &mut p), Err(Refused::WrongRunState(RunState::Cancelled)));
    assert_eq!(resume(&plan, &mut p), Err(Refused::WrongRunState(RunState::Cancelled)));
}

#[test]
fn what_cannot_happen_is_refused_and_changes_nothing() {
    let plan = plan(&["a", "b: a"]);
    let (mut p, _) = start(&plan);
    let before = p.clone();
    let tried = [(1, Succeeded), (2, Succeeded), (0, Cancelled)].map(|(step, o)| finish(&plan, &mut p, step, o).unwrap_err().to_string());
    insta::assert_snapshot!(tried.join("\n"), @r#"
    step 1 is `waiting`: it cannot end in this way now
    there is no step 2: the graph has 2
    the run is not being cancelled
    "#);
    assert_eq!(p, before);
    end(&plan, &mut p, &[("a", Succeeded)]);
    for late in [Succeeded, Failed, Deferred, Unknown] {
        assert_eq!(finish(&plan, &mut p, 0, late), Err(Refused::WrongState { step: 0, state: StepState::Succeeded }), "{late:?}");
    }
    assert_eq!(finish(&super::support::plan(&["a"]), &mut p, 0, Succeeded), Err(Refused::OtherGraph { progress: 2, plan: 1 }));
}

#[test]
fn a_resumed_run_does_again_what_failed_and_what_was_skipped_for_it() {
    let plan = plan(&["a", "b: a", "c: b", "d: a", "e: c d"]);
    let (mut p, _) = start(&plan);
    assert_eq!(resume(&plan, &mut p), Err(Refused::WrongRunState(RunState::Running)));
    end(&plan, &mut p, &[("a", Succeeded), ("b", Deferred), ("b", Failed), ("d", Succeeded)]);
    assert_eq!(show(&plan, &p), "a:succeeded b:failed c:skipped d:succeeded e:skipped | failed");
    assert_eq!(said(&plan, &resume(&plan, &mut p).unwrap()), "ready [b] skipped [] cancelled [] running");
    assert_eq!(show(&plan, &p), "a:succeeded b:ready c:waiting d:succeeded e:waiting | running");
    assert_eq!(p.attempts(1), 0, "its attempts are counted anew");
    assert_eq!(end(&plan, &mut p, &[("b", Succeeded), ("c", Succeeded), ("e", Succeeded)]), "ready [] skipped [] cancelled [] succeeded");
}

#[test]
fn a_failure_that_was_left_behind_is_not_done_again() {
    let plan = plan(&["a!", "b: a", "x!", "y!: x", "z: y"]);
    let (mut p, _) = start(&plan);
    end(&plan, &mut p, &[("a", Failed), ("b", Succeeded), ("x", Failed), ("y", Failed), ("z", Failed)]);
    assert_eq!(said(&plan, &resume(&plan, &mut p).unwrap()), "ready [x] skipped [] cancelled [] running");
    assert_eq!(show(&plan, &p), "a:failed b:succeeded x:ready y:waiting z:waiting | running");
    end(&plan, &mut p, &[("x", Succeeded), ("y", Failed), ("z", Succeeded)]);
    // `z` has used the failure of `y`, and `y` has used the success of `x`.
    assert_eq!(resume(&plan, &mut p), Err(Refused::NothingToResume));
}

#[test]
fn dispositions_become_outcomes() {
    for d in Disposition::ALL {
        let want = match d.as_str() {
            "applied" | "deduplicated" => Succeeded,
            "unknown" => Unknown,
            "cancelled" => Cancelled,
            _ => Failed,
        };
        assert_eq!(Outcome::of_action(*d), want, "{d}");
    }
}

#[test]
fn retries_wait_longer_each_time_and_end() {
    let spec: RetrySpec = serde_json::from_str(r#"{"max_attempts": 4, "base": "100ms", "cap": "250ms"}"#).unwrap();
    let ms = Duration::from_millis;
    assert_eq!([1, 2, 3, 4, 5].map(|n| retry(&spec, n, 1000)), [Some(ms(100)), Some(ms(200)), Some(ms(250)), None, None]);
    assert_eq!(retry(&spec, 1, 0), Some(ms(50)), "the jitter takes up to half");
}

#[test]
fn long_wide_and_dense_graphs_run_through() {
    let long: Vec<String> = (0..1000).map(|i| if i == 0 { "s0".to_owned() } else { format!("s{i}: s{}", i - 1) }).collect();
    let wide: Vec<String> = (0..999).map(|i| format!("s{i}")).chain([format!("end: {}", all(0..100))]).collect();
    let dense: Vec<String> = (0..60).map(|i| format!("s{i}: {}", all(0..i))).collect();
    for steps in [long, wide, dense] {
        let plan = plan(&steps.iter().map(String::as_str).collect::<Vec<_>>());
        let (mut p, first) = start(&plan);
        let mut todo = first.ready;
        let mut state = first.state;
        while let Some(i) = todo.pop() {
            let next = finish(&plan, &mut p, i, Succeeded).unwrap();
            todo.extend(next.ready);
            state = next.state;
        }
        assert_eq!(state, RunState::Succeeded);
        let (mut p, _) = start(&plan);
        let skipped = finish(&plan, &mut p, 0, Failed).unwrap().skipped;
        assert_eq!(skipped.len(), (1..plan.len()).filter(|i| !plan.depends_on(*i).is_empty()).count());
    }
}

fn all(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ")
}
