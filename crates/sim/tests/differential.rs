//! The two engines give the same answers: random commands of every port go to SQLite and to Postgres with the same ids and the same clock, and
//! every answer, and everything that can be read, is compared. A failure is shrunk, and printed with its seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

#[path = "differential/acts.rs"]
mod acts;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/config.rs"]
mod config;
#[path = "differential/graphs.rs"]
mod graphs;
#[path = "differential/ops.rs"]
mod ops;
#[path = "differential/people.rs"]
mod people;
#[path = "differential/steps.rs"]
mod steps;
#[path = "differential/terms.rs"]
mod terms;
#[path = "differential/world.rs"]
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, FailurePersistence, RngAlgorithm, RngSeed, TestRng, TestRunner};

use ops::{Op, any_op};
use world::World;

/// Histories of this run's own seed, and the most commands of one. `DIFFERENTIAL_CASES` asks for more.
const CASES: u32 = 24;
const LENGTH: usize = 140;
/// Everything that can be read is compared after so many commands.
const INTERVAL: usize = 70;
/// Histories that are the same in every run, and what they must have met: what meets nothing proves nothing.
const FIXED: u32 = 40;
const MET: &[&str] = &[
    "Ingest Ok",
    "Submit Ok",
    "Claim Ok",
    "Plan Ok",
    "Begin Ok(Intent)",
    "Begin Ok(LaneBusy)",
    "Begin Ok(Key(Held",
    "Begin Err(LeaseLost)",
    "Begin Err(Stale)",
    "Dispose Ok",
    "Defer Ok",
    "Ask Ok",
    "Approve Ok(Approved)",
    "Approve Ok(StillOpen",
    "Approve Ok(Expired)",
    "End Ok",
    "Cancel Ok",
    "GiveUp Ok",
    "Fire Ok",
    "Reap Ok",
    "Start Ok",
    "Node Ok",
    "Stop Ok",
    "Resume Ok",
    "Deploy Ok",
    "Replay Ok",
    "Slice Ok",
];

type Met = RefCell<BTreeMap<String, u32>>;

/// `Op { .. } -> answer` as the command's name and the beginning of its answer.
fn count(met: &Met, done: &str) {
    let (op, answer) = done.trim_start().split_once(" -> ").unwrap();
    let name = op.split([' ', '{']).next().unwrap();
    for wanted in MET.iter().filter(|w| format!("{name} {answer}").starts_with(**w)) {
        *met.borrow_mut().entry((*wanted).to_owned()).or_default() += 1;
    }
}

async fn history(mut world: World, history: &[Op], met: &Met) -> Result<(), String> {
    world.open_sessions().await;
    let mut done = Vec::new();
    for (i, op) in history.iter().enumerate() {
        done.push(world.run(op).await);
        count(met, &done[i]);
        if world.differences.is_empty() && (i + 1) % INTERVAL == 0 {
            world.compare().await;
        }
        if !world.differences.is_empty() {
            break;
        }
    }
    if world.differences.is_empty() {
        world.compare().await;
    }
    if world.differences.is_empty() { Ok(()) } else { Err(format!("{}\nafter:\n{}", world.differences.join("\n"), done.join("\n"))) }
}

fn live(world: World, ops: &[Op], met: &Met) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(history(world, ops, met)).map_err(TestCaseError::fail)
}

fn config(cases: u32) -> Config {
    Config { cases, max_shrink_iters: 400, failure_persistence: None::<Box<dyn FailurePersistence>>, ..Config::default() }
}

/// The same histories in every run.
fn fixed(config: Config) -> TestRunner {
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

fn histories() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(any_op(), LENGTH / 2..LENGTH)
}

#[test]
fn sqlite_and_postgres_give_the_same_answers() {
    let cases = std::env::var("DIFFERENTIAL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    // Given as `PROPTEST_RNG_SEED`, the seed gives the same histories again.
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random::<u64>(),
    };
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..config(cases) });
    let met = Met::default();
    runner.run(&histories(), |ops| live(World::open(), &ops, &met)).unwrap_or_else(|e| panic!("PROPTEST_RNG_SEED={seed}: {e}"));
}

#[test]
fn fixed_histories_meet_what_there_is_to_meet() {
    let met = Met::default();
    fixed(config(FIXED)).run(&histories(), |ops| live(World::open(), &ops, &met)).unwrap();
    let met = met.into_inner();
    let missed: Vec<_> = MET.iter().filter(|w| !met.contains_key(**w)).collect();
    assert!(missed.is_empty(), "never met: {missed:?}; met: {met:?}");
}

#[test]
fn a_difference_is_found() {
    let config = Config { max_shrink_iters: 0, ..config(4) };
    let found = fixed(config).run(&histories(), |ops| live(World::skewed(), &ops, &Met::default()));
    assert!(found.is_err(), "one store's clock was a second ahead, and nobody noticed");
}
