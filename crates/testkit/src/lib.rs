//! What tests and the simulator run the real code against: a clock that moves by hand, seeded randomness, and a world of fakes.

mod clock;
mod fates;
mod graphs;
mod lossy;
mod pauses;
mod pauses_outside;
mod remote;
mod sealer;
mod world;

pub use clock::{SeededEntropy, SimClock, SkewedClock};
pub use fates::{Fates, Odds, Turn};
pub use graphs::FakeCompute;
pub use lossy::{Loss, LossyEffects, Point};
pub use pauses::PausedStore;
pub use pauses_outside::{PausedSealer, PausedTools};
pub use remote::{Behaviour, Remote, TAKE_BACK, undo_id};
pub use sealer::PlainSealer;
pub use world::{FakeBundles, FakePolicy, event, operator, scope, spec, write_tool};
