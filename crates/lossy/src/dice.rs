//! Which unsynced writes reach the disk all the same: a disk keeps no order among them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a disk writes at once.
const SECTOR: usize = 512;

static STATE: AtomicU64 = AtomicU64::new(0);

/// Begins the throws anew.
pub fn seed(seed: u64) {
    STATE.store(seed, Ordering::Relaxed);
}

/// The next throw (splitmix64: every state gives another number, and threads need no lock).
fn next() -> u64 {
    let mut z = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which part of a write of `len` bytes goes to the disk at once: mostly none, sometimes all, sometimes only its first sectors.
pub fn through(len: usize) -> Option<Range<usize>> {
    let throw = next();
    match throw % 8 {
        0 | 1 => Some(0..len),
        2 => {
            let sectors = (len / SECTOR) as u64;
            let kept = (throw >> 8).checked_rem(sectors).map_or(0, |s| usize::try_from(s).unwrap_or(0) * SECTOR);
            (kept > 0).then_some(0..kept)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_writes_go_through_some_in_part_most_not() {
        seed(7);
        let parts: Vec<_> = (0..1000).map(|_| through(4096)).collect();
        let whole = parts.iter().filter(|p| **p == Some(0..4096)).count();
        let none = parts.iter().filter(|p| p.is_none()).count();
        assert!((150..350).contains(&whole), "{whole}");
        assert!((550..750).contains(&none), "{none}");
        assert!(parts.iter().flatten().all(|r| r.end % SECTOR == 0));
        assert!(whole + none < 1000, "some are torn");
    }
}
