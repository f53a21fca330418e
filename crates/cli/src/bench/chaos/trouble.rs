//! Seeded trouble: when and how a process is hurt. Pure.

use std::time::Duration;

use crate::bench::crash::fate::{between, throw};

/// What is done to a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// SIGKILL; it is started again at once.
    Kill,
    /// SIGSTOP for so long, then SIGCONT.
    Stop(Duration),
}

/// Trouble, and how long there is peace before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Next {
    /// Peace.
    pub after: Duration,
    /// What then comes.
    pub trouble: Trouble,
}

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The nth trouble of a worker: two kills to each stop, which lasts beyond its lease.
pub fn of_worker(seed: u64, name: &str, n: u64, lease: Duration) -> Next {
    let thrown = throw(seed, name, n);
    let trouble = match thrown % 3 {
        0 => Trouble::Stop(lease + between(thrown >> 8, MS(200), MS(2000))),
        _ => Trouble::Kill,
    };
    Next { after: between(thrown >> 24, MS(200), MS(4000)), trouble }
}

/// The nth trouble of a control plane. Its stops have no lease to outlast; they outlast what clients wait now and then.
pub fn of_serve(seed: u64, name: &str, n: u64) -> Next {
    let thrown = throw(seed, name, n);
    let trouble = match thrown % 3 {
        0 => Trouble::Stop(between(thrown >> 8, MS(100), MS(7000))),
        _ => Trouble::Kill,
    };
    Next { after: between(thrown >> 24, MS(500), MS(6000)), trouble }
}

/// The nth round of terminated backends: how many, and the peace before it.
pub fn of_backends(seed: u64, n: u64) -> (Duration, u64) {
    let thrown = throw(seed, "backends", n);
    (between(thrown >> 8, MS(200), MS(2500)), 1 + thrown % 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_comes_up_and_stops_outlast_the_lease() {
        let lease = Duration::from_secs(3);
        let all: Vec<Next> = (0..300).map(|n| of_worker(1, "worker-1", n, lease)).collect();
        let stops: Vec<Duration> = all.iter().filter_map(|n| if let Trouble::Stop(for_) = n.trouble { Some(for_) } else { None }).collect();
        assert!((60..140).contains(&stops.len()), "{}", stops.len());
        assert!(stops.iter().all(|s| *s > lease));
        assert_eq!(all, (0..300).map(|n| of_worker(1, "worker-1", n, lease)).collect::<Vec<_>>());
        assert_ne!(all, (0..300).map(|n| of_worker(1, "worker-2", n, lease)).collect::<Vec<_>>());
    }
}
