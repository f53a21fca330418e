//! A check that cannot fail proves nothing: each deliberate mistake (design, section 13) breaks the law that forbids it within a few
//! hundred seeds, and the same seeds without it break none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use tollgate_sim::{Law, Mistake, run};

/// Seeds within which every mistake must have shown itself.
const SEEDS: u64 = 1000;

/// Runs seeds until the mistake breaks `law`. Without it, none of them breaks any.
#[track_caller]
fn breaks(law: Law, mistake: Mistake, right: Mistake) {
    let broken = (0..SEEDS).find_map(|seed| {
        let control = run(seed, right);
        assert!(control.is_ok(), "without the mistake: {}", control.unwrap_err());
        run(seed, mistake).err().filter(|b| b.faults.iter().any(|f| f.law == law))
    });
    assert!(broken.is_some(), "{SEEDS} seeds with {mistake:?} never broke {law:?}");
}

#[test]
fn mistake_no_intent() {
    breaks(Law::OneEffect, Mistake::NoIntent, Mistake::None);
}

#[test]
fn mistake_timeout_is_failure() {
    breaks(Law::OneEffect, Mistake::TimeoutIsFailure, Mistake::None);
}

#[test]
fn mistake_key_not_unique() {
    breaks(Law::OneEffect, Mistake::KeyNotUnique, Mistake::None);
}

#[test]
fn mistake_no_fence() {
    breaks(Law::Fence, Mistake::NoFence, Mistake::None);
}

#[test]
fn mistake_workers_clock() {
    breaks(Law::Lease, Mistake::WorkersClock, Mistake::None);
}

#[test]
fn mistake_lane_released_early() {
    breaks(Law::Lanes, Mistake::LaneReleasedEarly, Mistake::LaneReleasedInTime);
}

/// Lanes kept outside the store are no fault in themselves: what the last mistake is found for is its order alone.
#[test]
fn lanes_kept_outside_the_store_break_nothing_when_released_in_time() {
    for seed in 0..100 {
        assert_eq!(run(seed, Mistake::LaneReleasedInTime).err(), None, "seed {seed}");
    }
}
