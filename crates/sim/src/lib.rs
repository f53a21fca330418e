//! The real core, worker and store over a fake world, on one thread, with a clock that moves by hand.

mod house;

pub use house::{House, HouseError};
