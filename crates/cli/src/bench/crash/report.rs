//! What a crash run says: a table by grade, figures of the run, and each broken law by name.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tollgate_core::ledger::Disposition;

use super::effects::Told;
use super::facts::Facts;
use super::laws::Broken;
use super::run::{Happened, Setting};
use super::spec::Kind;
use crate::output::Output;

/// Broken laws shown one by one; the rest is counted.
const SHOWN: usize = 20;

/// Columns of [`Row::cells`].
pub const HEAD: [&str; 11] =
    ["grade", "actions", "applied", "failed", "unknown", "effects", "late", "calls", "answers_lost", "doubled", "lost"];

/// One grade.
#[derive(Debug, Default, Serialize)]
pub struct Row {
    /// The grade, or `strict`.
    pub grade: &'static str,
    /// Actions by disposition.
    pub actions: u64,
    pub applied: u64,
    pub failed: u64,
    pub unknown: u64,
    /// Effects that the upstream counted.
    pub effects: u64,
    /// Of these, after the deadline.
    pub late: u64,
    /// Calls that arrived.
    pub calls: u64,
    /// Calls whose answer was lost.
    pub answers_lost: u64,
    /// Effects beyond the first.
    pub doubled: u64,
    /// Operations receipted `applied` that took no effect.
    pub lost: u64,
}

/// The report.
#[derive(Debug, Serialize)]
pub struct Report {
    pub file_layer: &'static str,
    pub seed: u64,
    pub events_acknowledged: u64,
    pub events_sent_again: u64,
    /// Of these, events that were stored although their first answer was lost.
    pub events_stored_unheard: u64,
    pub kills: u64,
    pub kills_while_recovering: u64,
    pub recovery_p50_ms: f64,
    pub recovery_p99_ms: f64,
    pub writes_held_back: u64,
    pub ledger_entries: u64,
    pub verdicts_recomputed: u64,
    pub grades: Vec<Row>,
    pub broken: Vec<Broken>,
}

impl Report {
    /// From what happened, and what was judged of it.
    pub fn new(setting: Setting, happened: &Happened, facts: &Facts, told: &BTreeMap<(Kind, String), Told>, broken: Vec<Broken>) -> Self {
        let verified = facts.verified.as_ref().and_then(|v| v.as_ref().ok());
        let mut recoveries = happened.recoveries.clone();
        recoveries.sort_unstable();
        Self {
            file_layer: if setting.lossy { "lossy" } else { "plain" },
            seed: setting.seed,
            events_acknowledged: happened.acknowledged.len() as u64,
            events_sent_again: happened.acknowledged.iter().filter(|a| a.resent > 0).count() as u64,
            events_stored_unheard: happened.acknowledged.iter().filter(|a| a.repeated).count() as u64,
            kills: happened.kills,
            kills_while_recovering: happened.while_recovering,
            recovery_p50_ms: quantile(&recoveries, 50),
            recovery_p99_ms: quantile(&recoveries, 99),
            writes_held_back: happened.held_back,
            ledger_entries: verified.map_or(0, |v| v.tree_size),
            verdicts_recomputed: verified.map_or(0, |v| v.recomputed),
            grades: Kind::ALL.into_iter().map(|k| row(k, facts, told)).collect(),
            broken,
        }
    }

    /// Prints it.
    pub fn print(&self, out: Output) {
        if out.json {
            out.value(&serde_json::to_value(self).unwrap_or_default());
            return;
        }
        let rows: Vec<Vec<String>> = self.grades.iter().map(Row::cells).collect();
        out.table(&HEAD, &rows);
        out.line("");
        for (name, value) in self.lines() {
            out.line(format!("{name:<22}  {value}"));
        }
        print_broken(out, &self.broken);
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("file layer", self.file_layer.to_owned()),
            ("seed", self.seed.to_string()),
            ("events acknowledged", {
                let (again, unheard) = (self.events_sent_again, self.events_stored_unheard);
                format!("{} ({again} sent again, {unheard} of them stored before)", self.events_acknowledged)
            }),
            ("kills", format!("{} ({} while recovering)", self.kills, self.kills_while_recovering)),
            ("recovery p50 / p99 ms", format!("{:.0} / {:.0}", self.recovery_p50_ms, self.recovery_p99_ms)),
            ("ledger", format!("{} entries, {} verdicts recomputed", self.ledger_entries, self.verdicts_recomputed)),
        ];
        if self.file_layer == "lossy" {
            lines.push(("writes held back", format!("{} while starting", self.writes_held_back)));
        }
        let laws = if self.broken.is_empty() { "every one held".to_owned() } else { format!("{} broken", self.broken.len()) };
        lines.push(("laws", laws));
        lines
    }
}

/// Prints the first of the broken laws, and how many more there are.
pub fn print_broken(out: Output, broken: &[Broken]) {
    for b in broken.iter().take(SHOWN) {
        out.line(out.paint(31, &format!("broken  {}: {}", b.law, b.detail)));
    }
    if broken.len() > SHOWN {
        out.line(format!("… and {} more", broken.len() - SHOWN));
    }
}

impl Row {
    /// As a row of a table.
    pub fn cells(&self) -> Vec<String> {
        let numbers = [
            self.actions,
            self.applied,
            self.failed,
            self.unknown,
            self.effects,
            self.late,
            self.calls,
            self.answers_lost,
            self.doubled,
            self.lost,
        ];
        [self.grade.to_owned()].into_iter().chain(numbers.iter().map(u64::to_string)).collect()
    }
}

/// One grade of what happened.
pub fn row(kind: Kind, facts: &Facts, told: &BTreeMap<(Kind, String), Told>) -> Row {
    let mut row = Row { grade: kind.word(), ..Row::default() };
    for a in facts.actions.iter().filter(|a| a.tool == kind.tool()) {
        let of = told.get(&(kind, a.op.clone())).copied().unwrap_or_default();
        row.actions += 1;
        match a.disposition {
            Some(Disposition::Applied) => {
                row.applied += 1;
                row.lost += u64::from(of.applied == 0);
            }
            Some(Disposition::Failed) => row.failed += 1,
            Some(Disposition::Unknown) => row.unknown += 1,
            _ => {}
        }
    }
    for (_, of) in told.iter().filter(|((k, _), _)| *k == kind) {
        row.effects += u64::from(of.applied);
        row.late += u64::from(of.late);
        row.calls += u64::from(of.calls);
        row.answers_lost += u64::from(of.doubtful);
        row.doubled += u64::from(of.applied.saturating_sub(1));
    }
    row
}

/// The value below which this many in a hundred lie, in milliseconds.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |d| (d.as_secs_f64() * 1000.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(file_layer: &'static str, broken: Vec<Broken>) -> Report {
        Report {
            file_layer,
            seed: 1,
            events_acknowledged: 5000,
            events_sent_again: 120,
            events_stored_unheard: 10,
            kills: 101,
            kills_while_recovering: 14,
            recovery_p50_ms: 27.0,
            recovery_p99_ms: 275.0,
            writes_held_back: 900,
            ledger_entries: 16_880,
            verdicts_recomputed: 10_694,
            grades: Vec::new(),
            broken,
        }
    }

    fn text(report: &Report) -> String {
        report.lines().into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    #[test]
    fn people_read_what_was_tested_and_what_held() {
        insta::assert_snapshot!(text(&report("lossy", Vec::new())), @r"
        file layer: lossy
        seed: 1
        events acknowledged: 5000 (120 sent again, 10 of them stored before)
        kills: 101 (14 while recovering)
        recovery p50 / p99 ms: 27 / 275
        ledger: 16880 entries, 10694 verdicts recomputed
        writes held back: 900 while starting
        laws: every one held
        ");
        let broken = vec![Broken { law: "strict_order", detail: String::new() }];
        assert!(text(&report("plain", broken)).ends_with("laws: 1 broken\n"));
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let ms: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!((quantile(&ms, 50), quantile(&ms, 99), quantile(&[], 50)), (51.0, 100.0, 0.0));
    }
}
