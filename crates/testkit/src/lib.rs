//! What tests and the simulator run the real code against: a clock that moves by hand, seeded randomness, and a world of fakes.

mod clock;
mod lossy;
mod remote;
mod sealer;
mod world;

pub use clock::{SeededEntropy, SimClock};
pub use lossy::{Loss, LossyEffects, Point};
pub use remote::{Behaviour, Remote};
pub use sealer::PlainSealer;
pub use world::{FakeBundles, FakePolicy, event, operator, scope, spec, write_tool};
