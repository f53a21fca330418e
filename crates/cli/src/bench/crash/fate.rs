//! Seeded chance: what the upstream does with a call, and when a process is killed. The same seed throws the same for the same name.

use std::time::Duration;

/// A throw for a named thing: equal for equal names, whatever order they are asked in.
pub fn throw(seed: u64, name: &str, n: u64) -> u64 {
    // FNV-1a over the name, then the mixer of splitmix64, whose lower bits are as good as its upper ones.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A span between two, by a throw.
pub fn between(throw: u64, from: Duration, to: Duration) -> Duration {
    let width = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
    from + Duration::from_millis(throw.checked_rem(width).unwrap_or(0))
}

/// What the upstream does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Applies and answers.
    Answer,
    /// The same after a while, inside the deadline.
    Slowly,
    /// Applies at once, answers when nobody listens any more.
    AnswerLate,
    /// Applies after the deadline.
    ApplyLate,
    /// Applies, and closes the connection.
    LoseAnswer,
    /// Closes the connection and applies nothing.
    LoseCall,
    /// Refuses with this status and applies nothing.
    Refuse(u16),
}

impl Fate {
    /// Of one call of an operation.
    pub fn of_call(throw: u64) -> Self {
        match throw % 100 {
            0..=3 => Self::Slowly,
            4..=6 => Self::AnswerLate,
            7..=10 => Self::ApplyLate,
            11..=15 => Self::LoseAnswer,
            16..=18 => Self::LoseCall,
            19..=21 => Self::Refuse(429),
            22..=24 => Self::Refuse(503),
            _ => Self::Answer,
        }
    }

    /// Of a question: it mostly answers.
    pub fn of_question(throw: u64) -> Self {
        match throw % 100 {
            0..=4 => Self::LoseCall,
            5..=9 => Self::Refuse(503),
            10..=14 => Self::Slowly,
            _ => Self::Answer,
        }
    }

    /// Whether the caller never hears what became of its call.
    pub const fn leaves_doubt(self) -> bool {
        matches!(self, Self::AnswerLate | Self::ApplyLate | Self::LoseAnswer | Self::LoseCall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_the_same_and_another_seed_does_not() {
        let row = |seed| (0..8).map(|n| throw(seed, "op-1", n)).collect::<Vec<_>>();
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
        assert_ne!(throw(1, "op-1", 0), throw(1, "op-2", 0));
    }

    #[test]
    fn every_fate_comes_up() {
        let fates: Vec<_> = (0..2000).map(|n| Fate::of_call(throw(7, "op", n))).collect();
        let of = |f: Fate| fates.iter().filter(|x| **x == f).count();
        for fate in
            [Fate::Slowly, Fate::AnswerLate, Fate::ApplyLate, Fate::LoseAnswer, Fate::LoseCall, Fate::Refuse(429), Fate::Refuse(503)]
        {
            assert!((20..200).contains(&of(fate)), "{fate:?}: {}", of(fate));
        }
        assert!(of(Fate::Answer) > 1200);
    }
}
