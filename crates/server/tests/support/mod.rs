//! What the tests of the routes stand on: a whole house in one process, and requests to it.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

mod broken;
mod bundle;
mod call;
mod house;

pub use broken::Broken;
pub use call::{Answer, Call};
pub use house::{House, scope};
