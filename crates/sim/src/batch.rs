//! Many seeds on several threads. Each history runs on one thread alone, so that their number changes nothing in any of them.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::history::{Broken, run};
use crate::mistakes::Mistake;

/// What a batch came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Seeds that ran.
    pub seeds: u64,
    /// Awaits of all workers.
    pub awaits: u64,
    /// Workers that died.
    pub deaths: u64,
    /// Actions proposed.
    pub actions: u64,
    /// Effects that were taken back.
    pub undone: u64,
    /// Runs of graphs that succeeded, and that ended otherwise.
    pub graphs: (u64, u64),
    /// The seeds that broke a law, in their order.
    pub broken: Vec<Broken>,
}

/// Runs the seeds. After `enough` broken ones no new seed is begun. `each` is told what has come of them so far after every seed, by one
/// thread at a time.
pub fn batch(seeds: Range<u64>, threads: usize, mistake: Mistake, enough: usize, each: &(dyn Fn(&Batch) + Sync)) -> Batch {
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Batch::default()));
    let work = || {
        while sum.lock().broken.len() < enough {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let out = run(seed, mistake);
            let mut sum = sum.lock();
            sum.seeds += 1;
            match out {
                Ok(ran) => {
                    sum.awaits += ran.awaits;
                    sum.deaths += u64::from(ran.deaths);
                    sum.actions += ran.actions as u64;
                    sum.undone += ran.undone as u64;
                    sum.graphs = (sum.graphs.0 + ran.graphs.0 as u64, sum.graphs.1 + ran.graphs.1 as u64);
                }
                Err(broken) => sum.broken.push(broken),
            }
            each(&sum);
        }
    };
    std::thread::scope(|s| (0..threads.max(1)).for_each(|_| drop(s.spawn(work))));
    let mut sum = sum.into_inner();
    sum.broken.sort_by_key(|b| b.seed);
    sum
}
