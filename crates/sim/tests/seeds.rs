//! Random histories: several workers over one store that wait, sleep, die and lose answers at any await, remotes that apply late, clocks
//! that jump. Whatever happens, no law is broken; and a seed says it all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_sim::{Broken, Mistake, run};

const SEEDS: u64 = 2000;
const THREADS: u64 = 2;

/// One seed when it is asked for, all of them otherwise.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("TOLLGATE_SEED") {
        Ok(text) => {
            let seed = text.parse().unwrap_or_else(|_| panic!("TOLLGATE_SEED is a number, not `{text}`"));
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    }
}

#[test]
fn random_histories_never_break_a_law() {
    let (seeds, next) = (seeds(), AtomicU64::new(0));
    let work = || {
        let mut broken: Vec<Broken> = Vec::new();
        loop {
            let seed = seeds.start + next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || broken.len() > 3 {
                return broken;
            }
            broken.extend(run(seed, Mistake::None).err());
        }
    };
    let broken: Vec<Broken> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..THREADS).map(|_| s.spawn(work)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let told: Vec<_> = broken.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}\nrerun one: TOLLGATE_SEED=n cargo test -p tollgate-sim --test seeds", told.join("\n"));
}

#[test]
fn a_seed_says_it_all() {
    for seed in 0..40 {
        let (first, again) = (run(seed, Mistake::None), run(seed, Mistake::None));
        assert_eq!(first, again, "seed {seed}");
    }
}
