//! Inclusion, consistency and range proofs (RFC 9162): made from stored hashes, and verified from nothing but themselves.
//!
//! Knows how much is stored (leaf hashes and tiles), not where. Verification never asks a source.

use crate::hash::Digest;

use super::merkle::{Frontier, FrontierError, TILE_HEIGHT, cover, empty_root, fold_peaks, node_hash};

/// Where the hashes of one log lie.
pub trait HashSource {
    /// Why they could not be read.
    type Error;

    /// The leaf hashes of the positions `from..to`, in order. At most 256 are asked for at once.
    ///
    /// # Errors
    /// When they cannot be read.
    fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, Self::Error>;

    /// The tiles of a level (8, 16, …) with the indices `from..to`, in order. At most 256 are asked for at once, all complete.
    ///
    /// # Errors
    /// When they cannot be read.
    fn tiles(&self, level: u8, from: u64, to: u64) -> Result<Vec<Digest>, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError<E> {
    /// The question makes no sense for a log of this size: ask another.
    #[error("positions {from} to {to} do not lie in a log of {size} entries")]
    Range {
        /// First position asked for.
        from: u64,
        /// One past the last.
        to: u64,
        /// Entries in the log.
        size: u64,
    },
    /// The source gave fewer or more hashes than asked for: the stored log is damaged.
    #[error("the stored log lacks hashes: level {level} from {from} to {to} gave {got}")]
    Missing {
        /// Level asked for, 0 for leaves.
        level: u8,
        /// First index.
        from: u64,
        /// One past the last.
        to: u64,
        /// How many came.
        got: usize,
    },
    /// The source failed.
    #[error("the log's hashes cannot be read: {0}")]
    Source(E),
}

type Made<S, T> = Result<T, ProofError<<S as HashSource>::Error>>;

/// The root of a complete subtree: from one tile, or from at most 128 tiles or leaf hashes below it.
///
/// # Errors
/// When the source fails or lacks hashes.
pub fn subtree<S: HashSource>(source: &S, level: u8, index: u64) -> Made<S, Digest> {
    let base = level - level % TILE_HEIGHT;
    let width = 1_u64 << (level - base);
    let (from, to) = (index * width, (index + 1) * width);
    let hashes = if base == 0 { source.leaves(from, to) } else { source.tiles(base, from, to) }.map_err(ProofError::Source)?;
    if hashes.len() as u64 != width {
        return Err(ProofError::Missing { level: base, from, to, got: hashes.len() });
    }
    Ok(join(hashes))
}

/// The root over a power of two of equal subtrees.
fn join(mut hashes: Vec<Digest>) -> Digest {
    while hashes.len() > 1 {
        hashes = hashes.chunks(2).map(|pair| pair.iter().copied().reduce(|l, r| node_hash(&l, &r)).unwrap_or_else(empty_root)).collect();
    }
    hashes.first().copied().unwrap_or_else(empty_root)
}

fn hashes_of<S: HashSource>(source: &S, from: u64, to: u64) -> Made<S, Vec<Digest>> {
    cover(from, to).into_iter().map(|(level, index)| subtree(source, level, index)).collect()
}

/// The root of the log cut back to its first `size` entries.
///
/// # Errors
/// When the source fails or lacks hashes.
pub fn root_at<S: HashSource>(source: &S, size: u64) -> Made<S, Digest> {
    Ok(fold_peaks(&hashes_of(source, 0, size)?))
}

/// The largest power of two below `n`, for `n` of at least 2: where RFC 9162 splits a tree.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Proves that the entry at `position` is in the log of `size` entries: sibling hashes, from the leaf up.
///
/// # Errors
/// When the position lies outside, or the source fails.
pub fn inclusion_proof<S: HashSource>(source: &S, position: u64, size: u64) -> Made<S, Vec<Digest>> {
    if position >= size {
        return Err(ProofError::Range { from: position, to: position.saturating_add(1), size });
    }
    let (mut start, mut end, mut down) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if position < middle {
            down.push(fold_peaks(&hashes_of(source, middle, end)?));
            end = middle;
        } else {
            down.push(fold_peaks(&hashes_of(source, start, middle)?));
            start = middle;
        }
    }
    down.reverse();
    Ok(down)
}

/// Whether `proof` shows that a leaf with this hash stands at `position` in the log of `size` entries with this root.
pub fn verify_inclusion(leaf: Digest, position: u64, size: u64, proof: &[Digest], root: Digest) -> bool {
    if position >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (position, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Proves that the log of `size` entries begins with the log of `old` entries. Empty when the two are the same or `old` is 0.
///
/// # Errors
/// When `old` is beyond `size`, or the source fails.
pub fn consistency_proof<S: HashSource>(source: &S, old: u64, size: u64) -> Made<S, Vec<Digest>> {
    if old > size {
        return Err(ProofError::Range { from: old, to: old, size });
    }
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut down) = (0, size, Vec::new());
    while old < end {
        let middle = start + split(end - start);
        if old <= middle {
            down.push(fold_peaks(&hashes_of(source, middle, end)?));
            end = middle;
        } else {
            down.push(fold_peaks(&hashes_of(source, start, middle)?));
            start = middle;
        }
    }
    // Where the old log is itself a complete subtree at the left edge, its root is known and not sent.
    if start > 0 {
        down.push(fold_peaks(&hashes_of(source, start, end)?));
    }
    down.reverse();
    Ok(down)
}

/// Whether `proof` shows that the log of `size` entries with `root` begins with the log of `old` entries with `old_root`.
pub fn verify_consistency(old: u64, size: u64, old_root: Digest, root: Digest, proof: &[Digest]) -> bool {
    if old > size {
        return false;
    }
    if old == size {
        return proof.is_empty() && old_root == root;
    }
    if old == 0 {
        return proof.is_empty() && old_root == empty_root();
    }
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut rest = proof.iter();
    let first = if old.is_power_of_two() { Some(&old_root) } else { rest.next() };
    let Some(first) = first else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == root
}

/// What stands left and right of a range: with the range's own leaf hashes it gives the root of the whole log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RangeProof {
    /// Roots of the subtrees that cover everything before the range.
    pub left: Vec<Digest>,
    /// Roots of the subtrees that cover everything after it.
    pub right: Vec<Digest>,
}

/// Proves that `from..to` is a complete range of the log of `size` entries. Empty for the whole log.
///
/// # Errors
/// When the range lies outside, or the source fails.
pub fn range_proof<S: HashSource>(source: &S, from: u64, to: u64, size: u64) -> Made<S, RangeProof> {
    if from > to || to > size {
        return Err(ProofError::Range { from, to, size });
    }
    Ok(RangeProof { left: hashes_of(source, 0, from)?, right: hashes_of(source, to, size)? })
}

impl RangeProof {
    /// The frontier on which the range's leaf hashes are appended.
    ///
    /// # Errors
    /// When the number of left hashes does not fit.
    pub fn start(&self, from: u64) -> Result<Frontier, FrontierError> {
        Frontier::from_peaks(from, self.left.clone())
    }

    /// The root of the whole log, given the frontier after the range's last leaf.
    ///
    /// # Errors
    /// When the number of right hashes does not fit.
    pub fn finish(&self, mut at: Frontier, size: u64) -> Result<Digest, FrontierError> {
        let wanted = cover(at.size(), size);
        if wanted.len() != self.right.len() {
            let want = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
            return Err(FrontierError::Count { size: size.saturating_sub(at.size()), want, got: self.right.len() });
        }
        for ((level, _), root) in wanted.into_iter().zip(&self.right) {
            at.append_subtree(level, *root)?;
        }
        Ok(at.root())
    }
}
