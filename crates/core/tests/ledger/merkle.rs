//! Proofs against ct-merkle, for all sizes up to 300; laws beyond that.

use std::collections::BTreeMap;
use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use tollgate_core::hash::Digest;
use tollgate_core::ledger::{
    Frontier, HashSource, ProofError, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, range_proof, root_at, subtree,
    verify_consistency, verify_inclusion,
};

/// What the store keeps: leaf hashes by position, and tiles.
#[derive(Default)]
struct Stored {
    frontier: Frontier,
    leaves: Vec<Digest>,
    tiles: BTreeMap<(u8, u64), Digest>,
}

impl Stored {
    fn push(&mut self, leaf: &[u8]) {
        let hash = leaf_hash(leaf);
        self.leaves.push(hash);
        let tiles = &mut self.tiles;
        self.frontier.append(hash, |level, index, root| assert!(tiles.insert((level, index), root).is_none())).unwrap();
    }

    fn of(size: u64) -> Self {
        let mut log = Self::default();
        (0..size).for_each(|i| log.push(&i.to_be_bytes()));
        log
    }
}

impl HashSource for Stored {
    type Error = Infallible;

    fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, Infallible> {
        assert!(to - from <= 256);
        Ok(self.leaves.iter().copied().take(to as usize).skip(from as usize).collect())
    }

    fn tiles(&self, level: u8, from: u64, to: u64) -> Result<Vec<Digest>, Infallible> {
        assert!(to - from <= 256);
        Ok((from..to).filter_map(|i| self.tiles.get(&(level, i)).copied()).collect())
    }
}

fn bytes(proof: &[Digest]) -> Vec<u8> {
    proof.iter().flat_map(|d| d.0).collect()
}

#[test]
fn agrees_with_ct_merkle_for_all_sizes_up_to_300() {
    let (mut ours, mut theirs) = (Stored::default(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
    let mut roots = vec![empty_root()];
    for size in 1..=300_u64 {
        let leaf = size.to_be_bytes().to_vec();
        ours.push(&leaf);
        theirs.push(leaf);
        let root = ours.frontier.root();
        assert_eq!(root.0[..], theirs.root().as_bytes()[..], "root at {size}");
        roots.push(root);
        for position in 0..size {
            let proof = inclusion_proof(&ours, position, size).unwrap();
            assert_eq!(bytes(&proof), theirs.prove_inclusion(position as usize).as_bytes(), "{position} in {size}");
            assert!(verify_inclusion(ours.leaves[position as usize], position, size, &proof, root), "{position} in {size}");
        }
        for old in 1..size {
            let proof = consistency_proof(&ours, old, size).unwrap();
            assert_eq!(bytes(&proof), theirs.prove_consistency((size - old) as usize).as_bytes(), "{old} of {size}");
            assert!(verify_consistency(old, size, roots[old as usize], root, &proof), "{old} of {size}");
        }
        assert!(verify_consistency(size, size, root, root, &[]) && verify_consistency(0, size, empty_root(), root, &[]));
    }
}

#[test]
fn proofs_come_from_tiles_where_there_are_any() {
    let log = Stored::of(70_000);
    let root = log.frontier.root();
    assert_eq!(log.tiles.len(), 273 + 1);
    for position in [0, 255, 256, 65_535, 65_536, 69_999] {
        let proof = inclusion_proof(&log, position, 70_000).unwrap();
        assert!(verify_inclusion(log.leaves[position as usize], position, 70_000, &proof, root), "{position}");
    }
    for old in [1, 256, 300, 65_536, 65_537, 69_999] {
        let old_root = root_at(&log, old).unwrap();
        assert!(verify_consistency(old, 70_000, old_root, root, &consistency_proof(&log, old, 70_000).unwrap()), "{old}");
    }
    let mut damaged = log;
    damaged.tiles.remove(&(8, 3));
    assert_eq!(subtree(&damaged, 10, 0), Err(ProofError::Missing { level: 8, from: 0, to: 4, got: 3 }));
}

#[test]
fn questions_beyond_the_log_are_refused() {
    let log = Stored::of(5);
    assert!(matches!(inclusion_proof(&log, 5, 5), Err(ProofError::Range { .. })));
    assert!(matches!(consistency_proof(&log, 6, 5), Err(ProofError::Range { .. })));
    assert!(matches!(range_proof(&log, 3, 6, 5), Err(ProofError::Range { .. })));
    assert!(!verify_inclusion(log.leaves[0], 5, 5, &[], log.frontier.root()));
    assert!(!verify_consistency(6, 5, log.frontier.root(), log.frontier.root(), &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_altered_inclusion_proof_verifies(size in 1_u64..2000, at in any::<prop::sample::Index>(), hit in any::<prop::sample::Index>(), shift in 1_u64..5) {
        let log = Stored::of(size);
        let (root, position) = (log.frontier.root(), at.index(size as usize) as u64);
        let leaf = log.leaves[position as usize];
        let proof = inclusion_proof(&log, position, size).unwrap();
        prop_assert!(verify_inclusion(leaf, position, size, &proof, root));
        prop_assert!(!verify_inclusion(node_hash(&leaf, &leaf), position, size, &proof, root));
        prop_assert!(!verify_inclusion(leaf, position, size, &proof, empty_root()));
        prop_assert!(!verify_inclusion(leaf, position + shift, size, &proof, root));
        prop_assert!(!verify_inclusion(leaf, position, size, &[&proof[..], &[leaf]].concat(), root));
        if !proof.is_empty() {
            prop_assert!(!verify_inclusion(leaf, position, size, &proof[1..], root));
            let mut altered = proof.clone();
            let n = hit.index(proof.len());
            altered[n].0[0] ^= 1;
            prop_assert!(!verify_inclusion(leaf, position, size, &altered, root));
        }
    }

    #[test]
    fn no_altered_consistency_proof_verifies(size in 2_u64..2000, at in any::<prop::sample::Index>(), hit in any::<prop::sample::Index>()) {
        let log = Stored::of(size);
        let old = at.index(size as usize - 1) as u64 + 1;
        let (root, old_root) = (log.frontier.root(), root_at(&log, old).unwrap());
        let proof = consistency_proof(&log, old, size).unwrap();
        prop_assert!(verify_consistency(old, size, old_root, root, &proof));
        prop_assert!(!verify_consistency(old, size, root, root, &proof), "a fork");
        prop_assert!(!verify_consistency(old, size, old_root, empty_root(), &proof));
        prop_assert!(!verify_consistency(old, size, old_root, root, &[&proof[..], &[root]].concat()));
        for n in 0..proof.len() {
            prop_assert!(!verify_consistency(old, size, old_root, root, &proof[..n]), "cut to {}", n);
        }
        let mut altered = proof.clone();
        let n = hit.index(proof.len());
        altered[n].0[31] ^= 128;
        prop_assert!(!verify_consistency(old, size, old_root, root, &altered));
    }

    #[test]
    fn a_range_proof_gives_the_root_and_only_for_its_range(size in 1_u64..1500, a in 0_u64..1500, b in 0_u64..1500) {
        let log = Stored::of(size);
        let (from, to) = (a.min(b).min(size), a.max(b).min(size));
        let proof = range_proof(&log, from, to, size).unwrap();
        let rebuilt = |skip: Option<u64>| {
            let mut at = proof.start(from).unwrap();
            for i in (from..to).filter(|i| Some(*i) != skip) {
                at.append(log.leaves[i as usize], |_, _, _| {}).unwrap();
            }
            proof.finish(at, size).ok()
        };
        prop_assert_eq!(rebuilt(None), Some(log.frontier.root()));
        if from < to {
            prop_assert_ne!(rebuilt(Some(from)), Some(log.frontier.root()), "an entry left out");
        }
    }
}
