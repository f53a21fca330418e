//! The scheduler: workers' futures polled by hand, the earliest first, ties by the seed. Virtual time moves only when nobody is ready.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rand::RngExt;
use rand::rngs::StdRng;
use tollgate_core::ports::{Clock, StoreError};
use tollgate_core::time::Timestamp;
use tollgate_testkit::{Fates, SimClock, Turn};

/// A worker's work on one step.
pub type Work = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

struct Task {
    worker: usize,
    work: Work,
    /// When it is polled next; none while it sleeps.
    at: Option<Timestamp>,
}

/// What a poll came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Polled {
    /// The step ended like this.
    Ended(Result<(), StoreError>),
    /// It goes on later, or sleeps.
    Waits,
    /// This worker died, and all its work with it.
    Died(usize),
}

/// Everybody's work.
pub struct Tasks {
    fates: Arc<Fates>,
    clock: Arc<SimClock>,
    tasks: Vec<Task>,
}

impl Tasks {
    /// None yet.
    pub fn new(fates: Arc<Fates>, clock: Arc<SimClock>) -> Self {
        Self { fates, clock, tasks: Vec::new() }
    }

    /// Work that is ready now.
    pub fn spawn(&mut self, worker: usize, work: Work) {
        let at = Some(self.clock.now());
        self.tasks.push(Task { worker, work, at });
    }

    /// Whether a worker has work under way.
    pub fn busy(&self, worker: usize) -> bool {
        self.tasks.iter().any(|t| t.worker == worker)
    }

    /// Polls whoever is due first; none when nobody is awake.
    pub fn next(&mut self, rng: &mut StdRng) -> Option<Polled> {
        let first = self.tasks.iter().filter_map(|t| t.at).min()?;
        self.clock.advance_to(first);
        // Late ones are tied with each other: who was to wake long ago has no right of way.
        let due: Vec<usize> = self.tasks.iter().enumerate().filter(|(_, t)| t.at.is_some_and(|at| at <= first)).map(|(i, _)| i).collect();
        let i = due.get(rng.random_range(0..due.len())).copied()?;
        Some(self.poll(i))
    }

    /// Wakes one of the sleepers: a zombie, maybe.
    pub fn wake(&mut self, rng: &mut StdRng) -> Option<Polled> {
        let asleep: Vec<usize> = self.tasks.iter().enumerate().filter(|(_, t)| t.at.is_none()).map(|(i, _)| i).collect();
        if asleep.is_empty() {
            return None;
        }
        let i = asleep.get(rng.random_range(0..asleep.len())).copied()?;
        Some(self.poll(i))
    }

    /// Wakes everyone who sleeps, once.
    pub fn wake_all(&mut self) {
        let now = self.clock.now();
        self.tasks.iter_mut().filter(|t| t.at.is_none()).for_each(|t| t.at = Some(now));
    }

    fn poll(&mut self, i: usize) -> Polled {
        let mut task = self.tasks.swap_remove(i);
        let polled = task.work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let turn = self.fates.take();
        match (polled, turn) {
            (Poll::Ready(out), _) => return Polled::Ended(out),
            (Poll::Pending, Some(Turn::Dead)) => {
                let worker = task.worker;
                drop(task);
                self.tasks.retain(|t| t.worker != worker);
                return Polled::Died(worker);
            }
            (Poll::Pending, Some(Turn::After(span))) => task.at = Some(self.clock.now().plus(span)),
            // It sleeps, or waits for a remote that is slow or never answers.
            (Poll::Pending, _) => task.at = None,
        }
        self.tasks.push(task);
        Polled::Waits
    }
}
