//! The run: starts nodes, releases events, kills nodes, lets the last one finish its work, kills it too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::child::{Child, Setup};
use super::effects::Effects;
use super::fate::{between, throw};
use super::send::{self, Acknowledged, Orders, Released, Target};
use super::settled::settled;
use super::upstream;
use crate::bench::load::Watch;
use crate::failure::Failure;

/// A ready node lives this long at most before it is killed.
const LIFE: Duration = Duration::from_millis(900);
/// One node in five is killed this long after its start at most, mostly before it is ready.
const BIRTH: Duration = Duration::from_millis(40);
/// Events are released in this many slices over a life.
const SLICES: u64 = 8;
/// A node that was killed answers no more: nobody waits for it for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// All work is done by then after the last kill, or something is stuck.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Kills.
    pub kills: u64,
    /// Events, each of which leads to one action.
    pub actions: u64,
    /// Of all chance.
    pub seed: u64,
    /// Under the file layer that loses unsynced writes.
    pub lossy: bool,
    /// A layer that ignores syncs as well: the run must find that out.
    pub lying: bool,
}

/// What happened, before it is judged.
pub struct Happened {
    /// Acknowledged events, by number.
    pub acknowledged: Vec<Acknowledged>,
    /// The upstream's books.
    pub effects: Arc<Effects>,
    /// Kills in all.
    pub kills: u64,
    /// Of these, while the node was not ready yet.
    pub while_recovering: u64,
    /// From start to ready, of each start that got there.
    pub recoveries: Vec<Duration>,
    /// Writes that the lossy layer held back before nodes were ready.
    pub held_back: u64,
}

struct Stage {
    setting: Setting,
    setup: Setup,
    starts: u64,
    key: Option<String>,
    targets: watch::Sender<BTreeMap<usize, Target>>,
    released: watch::Sender<Released>,
    happened: Happened,
}

/// Runs it in a folder that is there.
///
/// # Errors
/// When a node does not come back, refuses an event, or its work does not end.
pub async fn run(setting: Setting, dir: &Path, progress: &dyn Fn(u64)) -> Result<Happened, Failure> {
    let effects = Arc::new(Effects::default());
    let upstream = upstream::start(setting.seed, Arc::clone(&effects)).await?;
    let (targets, targets_seen) = watch::channel(BTreeMap::new());
    let (released, released_seen) = watch::channel(Released::default());
    let happened = Happened { acknowledged: Vec::new(), effects, kills: 0, while_recovering: 0, recoveries: Vec::new(), held_back: 0 };
    let setup = Setup { dir: dir.to_owned(), upstream, lying: setting.lying };
    let mut stage = Stage { setting, setup, starts: 0, key: None, targets, released, happened };
    let orders = Orders { targets: targets_seen, released: released_seen, answer_within: ANSWER_WITHIN };
    let senders = tokio::spawn(send::all(orders));
    for kill in 0..setting.kills {
        stage.cycle(kill).await?;
        progress(kill + 1);
    }
    stage.released.send_replace(Released { below: setting.actions, all: true });
    stage.finish(senders).await?;
    Ok(stage.happened)
}

impl Stage {
    fn start(&mut self) -> Result<(Child, Watch), Failure> {
        let lossy = self.setting.lossy.then(|| throw(self.setting.seed, "lossy", self.starts));
        self.starts += 1;
        let watch = Watch::start();
        Ok((self.setup.start(self.key.is_none(), lossy)?, watch))
    }

    async fn ready(&mut self, child: &mut Child, since: Watch) -> Result<(), Failure> {
        let ready = child.ready().await?;
        self.happened.recoveries.push(since.elapsed());
        self.happened.held_back += ready.held_back.unwrap_or(0);
        let key = self.key.clone().or(ready.key).ok_or_else(|| Failure::plain("the first node made no key"))?;
        self.key = Some(key.clone());
        self.targets.send_replace(BTreeMap::from([(0, Target { addr: ready.addr, key })]));
        Ok(())
    }

    /// Work is spread over the kills, and over each life, so that every kill meets some under way.
    fn release(&self, slices: u64) {
        let Setting { actions, kills, .. } = self.setting;
        self.released.send_replace(Released { below: (actions * slices).div_ceil(kills * SLICES), all: false });
    }

    /// One life of a node.
    async fn cycle(&mut self, kill: u64) -> Result<(), Failure> {
        let thrown = throw(self.setting.seed, "kill", kill);
        // The first start makes the store: what is not there cannot recover.
        let early = kill > 0 && thrown.is_multiple_of(5);
        let (mut child, since) = self.start()?;
        if early {
            let soon = between(thrown >> 8, Duration::ZERO, BIRTH);
            match tokio::time::timeout(soon, self.ready(&mut child, since)).await {
                Err(_) => self.happened.while_recovering += 1,
                Ok(ready) => {
                    ready?;
                    tokio::time::sleep(soon.saturating_sub(since.elapsed())).await;
                }
            }
        } else {
            self.ready(&mut child, since).await?;
            let life = between(thrown >> 8, Duration::ZERO, LIFE);
            for slice in 1..=SLICES {
                self.release(kill * SLICES + slice);
                tokio::time::sleep(life / u32::try_from(SLICES).unwrap_or(1)).await;
            }
        }
        self.release((kill + 1) * SLICES);
        child.kill().await?;
        self.happened.kills += 1;
        self.targets.send_replace(BTreeMap::new());
        Ok(())
    }

    /// The last node does what is left, and is killed as well.
    async fn finish(&mut self, senders: tokio::task::JoinHandle<Result<Vec<Acknowledged>, Failure>>) -> Result<(), Failure> {
        let (mut child, since) = self.start()?;
        self.ready(&mut child, since).await?;
        self.happened.acknowledged = senders.await.map_err(Failure::plain)??;
        settled(&self.targets.subscribe(), &self.happened.effects, SETTLED_WITHIN).await?;
        child.kill().await?;
        self.happened.kills += 1;
        Ok(())
    }
}
