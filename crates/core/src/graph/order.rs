//! Orders, cycles and reach in a graph of places. Knows no step and no name.

use std::collections::BTreeSet;

/// By step: the steps that depend on it.
pub(super) fn reversed(depends_on: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut out = vec![Vec::new(); depends_on.len()];
    for (i, on) in depends_on.iter().enumerate() {
        for o in on {
            if let Some(dependents) = out.get_mut(*o) {
                dependents.push(i);
            }
        }
    }
    out
}

/// Every place after all that it depends on; and, of those that cannot be ordered, the cycles that keep them from it.
pub(super) fn in_order(depends_on: &[Vec<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let dependents = reversed(depends_on);
    let mut open: Vec<usize> = depends_on.iter().map(Vec::len).collect();
    let mut next: Vec<usize> = open.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| i).collect();
    let mut order = Vec::with_capacity(open.len());
    while let Some(i) = next.pop() {
        order.push(i);
        for d in dependents.get(i).into_iter().flatten() {
            if let Some(n) = open.get_mut(*d) {
                *n -= 1;
                if *n == 0 {
                    next.push(*d);
                }
            }
        }
    }
    let left: Vec<bool> = open.iter().map(|n| *n > 0).collect();
    (order, cycles(depends_on, &left))
}

/// By place: all that it depends on, through others too. `order` holds every place.
pub(super) fn ancestors(depends_on: &[Vec<usize>], order: &[usize]) -> Vec<Set> {
    let mut all = vec![Set::default(); depends_on.len()];
    for i in order {
        let mut mine = Set::default();
        for on in depends_on.get(*i).into_iter().flatten() {
            mine.insert(*on);
            all.get(*on).into_iter().for_each(|theirs| mine.extend(theirs));
        }
        if let Some(set) = all.get_mut(*i) {
            *set = mine;
        }
    }
    all
}

/// One cycle out of each knot, written so that every step depends on the one after it and the last on the first.
fn cycles(depends_on: &[Vec<usize>], left: &[bool]) -> Vec<Vec<usize>> {
    let is_left = |i: &usize| left.get(*i).copied().unwrap_or(false);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for start in (0..left.len()).filter(is_left) {
        // Each step that is left depends on another one that is left: the walk ends where it, or an earlier one, was before.
        let (mut walk, mut here) = (Vec::new(), Some(start));
        while let Some(i) = here.filter(|i| seen.insert(*i)) {
            walk.push(i);
            here = depends_on.get(i).into_iter().flatten().copied().find(is_left);
        }
        if let Some(from) = here.and_then(|i| walk.iter().position(|w| *w == i)) {
            out.push(walk.split_off(from));
        }
    }
    out
}

/// A set of steps as bits: a thousand steps have a million pairs.
#[derive(Clone, Default)]
pub(super) struct Set(Vec<u64>);

impl Set {
    fn insert(&mut self, i: usize) {
        if self.0.len() <= i / 64 {
            self.0.resize(i / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(i / 64) {
            *word |= 1 << (i % 64);
        }
    }

    fn extend(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(super) fn contains(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word & (1 << (i % 64)) != 0)
    }
}
