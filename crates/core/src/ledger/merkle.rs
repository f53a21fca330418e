//! The Merkle log's arithmetic (RFC 9162): hashes, the frontier, and which complete subtrees cover a range.
//!
//! Knows nothing of what a leaf says or of where hashes lie; proofs over stored hashes are in `proof`.

use sha2::{Digest as _, Sha256};

use crate::hash::Digest;

/// The store keeps the roots of complete subtrees at levels 8, 16, 24, … only; the rest is computed from leaf hashes.
pub const TILE_HEIGHT: u8 = 8;
/// Most leaves in one log: positions travel as JSON numbers and must stay exact.
pub const SIZE_MAX: u64 = 1 << 53;

/// The hash of a leaf's bytes.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// The hash of two neighbouring subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of a log without entries.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// One root out of the peaks of complete subtrees, largest first.
pub(super) fn fold_peaks(peaks: &[Digest]) -> Digest {
    let mut from_right = peaks.iter().rev();
    from_right.next().map_or_else(empty_root, |last| from_right.fold(*last, |right, left| node_hash(left, &right)))
}

/// The fewest complete subtrees that cover `from..to`, as `(level, index)`, left to right. A subtree of level `l` and index `i`
/// has the leaves `i * 2^l .. (i + 1) * 2^l`.
pub fn cover(from: u64, to: u64) -> Vec<(u8, u64)> {
    let mut subtrees = Vec::new();
    let mut at = from;
    while at < to {
        let aligned = if at == 0 { 63 } else { at.trailing_zeros() };
        let level = aligned.min((to - at).ilog2());
        subtrees.push((u8::try_from(level).unwrap_or(63), at >> level));
        at += 1 << level;
    }
    subtrees
}

/// Why stored or received hashes are not a frontier.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrontierError {
    /// The bytes were not written by [`Frontier::to_bytes`]: the head row is damaged.
    #[error("the stored frontier is damaged: {0} bytes cannot be its size and hashes")]
    Damaged(usize),
    /// The number of hashes does not fit the size.
    #[error("{size} entries are covered by {want} subtree hashes, not by {got}")]
    Count {
        /// Entries to cover.
        size: u64,
        /// Subtrees that cover them.
        want: u32,
        /// Hashes given.
        got: usize,
    },
    /// A subtree cannot stand at this position.
    #[error("a subtree of level {level} cannot stand at position {at}")]
    Misaligned {
        /// Its level.
        level: u8,
        /// Where it was to be put.
        at: u64,
    },
    /// The log is full.
    #[error("a log holds at most 2^53 entries")]
    Full,
}

/// The right edge of a log: all that is needed to append to it and to know its root. At most 53 hashes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The frontier of a log without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the roots of the subtrees that [`cover`] gives for `0..size`.
    ///
    /// # Errors
    /// When there are too many or too few of them.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Result<Self, FrontierError> {
        if size > SIZE_MAX {
            return Err(FrontierError::Full);
        }
        if peaks.len() != size.count_ones() as usize {
            return Err(FrontierError::Count { size, want: size.count_ones(), got: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Entries in the log.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees that cover the log, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The root over everything appended so far.
    pub fn root(&self) -> Digest {
        fold_peaks(&self.peaks)
    }

    /// Appends a leaf hash. `emit(level, index, root)` is called for each tile that this completes; the store keeps those.
    ///
    /// # Errors
    /// When the log is full.
    pub fn append(&mut self, leaf: Digest, emit: impl FnMut(u8, u64, Digest)) -> Result<(), FrontierError> {
        self.push(0, leaf, emit)
    }

    /// Appends a complete subtree by its root. Used when checking an export that covers a part of the log.
    ///
    /// # Errors
    /// When a subtree of this level cannot begin where the log ends.
    pub fn append_subtree(&mut self, level: u8, root: Digest) -> Result<(), FrontierError> {
        self.push(level, root, |_, _, _| {})
    }

    fn push(&mut self, level: u8, root: Digest, mut emit: impl FnMut(u8, u64, Digest)) -> Result<(), FrontierError> {
        let width = 1_u64.checked_shl(u32::from(level)).unwrap_or(0);
        if width == 0 || !self.size.is_multiple_of(width) {
            return Err(FrontierError::Misaligned { level, at: self.size });
        }
        let size = self.size.checked_add(width).filter(|s| *s <= SIZE_MAX).ok_or(FrontierError::Full)?;
        let (mut hash, mut level, mut index) = (root, level, self.size >> level);
        while index & 1 == 1 {
            // INVARIANT: one peak per bit of the size, so an odd index always has a left neighbour.
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            index >>= 1;
            level += 1;
            if level.is_multiple_of(TILE_HEIGHT) {
                emit(level, index, hash);
            }
        }
        self.peaks.push(hash);
        self.size = size;
        Ok(())
    }

    /// The stored form: the size as 8 bytes, most significant first, then 32 bytes per peak.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 32 * self.peaks.len());
        out.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            out.extend_from_slice(&peak.0);
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let damaged = || FrontierError::Damaged(bytes.len());
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (hashes, tail) = rest.as_chunks::<32>();
        if !tail.is_empty() {
            return Err(damaged());
        }
        Self::from_peaks(u64::from_be_bytes(*size), hashes.iter().map(|h| Digest(*h)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grown(n: u64) -> Frontier {
        let mut f = Frontier::new();
        for i in 0..n {
            f.append(leaf_hash(&i.to_be_bytes()), |_, _, _| {}).unwrap();
        }
        f
    }

    #[test]
    fn known_roots_of_rfc_9162_trees() {
        // The seven-leaf example data of RFC 6962's reference implementation.
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut f = Frontier::new();
        assert_eq!(f.root().to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for leaf in leaves {
            f.append(leaf_hash(leaf), |_, _, _| {}).unwrap();
        }
        assert_eq!(f.root().to_hex(), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn tiles_come_out_when_their_last_leaf_comes_in() {
        let (mut f, mut tiles) = (Frontier::new(), Vec::new());
        for i in 0..65_536_u64 {
            f.append(leaf_hash(&i.to_be_bytes()), |level, index, _| tiles.push((level, index, i))).unwrap();
        }
        assert_eq!(tiles.len(), 257);
        assert!(tiles.iter().take(256).enumerate().all(|(n, t)| *t == (8, n as u64, n as u64 * 256 + 255)));
        assert_eq!(tiles.last(), Some(&(16, 0, 65_535)));
    }

    #[test]
    fn damaged_frontiers_are_refused() {
        let good = grown(5).to_bytes();
        assert_eq!(Frontier::from_bytes(&good), Ok(grown(5)));
        assert!(matches!(Frontier::from_bytes(&good[..good.len() - 1]), Err(FrontierError::Damaged(_))));
        assert!(matches!(Frontier::from_bytes(&good[..good.len() - 32]), Err(FrontierError::Count { size: 5, want: 2, got: 1 })));
        assert!(Frontier::from_bytes(&[]).is_err());
        assert!(Frontier::from_bytes(&u64::MAX.to_be_bytes()).is_err());
        assert!(matches!(grown(5).append_subtree(1, empty_root()), Err(FrontierError::Misaligned { level: 1, at: 5 })));
        assert!(Frontier::new().append_subtree(64, empty_root()).is_err());
    }

    proptest! {
        #[test]
        fn a_range_with_its_two_sides_gives_the_root(size in 1_u64..600, a in 0_u64..600, b in 0_u64..600) {
            let (from, to) = (a.min(b).min(size), a.max(b).min(size));
            let subtree = |(level, index): (u8, u64)| {
                let mut f = Frontier::new();
                for i in (index << level)..((index + 1) << level) {
                    f.append(leaf_hash(&i.to_be_bytes()), |_, _, _| {}).unwrap();
                }
                f.root()
            };
            let mut f = Frontier::from_peaks(from, cover(0, from).into_iter().map(subtree).collect()).unwrap();
            prop_assert_eq!(&f, &grown(from));
            for i in from..to {
                f.append(leaf_hash(&i.to_be_bytes()), |_, _, _| {}).unwrap();
            }
            for s in cover(to, size) {
                f.append_subtree(s.0, subtree(s)).unwrap();
            }
            prop_assert_eq!(f, grown(size));
        }
    }
}
