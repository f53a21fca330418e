//! What befalls a worker at each of its awaits, decided by a seed or by the test: it goes on, waits, sleeps, dies, or loses an answer.
//!
//! Knows nothing of what is awaited: the decorators ask it before and after each call of a port. Whoever polls the worker's futures asks
//! it afterwards why one of them is pending.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What happens at one await.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing.
    Go,
    /// It is polled again this much later; zero is a tie with whoever else is ready.
    After(Duration),
    /// It is kept and polled again when someone wakes it: a zombie by then.
    Asleep,
    /// Its worker is dropped with all that it holds.
    Dead,
    /// Before a call, the call is lost; after it, its answer.
    Lost,
}

/// How often things happen, per thousand awaits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Odds {
    /// [`Turn::After`].
    pub wait: u32,
    /// [`Turn::Asleep`].
    pub sleep: u32,
    /// [`Turn::Dead`].
    pub die: u32,
    /// [`Turn::Lost`].
    pub lose: u32,
}

impl Odds {
    /// Nothing ever happens.
    pub const CALM: Self = Self { wait: 0, sleep: 0, die: 0, lose: 0 };
}

struct State {
    rng: StdRng,
    odds: Odds,
    script: BTreeMap<u64, Turn>,
    awaits: u64,
    pending: Option<Turn>,
    trace: u64,
}

/// The fates.
pub struct Fates(Mutex<State>);

impl Fates {
    /// From a seed; calm until odds are set.
    pub fn new(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ 0x5eed_fa7e);
        Self(Mutex::new(State { rng, odds: Odds::CALM, script: BTreeMap::new(), awaits: 0, pending: None, trace: 0xcbf2_9ce4_8422_2325 }))
    }

    /// From now on.
    pub fn set_odds(&self, odds: Odds) {
        self.0.lock().odds = odds;
    }

    /// At exactly the `n`-th await from the beginning, counted from 1.
    pub fn at(&self, n: u64, turn: Turn) {
        self.0.lock().script.insert(n, turn);
    }

    /// Awaits so far.
    pub fn awaits(&self) -> u64 {
        self.0.lock().awaits
    }

    /// Mixes a word into the trace: two runs of one seed end with the same.
    pub fn note(&self, word: &[u8]) {
        self.0.lock().mix(word);
    }

    /// The trace so far.
    pub fn trace(&self) -> u64 {
        self.0.lock().trace
    }

    /// Why the future that was just polled is pending; none when it waits for something that the fates do not know, such as a remote
    /// that never answers.
    pub fn take(&self) -> Option<Turn> {
        self.0.lock().pending.take()
    }

    /// One await. `false`: what is called next, or was called last, is lost.
    pub async fn point(&self, tag: &str) -> bool {
        let turn = self.0.lock().draw(tag);
        match turn {
            Turn::Go => return true,
            Turn::Lost => return false,
            Turn::After(_) | Turn::Asleep | Turn::Dead => {}
        }
        self.pend(turn).await;
        true
    }

    /// Waits, whatever the odds.
    pub async fn wait(&self, span: Duration) {
        self.pend(Turn::After(span)).await;
    }

    async fn pend(&self, turn: Turn) {
        let mut told = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut told, true) {
                return Poll::Ready(());
            }
            self.0.lock().pending = Some(turn);
            Poll::Pending
        })
        .await;
    }
}

impl State {
    fn draw(&mut self, tag: &str) -> Turn {
        self.awaits += 1;
        let turn = match self.script.remove(&self.awaits) {
            Some(turn) => turn,
            None => self.chance(),
        };
        self.mix(tag.as_bytes());
        let (kind, span) = match turn {
            Turn::Go => (0, 0),
            Turn::After(d) => (1, d.as_micros()),
            Turn::Asleep => (2, 0),
            Turn::Dead => (3, 0),
            Turn::Lost => (4, 0),
        };
        self.mix(&[kind]);
        self.mix(&span.to_be_bytes());
        turn
    }

    fn chance(&mut self) -> Turn {
        if self.odds == Odds::CALM {
            return Turn::Go;
        }
        let Odds { wait, sleep, die, lose } = self.odds;
        let n = self.rng.random_range(0..1000);
        match n {
            n if n < wait => Turn::After(self.span()),
            n if n < wait + sleep => Turn::Asleep,
            n if n < wait + sleep + die => Turn::Dead,
            n if n < wait + sleep + die + lose => Turn::Lost,
            _ => Turn::Go,
        }
    }

    /// Mostly ties and milliseconds; now and then longer than a call's deadline.
    fn span(&mut self) -> Duration {
        match self.rng.random_range(0..8) {
            0..=2 => Duration::ZERO,
            3..=6 => Duration::from_millis(self.rng.random_range(0..5)),
            _ => Duration::from_millis(self.rng.random_range(0..15_000)),
        }
    }

    /// FNV-1a.
    fn mix(&mut self, word: &[u8]) {
        for byte in word {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
