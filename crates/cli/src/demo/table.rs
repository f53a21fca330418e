//! What the demo ends with: a table that adds up.

use serde_json::{Value, json};
use tollgate_core::ledger::{Disposition, Report};

use super::deliver::Round;
use super::people::Said;
use super::tracker::Effects;
use crate::output::Output;

/// Everything that happened.
pub struct Tally {
    /// The two rounds of deliveries.
    pub rounds: [Round; 2],
    /// Runs that the replay made.
    pub replayed: u64,
    /// Runs, those of the replay included.
    pub runs: u64,
    /// Runs with a plan.
    pub plans: u64,
    /// Effects after the first round, and at the end.
    pub effects: [Effects; 2],
    /// Files written after the first round, and at the end.
    pub files: [u64; 2],
    /// What people did.
    pub said: Said,
    /// What the verified export says.
    pub report: Report,
}

impl Tally {
    /// Everything that does not add up.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let [first, second] = &self.effects;
        if (first.total(), first.doubled) != (second.total(), second.doubled) || self.files[0] != self.files[1] {
            faults.push(format!("the second delivery or the replay changed something: {first:?} became {second:?}"));
        }
        if second.doubled > 0 {
            faults.push(format!("{} effects happened twice", second.doubled));
        }
        let applied = self.count(Disposition::Applied) + self.said.happened;
        let happened = second.total() + self.files[1];
        if applied != happened {
            faults.push(format!("{applied} actions were applied, but {happened} effects happened"));
        }
        let (verdicts, dispositions): (u64, u64) = (self.report.verdicts.values().sum(), self.report.dispositions.values().sum());
        if verdicts != dispositions {
            faults.push(format!("{dispositions} actions ended, {verdicts} were judged"));
        }
        if self.rounds[1].stored > 0 {
            faults.push(format!("{} deliveries were stored a second time", self.rounds[1].stored));
        }
        faults
    }

    fn count(&self, d: Disposition) -> u64 {
        self.report.dispositions.get(&d).copied().unwrap_or(0)
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "events": {"delivered": self.rounds[0].stored + self.rounds[0].repeated, "stored": self.rounds[0].stored,
                "second_delivery_repeated": self.rounds[1].repeated},
            "runs": self.runs, "plans": self.plans, "replayed_runs": self.replayed,
            "verdicts": self.report.verdicts, "dispositions": self.report.dispositions,
            "people": {"approved": self.said.approved, "denied": self.said.denied,
                "resolved_happened": self.said.happened, "resolved_did_not_happen": self.said.did_not},
            "tracker": self.effects[1], "files": self.files[1],
            "receipts": {"entries": self.report.entries, "recomputed": self.report.recomputed, "root": self.report.root},
            "faults": self.faults(),
        })
    }

    /// For people.
    pub fn print(&self, out: Output) {
        let line = |name: &str, value: String| out.line(format!("  {name:<34} {value}"));
        let [first, second] = &self.rounds;
        out.line(out.paint(1, "Events"));
        line("delivered, signed", format!("{}", first.stored + first.repeated));
        line("stored", format!("{} ({} were the same body again)", first.stored, first.repeated));
        line("second delivery", format!("{} known already, {} stored", second.repeated, second.stored));
        out.line(out.paint(1, "Runs"));
        line("events offered to operators", format!("{} ({} of them by the replay)", self.runs, self.replayed));
        line("with a plan", self.plans.to_string());
        let actions: u64 = self.report.dispositions.values().sum();
        line("actions", actions.to_string());
        out.line(out.paint(1, "Actions by verdict"));
        for (verdict, n) in &self.report.verdicts {
            line(verdict.as_str(), n.to_string());
        }
        out.line(out.paint(1, "Actions by disposition"));
        for (disposition, n) in &self.report.dispositions {
            line(disposition.as_str(), n.to_string());
        }
        out.line(out.paint(1, "People"));
        line("approved, denied", format!("{}, {}", self.said.approved, self.said.denied));
        line("unknown, resolved", format!("{} happened, {} did not", self.said.happened, self.said.did_not));
        self.print_effects(out, line);
    }

    fn print_effects(&self, out: Output, line: impl Fn(&str, String)) {
        let effects = &self.effects[1];
        out.line(out.paint(1, "Effects"));
        for (kind, n) in &effects.by_kind {
            line(&format!("tracker: {kind}"), n.to_string());
        }
        line("files: report", self.files[1].to_string());
        line("the tracker was unkind", format!("{} answers late, {} requests lost", effects.answered_late, effects.lost));
        line("done twice", effects.doubled.to_string());
        let applied = self.count(Disposition::Applied);
        line("sum", format!("{applied} applied + {} resolved = {} effects", self.said.happened, effects.total() + self.files[1]));
        out.line(out.paint(1, "Receipts"));
        let r = &self.report;
        line("ledger entries verified", format!("{} of {}", r.entries, r.tree_size));
        line("verdicts recomputed", r.recomputed.to_string());
        line("root", r.root.to_hex().chars().take(16).collect::<String>() + "…");
    }
}
