//! Where each tenant's queue begins, as far as this process has seen it while a snapshot keeps the rows of steps that are gone: claims look
//! from there on, and begin with the tenant after the one that was served last. Kept in memory, since rows that say so would be kept as
//! well; whoever knows nothing walks the whole way and finds the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a front may hide waits for no longer than this, or as much longer as the whole way takes many times over.
const LEAST: Duration = Duration::from_secs(30);
const TIMES: u32 = 20;
/// A step may be committed so much later than it says that it was due.
const LATE_MICROS: i64 = 100_000;
/// Fronts that one claim is told of.
const TOLD: usize = 64;
/// Fronts that are remembered.
const KNOWN: usize = 50_000;

type Key = ([u8; 16], i64);

/// From where on a tenant's queue is looked at, and until when.
#[derive(Clone, Copy)]
struct Front {
    due: i64,
    until: Instant,
}

#[derive(Default)]
struct Seen {
    /// Until when the way to first steps counts as long; none while it is short.
    long: Option<Instant>,
    last: [u8; 16],
    known: BTreeMap<Key, Front>,
}

/// What one process knows.
#[derive(Default)]
pub(crate) struct Fronts(Mutex<Seen>);

/// What a claim is told: after whom to begin, and the fronts of who comes next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) after: [u8; 16],
    pub(crate) labels: Vec<i64>,
    pub(crate) tenants: Vec<[u8; 16]>,
    pub(crate) dues: Vec<i64>,
}

/// A step that was claimed.
pub(crate) struct Found {
    pub(crate) tenant: [u8; 16],
    pub(crate) label: i64,
    pub(crate) due: i64,
    /// Entries of the index that the claim had walked over by then.
    pub(crate) walked: u64,
}

impl Fronts {
    /// What the next claim is told; nothing while the way is short.
    pub(crate) fn tell(&self, now: Instant) -> Option<Told> {
        let mut seen = self.0.lock();
        if seen.long.is_none_or(|until| until <= now) {
            seen.long = None;
            seen.known.clear();
            return None;
        }
        let last = (seen.last, i64::MAX);
        let following = seen.known.range((Bound::Excluded(last), Bound::Unbounded)).chain(seen.known.range(..=last));
        let mut told = Told { after: seen.last, ..Told::default() };
        for ((tenant, label), front) in following.filter(|(_, f)| f.until > now).take(TOLD) {
            told.labels.push(*label);
            told.tenants.push(*tenant);
            told.dues.push(front.due);
        }
        Some(told)
    }

    /// What a claim of up to so many found, and how long it took.
    pub(crate) fn learn(&self, now: Instant, took: Duration, limit: u32, found: &[Found]) {
        let mut seen = self.0.lock();
        let until = now + LEAST.max(took * TIMES);
        let walked = found.iter().map(|f| f.walked).max().unwrap_or(0);
        if walked > 500 + 20 * u64::from(limit) {
            seen.long = seen.long.max(Some(until));
        }
        if seen.long.is_none() {
            return;
        }
        for f in found {
            let due = f.due.saturating_sub(LATE_MICROS);
            let front = seen.known.entry((f.tenant, f.label)).or_insert(Front { due, until });
            *front = if front.until > now { Front { due: front.due.max(due), ..*front } } else { Front { due, until } };
            seen.last = f.tenant;
        }
        if seen.known.len() > KNOWN {
            seen.known.retain(|_, f| f.until > now);
        }
    }

    /// A claim failed: should the way have been too long, it is not gone again at once.
    pub(crate) fn failed(&self, now: Instant) {
        let mut seen = self.0.lock();
        if seen.long.is_some() {
            let until = now + LEAST;
            seen.long = seen.long.max(Some(until));
            seen.known.values_mut().for_each(|f| f.until = f.until.max(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tenant: u8, due: i64, walked: u64) -> Found {
        Found { tenant: [tenant; 16], label: 0, due, walked }
    }

    #[test]
    fn a_long_way_is_walked_once_and_then_begun_behind_what_was_found() {
        let (fronts, now) = (Fronts::default(), Instant::now());
        let soon = |secs| now + Duration::from_secs(secs);
        fronts.learn(now, Duration::from_millis(1), 32, &[found(1, 1_000_000, 40)]);
        assert_eq!(fronts.tell(now), None, "the way is short");
        fronts.learn(now, Duration::from_secs(2), 32, &[found(1, 1_000_000, 9_000), found(2, 3_000_000, 9_000)]);
        // Its turn comes after the one that was served last, and round again.
        let told = fronts.tell(now).unwrap_or_default();
        assert_eq!((told.after, &told.tenants, &told.dues), ([2; 16], &vec![[1; 16], [2; 16]], &vec![900_000, 2_900_000]));
        fronts.learn(soon(30), Duration::from_millis(1), 32, &[found(1, 5_000_000, 3)]);
        let told = fronts.tell(soon(30)).unwrap_or_default();
        assert_eq!((told.after, &told.tenants, &told.dues), ([1; 16], &vec![[2; 16], [1; 16]], &vec![2_900_000, 4_900_000]));
        // Twenty times two seconds: the whole way again, whatever was found meanwhile.
        assert_eq!(fronts.tell(soon(41)), None);
    }

    #[test]
    fn what_a_front_hides_waits_no_longer_than_its_time() {
        let (fronts, now) = (Fronts::default(), Instant::now());
        let soon = |secs| now + Duration::from_secs(secs);
        fronts.learn(now, Duration::from_millis(1), 32, &[found(1, 9_000_000, 9_000)]);
        fronts.learn(soon(20), Duration::from_millis(1), 32, &[found(2, 9_000_000, 9_000)]);
        let told = fronts.tell(soon(31)).unwrap_or_default();
        assert_eq!(told.tenants, [[2; 16]], "the first one's queue is looked at from its beginning");
        // That went wrong: the way was too long.
        fronts.failed(soon(31));
        assert_eq!(fronts.tell(soon(60)).unwrap_or_default().tenants, [[1; 16], [2; 16]]);
    }
}
