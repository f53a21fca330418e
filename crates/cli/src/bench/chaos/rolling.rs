//! The run of `bench rolling`: every process is stopped and started again in its turn, under load through a balancer.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use super::balancer::Balancer;
use super::fleet::Knobs;
use super::load::{Ground, events, judge};
use super::report::Common;
use super::run::{SERVES, WORKERS};
use super::slot::{Part, Slot};
use crate::bench::crash::laws::Broken;
use crate::bench::crash::settled::settled;
use crate::bench::load::Watch;
use crate::failure::Failure;
use crate::output::Output;

/// Longer than anything that is served takes: who gets no answer by then gets none.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Events a second.
    pub rate: u64,
    /// How often every process is restarted.
    pub rounds: u64,
    /// How long a stopping control plane goes on serving.
    pub drain: Duration,
    /// Of all chance that is ours.
    pub seed: u64,
}

/// `bench rolling`.
#[derive(Debug, Serialize)]
pub struct RollingReport {
    pub serves_restarted: u64,
    pub workers_restarted: u64,
    pub seconds: u64,
    /// Requests that got no answer, or one that did not say when to come again.
    pub requests_failed: u64,
    #[serde(flatten)]
    pub common: Common,
}

impl RollingReport {
    /// Prints it.
    pub fn print(&self, out: Output) {
        if out.json {
            out.value(&serde_json::to_value(self).unwrap_or_default());
            return;
        }
        let own = vec![
            ("balancer", "of its own: connections in turn to whoever's /readyz says yes".to_owned()),
            ("restarted", format!("{} control planes, {} workers, in {} s", self.serves_restarted, self.workers_restarted, self.seconds)),
            ("requests failed", self.requests_failed.to_string()),
        ];
        self.common.print(out, own);
    }
}

/// Runs it in a folder that is there.
///
/// # Errors
/// When a process does not end well, does not come back, or work does not end.
pub async fn run(setting: Setting, dir: &Path, progress: &dyn Fn(u64)) -> Result<RollingReport, Failure> {
    let ground = Ground::lay(dir, setting.seed, Knobs { lease: Duration::from_secs(30), drain: setting.drain, postgres: &[] }).await?;
    let mut slots = Vec::new();
    for (part, count) in [(Part::Worker, WORKERS), (Part::Serve, SERVES)] {
        for n in 1..=count {
            slots.push((part, Slot::open(&ground.fleet, &ground.doors, part, n).await?));
        }
    }
    let balancer = Balancer::start(&ground.doors).await?;
    balancer.wait_for(SERVES).await;
    let through = balancer.doors(|addr| ground.fleet.target(addr));
    let flow = events(&through, ANSWER_WITHIN);
    let watch = Watch::start();
    let mut rolling = JoinSet::new();
    rolling.spawn(async move {
        for _ in 0..setting.rounds {
            let mut again = Vec::new();
            for (part, slot) in slots {
                again.push((part, slot.restarted().await?));
                balancer.wait_for(SERVES).await;
            }
            slots = again;
        }
        Ok::<_, Failure>(slots)
    });
    let slots = loop {
        let due = u64::try_from(u128::from(setting.rate) * watch.elapsed().as_millis() / 1000).unwrap_or(u64::MAX);
        flow.release(due);
        progress(watch.elapsed().as_secs());
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(done) = rolling.join_next() => break done.map_err(Failure::plain)??,
        }
    };
    let (seconds, sent) = (watch.elapsed().as_secs(), flow.below());
    let acknowledged = flow.end().await?;
    settled(&ground.doors.subscribe(), &ground.effects, SETTLED_WITHIN).await?;
    for (_, slot) in slots {
        slot.close().await?;
    }
    let mut verdict = judge(&ground, sent, &acknowledged, &[]).await?;
    let failed = |a: &crate::bench::crash::send::Acknowledged| u64::from(a.resent) + u64::from(a.turned_away_rudely);
    for a in acknowledged.iter().filter(|a| failed(a) > 0) {
        let detail = format!("event {}: {} requests without an answer, {} turned away rudely", a.job.n, a.resent, a.turned_away_rudely);
        verdict.broken.push(Broken { law: "no_request_fails", detail });
    }
    Ok(RollingReport {
        serves_restarted: setting.rounds * SERVES as u64,
        workers_restarted: setting.rounds * WORKERS as u64,
        seconds,
        requests_failed: acknowledged.iter().map(failed).sum(),
        common: Common::new(setting.seed, &acknowledged, verdict),
    })
}
