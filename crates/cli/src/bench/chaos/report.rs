//! What these runs say: a table by grade, figures, and each broken law by name.

use serde::Serialize;

use super::load::Verdict;
use super::run::{Happened, SERVES, Setting, WORKERS};
use crate::bench::crash::laws::Broken;
use crate::bench::crash::report::{HEAD, Row, print_broken, row};
use crate::bench::crash::send::Acknowledged;
use crate::bench::crash::spec::Kind;
use crate::output::Output;

/// What every run tells.
#[derive(Debug, Serialize)]
pub struct Common {
    pub seed: u64,
    pub events_acknowledged: u64,
    /// Events that were sent again since no answer came.
    pub events_sent_again: u64,
    /// Of these, events that were stored although their first answer was lost.
    pub events_stored_unheard: u64,
    /// Requests that were answered 503 or 429 with `Retry-After`.
    pub turned_away: u64,
    /// The same without it.
    pub turned_away_rudely: u64,
    pub ledger_entries: u64,
    pub verdicts_recomputed: u64,
    pub grades: Vec<Row>,
    pub broken: Vec<Broken>,
}

impl Common {
    /// From what happened.
    pub fn new(seed: u64, acknowledged: &[Acknowledged], verdict: Verdict) -> Self {
        let Verdict { facts, told, broken } = verdict;
        let verified = facts.verified.as_ref().and_then(|v| v.as_ref().ok());
        let sum = |of: fn(&Acknowledged) -> u32| acknowledged.iter().map(|a| u64::from(of(a))).sum();
        Self {
            seed,
            events_acknowledged: acknowledged.len() as u64,
            events_sent_again: acknowledged.iter().filter(|a| a.resent > 0).count() as u64,
            events_stored_unheard: acknowledged.iter().filter(|a| a.repeated).count() as u64,
            turned_away: sum(|a| a.turned_away),
            turned_away_rudely: sum(|a| a.turned_away_rudely),
            ledger_entries: verified.map_or(0, |v| v.tree_size),
            verdicts_recomputed: verified.map_or(0, |v| v.recomputed),
            grades: Kind::ALL.into_iter().map(|k| row(k, &facts, &told)).collect(),
            broken,
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let (again, unheard) = (self.events_sent_again, self.events_stored_unheard);
        let laws = if self.broken.is_empty() { "every one held".to_owned() } else { format!("{} broken", self.broken.len()) };
        vec![
            ("seed", self.seed.to_string()),
            ("events acknowledged", format!("{} ({again} sent again, {unheard} of them stored before)", self.events_acknowledged)),
            ("turned away", format!("{} told when to come again, {} not", self.turned_away, self.turned_away_rudely)),
            ("ledger", format!("{} entries, {} verdicts recomputed", self.ledger_entries, self.verdicts_recomputed)),
            ("laws", laws),
        ]
    }

    /// Prints it, with lines of the run's own before.
    pub fn print(&self, out: Output, own: Vec<(&'static str, String)>) {
        let rows: Vec<Vec<String>> = self.grades.iter().map(Row::cells).collect();
        out.table(&HEAD, &rows);
        out.line("");
        for (name, value) in own.into_iter().chain(self.lines()) {
            out.line(format!("{name:<22}  {value}"));
        }
        print_broken(out, &self.broken);
    }

    /// The names of the broken laws.
    pub fn laws(&self) -> Vec<&'static str> {
        let mut laws: Vec<&str> = self.broken.iter().map(|b| b.law).collect();
        laws.sort_unstable();
        laws.dedup();
        laws
    }
}

/// `bench chaos`.
#[derive(Debug, Serialize)]
pub struct ChaosReport {
    pub seconds: u64,
    pub graphs: u64,
    pub workers_killed: u64,
    pub workers_stopped: u64,
    pub serves_killed: u64,
    pub serves_stopped: u64,
    pub backends_terminated: u64,
    pub postgres_restarts: u64,
    pub settled_s: u64,
    #[serde(flatten)]
    pub common: Common,
}

impl ChaosReport {
    /// From what happened.
    pub fn new(setting: Setting, happened: Happened) -> Self {
        Self {
            seconds: setting.span.as_secs(),
            graphs: happened.graphs,
            workers_killed: happened.workers.kills,
            workers_stopped: happened.workers.stops,
            serves_killed: happened.serves.kills,
            serves_stopped: happened.serves.stops,
            backends_terminated: happened.backends,
            postgres_restarts: happened.restarts,
            settled_s: happened.settled.as_secs(),
            common: Common::new(setting.seed, &happened.acknowledged, happened.verdict),
        }
    }

    /// Prints it.
    pub fn print(&self, out: Output) {
        if out.json {
            out.value(&serde_json::to_value(self).unwrap_or_default());
            return;
        }
        let own = vec![
            ("processes", format!("{SERVES} control planes, {WORKERS} workers, one Postgres")),
            ("trouble", format!("{} s", self.seconds)),
            ("workers", format!("{} killed, {} stopped beyond their lease", self.workers_killed, self.workers_stopped)),
            ("control planes", format!("{} killed, {} stopped for a while", self.serves_killed, self.serves_stopped)),
            ("postgres", format!("{} backends terminated, {} immediate restarts", self.backends_terminated, self.postgres_restarts)),
            ("graphs", format!("{} of {} steps", self.graphs, super::graphs::STEPS)),
            ("all done", format!("{} s after the trouble", self.settled_s)),
        ];
        self.common.print(out, own);
    }
}
