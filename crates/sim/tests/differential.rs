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
#[path = "differential/world.rs"]
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, FailurePersistence, TestRunner};

use ops::{Op, any_op};
use world::World;

/// Histories, and the most commands of one. `DIFFERENTIAL_CASES` asks for more.
const CASES: u32 = 24;
const LENGTH: usize = 70;
/// Everything that can be read is compared after so many commands.
const INTERVAL: usize = 35;

fn live(history: &[Op]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::open();
        let mut done = Vec::new();
        for (i, op) in history.iter().enumerate() {
            done.push(world.run(op).await);
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
        prop_assert!(world.differences.is_empty(), "{}\nafter:\n{}", world.differences.join("\n"), done.join("\n"));
        Ok(())
    })
}

#[test]
fn sqlite_and_postgres_give_the_same_answers() {
    let cases = std::env::var("DIFFERENTIAL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 400, failure_persistence: None::<Box<dyn FailurePersistence>>, ..Config::default() };
    // The seed is in the failure's message, and `PROPTEST_RNG_SEED` sets it.
    let mut runner = TestRunner::new(config);
    let histories = proptest::collection::vec(any_op(), LENGTH / 2..LENGTH);
    runner.run(&histories, |history| live(&history)).unwrap();
}
