//! Fences, which also count deaths: the claims of a step that ended without a word since it last got anywhere.

/// Claims of one step that may end without a word: a step that takes its worker down each time is given up after so many. Not few: where workers
/// are killed and stopped every second and hold each other's locks meanwhile, steps that did nothing wrong see five deaths in half a minute.
pub const DEATHS_MAX: u64 = 10;

/// The fences of a step between two commits that move it. Nothing claims it more often than this without one.
const FENCES: u64 = 16;

/// The fence that a node becomes ready with: above all that were given out for it before this entry of the run's journal.
pub const fn first_fence(next_seq: u32) -> u64 {
    next_seq as u64 * FENCES
}

/// The fence that a step is set aside with by whoever had it under this one: above it, and nobody died of the step since.
pub const fn set_aside(fence: u64) -> u64 {
    fence.next_multiple_of(FENCES)
}

/// How many claims of a step ended without a word before the one with this fence.
pub const fn deaths_before(fence: u64) -> u64 {
    fence.saturating_sub(1) % FENCES
}
