//! Where each tenant's queue begins, as far as this process has seen it while a snapshot keeps the rows of steps that are gone: claims look
//! from there on, and begin with the tenant after the one that was served last. Each queue is looked at from its beginning now and then, as
//! far as a tenth of the time allows. Kept in memory, since rows that say so would be kept as well; whoever knows nothing walks the whole
//! way and finds the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A front is believed for so long.
const BELIEVED: Duration = Duration::from_secs(30);
/// Whoever walked a long way goes no other for so many times as long.
const TIMES: u32 = 10;
/// Claims that found the way short before all fronts are forgotten.
const SHORT: u32 = 8;
/// A step may be committed so much later than it says that it was due.
const LATE_MICROS: i64 = 100_000;
/// A look at everything that takes no longer may be taken each time.
const SOON: Duration = Duration::from_millis(20);
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
    /// Claims since that found it short.
    short: u32,
    /// Before then no long way is walked, and fronts are believed for longer.
    rested: Option<Instant>,
    /// Before then nobody looks at everything, and whether somebody comes again then.
    again: Option<(Instant, bool)>,
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
    /// Whether to look before the fronts as well, should there be too little behind them.
    pub(crate) all: bool,
}

/// How a claim went.
pub(crate) struct Went<'a> {
    /// Steps that were asked for.
    pub(crate) limit: u32,
    pub(crate) took: Duration,
    /// It looked at everything, as far as it had to.
    pub(crate) all: bool,
    pub(crate) found: &'a [Found],
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
        let seen = self.0.lock();
        seen.long.filter(|until| *until > now)?;
        let tired = seen.rested.is_some_and(|at| at > now);
        let last = (seen.last, i64::MAX);
        let following = seen.known.range((Bound::Excluded(last), Bound::Unbounded)).chain(seen.known.range(..=last));
        let all = !tired && seen.again.is_none_or(|(at, _)| at <= now);
        let mut told = Told { after: seen.last, all, ..Told::default() };
        for ((tenant, label), front) in following.filter(|(_, f)| tired || f.until > now).take(TOLD) {
            told.labels.push(*label);
            told.tenants.push(*tenant);
            told.dues.push(front.due);
        }
        Some(told)
    }

    /// Learns from a claim. Answers when somebody should claim again, if something may hide that nobody was told to look for.
    pub(crate) fn learn(&self, now: Instant, went: &Went<'_>) -> Option<Instant> {
        let mut seen = self.0.lock();
        // Whether it believed fronts whose time was over.
        let tired = seen.rested.is_some_and(|at| at + went.took > now);
        let walked = went.found.iter().map(|f| f.walked).max().unwrap_or(0);
        if walked > 500 + 20 * u64::from(went.limit) {
            let rested = now + went.took * TIMES;
            (seen.short, seen.rested) = (0, Some(rested));
            seen.long = seen.long.max(Some(rested.max(now + BELIEVED)));
        } else if seen.long.is_some_and(|until| until <= now) {
            seen.short += 1;
        }
        if seen.short > SHORT {
            *seen = Seen { last: seen.last, ..Seen::default() };
        }
        seen.long?;
        for f in went.found {
            let (due, until) = (f.due.saturating_sub(LATE_MICROS), now + BELIEVED);
            let front = seen.known.entry((f.tenant, f.label)).or_insert(Front { due, until });
            *front = if front.until <= now && !tired { Front { due, until } } else { Front { due: front.due.max(due), ..*front } };
            seen.last = f.tenant;
        }
        if seen.known.len() > KNOWN {
            seen.known.retain(|_, f| f.until > now);
        }
        if went.found.len() >= went.limit as usize {
            return None;
        }
        if went.all {
            seen.again = (went.took > SOON).then_some((now + went.took * TIMES, false));
            return None;
        }
        if seen.again.is_some_and(|(at, told)| told && at > now) {
            return None;
        }
        let at = seen.again.map_or(now, |(at, _)| at).max(seen.rested.unwrap_or(now));
        seen.again = Some((at, true));
        Some(at)
    }

    /// Whether the way to first steps is long.
    pub(crate) fn is_long(&self, now: Instant) -> bool {
        self.0.lock().long.is_some_and(|until| until > now)
    }

    /// A claim failed: should the way have been too long, nobody walks it again soon.
    pub(crate) fn failed(&self, now: Instant) {
        let mut seen = self.0.lock();
        if seen.long.is_some() {
            let rested = now + BELIEVED * TIMES;
            (seen.rested, seen.long, seen.again) = (Some(rested), seen.long.max(Some(rested)), Some((rested, false)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tenant: u8, due: i64, walked: u64) -> Found {
        Found { tenant: [tenant; 16], label: 0, due, walked }
    }

    fn went(found: &[Found]) -> Went<'_> {
        Went { limit: 32, took: Duration::from_secs(2), all: true, found }
    }

    #[test]
    fn a_long_way_is_walked_once_and_then_begun_behind_what_was_found() {
        let (fronts, now) = (Fronts::default(), Instant::now());
        let soon = |secs| now + Duration::from_secs(secs);
        fronts.learn(now, &went(&[found(1, 1_000_000, 40)]));
        assert_eq!(fronts.tell(now), None, "the way is short");
        fronts.learn(now, &went(&[found(1, 1_000_000, 9_000), found(2, 3_000_000, 9_000)]));
        // Its turn comes after the one that was served last, and round again.
        let told = fronts.tell(now).unwrap_or_default();
        assert_eq!((told.after, &told.tenants, &told.dues), ([2; 16], &vec![[1; 16], [2; 16]], &vec![900_000, 2_900_000]));
        fronts.learn(soon(20), &went(&[found(1, 5_000_000, 3)]));
        let told = fronts.tell(soon(20)).unwrap_or_default();
        assert_eq!((told.after, &told.tenants, &told.dues), ([1; 16], &vec![[2; 16], [1; 16]], &vec![2_900_000, 4_900_000]));
        // Now and then somebody looks how long it is, and what was known stays until it was short several times.
        assert!(fronts.is_long(soon(29)) && !fronts.is_long(soon(31)));
        assert_eq!(fronts.tell(soon(31)), None);
        fronts.learn(soon(31), &went(&[found(3, 6_000_000, 9_000)]));
        assert_eq!(fronts.tell(soon(31)).unwrap_or_default().tenants, [[1; 16], [2; 16], [3; 16]]);
        for _ in 0..=SHORT {
            assert_eq!(fronts.tell(soon(90)), None);
            fronts.learn(soon(90), &went(&[found(3, 7_000_000, 3)]));
        }
        fronts.learn(soon(90), &went(&[found(4, 7_000_000, 9_000)]));
        assert_eq!(fronts.tell(soon(90)).unwrap_or_default().tenants, [[4; 16]]);
    }

    #[test]
    fn a_queue_is_looked_at_from_its_beginning_when_its_time_is_over_and_nobody_walked_far_just_now() {
        let (fronts, now) = (Fronts::default(), Instant::now());
        let soon = |secs| now + Duration::from_secs(secs);
        let (one, other) = ([found(1, 9_000_000, 9_000)], [found(2, 9_000_000, 9_000)]);
        fronts.learn(now, &went(&one));
        fronts.learn(soon(20), &went(&other));
        let believed = |secs| fronts.tell(soon(secs)).unwrap_or_default().tenants;
        assert_eq!(believed(35), [[1; 16], [2; 16]], "two seconds were walked, and for twenty none are");
        assert_eq!(believed(45), [[2; 16]], "the first one's is looked at from its beginning");
        // That went wrong: it was too long.
        fronts.failed(soon(45));
        assert_eq!(believed(120), [[1; 16], [2; 16]]);
    }

    #[test]
    fn who_does_not_look_at_everything_has_somebody_come_again() {
        let (fronts, now) = (Fronts::default(), Instant::now());
        let soon = |secs| now + Duration::from_secs(secs);
        let behind = |found| Went { all: false, took: Duration::from_millis(1), ..went(found) };
        assert_eq!(fronts.learn(now, &went(&[found(1, 9_000_000, 9_000)])), None);
        // Everything was looked at, in two seconds: not again for twenty.
        assert!(!fronts.tell(soon(1)).unwrap_or_default().all);
        assert_eq!(fronts.learn(soon(1), &behind(&[])), Some(soon(20)), "what hides is looked for then");
        assert_eq!(fronts.learn(soon(2), &behind(&[])), None, "by one");
        assert!(fronts.tell(soon(21)).unwrap_or_default().all);
        // Somebody walked a long way meanwhile, so that whoever came did not look either.
        fronts.learn(soon(19), &Went { limit: 1, ..went(&[found(2, 9_000_000, 9_000)]) });
        assert!(!fronts.tell(soon(21)).unwrap_or_default().all);
        assert_eq!(fronts.learn(soon(21), &behind(&[])), Some(soon(39)));
    }
}
