//! The one binary.

mod node;
mod system;

fn main() {}
