//! `tollgate demo`: the GitHub triage example on its real deliveries, against a tracker that now and then answers late or not at all.

mod crew;
mod deliver;
mod people;
mod run;
mod stage;
mod table;
mod tracker;

pub use run::{Demo, run};
