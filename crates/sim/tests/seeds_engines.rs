//! Random histories on the other engines: Postgres, and effects and steps in transactions of their own, where every third time whoever would
//! tell the one of the other dies in between. Whatever happens, no law is broken.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use tollgate_sim::{Mistake, Stands, run_on};

fn holds(engine: &Stands, seeds: std::ops::Range<u64>) {
    let only = std::env::var("TOLLGATE_SEED").ok().map(|n| n.parse().unwrap());
    let seeds = only.map_or(seeds, |n: u64| n..n + 1);
    let broken: Vec<_> = seeds.filter_map(|seed| run_on(engine.clone(), seed, Mistake::None).err()).map(|b| b.to_string()).collect();
    assert!(broken.is_empty(), "{engine:?}: {}", broken.join("\n"));
}

#[test]
fn random_histories_on_postgres() {
    holds(&Stands::Postgres, 0..30);
}

#[test]
fn random_histories_apart() {
    holds(&Stands::SqliteApart, 0..300);
}

#[test]
fn random_histories_apart_where_the_teller_dies() {
    holds(&Stands::SqliteDiesBetween, 0..300);
}

#[test]
fn random_histories_apart_on_postgres() {
    holds(&Stands::PostgresApart, 0..10);
}

#[test]
fn random_histories_apart_on_postgres_where_the_teller_dies() {
    holds(&Stands::PostgresDiesBetween, 0..10);
}
