//! What a benchmark says.

use std::time::Duration;

use serde::Serialize;

use crate::output::Output;

/// Figures of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was measured.
    pub bench: String,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Units of work.
    pub count: usize,
    /// Units a second.
    pub rate_per_s: f64,
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// What the engine does of the same rows bare, in units a second.
    pub floor_per_s: f64,
    /// Rate over floor.
    pub ratio_to_floor: f64,
    /// `fdatasync` of a kilobyte, a second.
    pub fdatasync_per_s: f64,
    /// Resident memory of this process, load included, in megabytes.
    pub rss_mb: f64,
}

impl Report {
    /// From latencies of all units, and how long they took together. A unit may stand for several.
    #[expect(clippy::cast_precision_loss, reason = "rates")]
    pub fn new(
        bench: &str,
        concurrency: usize,
        mut latencies: Vec<Duration>,
        units: usize,
        took: Duration,
        floor: f64,
        fdatasync: f64,
    ) -> Self {
        let rate = units as f64 / took.as_secs_f64();
        Self {
            bench: bench.to_owned(),
            concurrency,
            count: units,
            rate_per_s: rate.round(),
            p50_ms: quantile_ms(&mut latencies, 0.5),
            p99_ms: quantile_ms(&mut latencies, 0.99),
            floor_per_s: floor.round(),
            ratio_to_floor: round(rate / floor),
            fdatasync_per_s: fdatasync.round(),
            rss_mb: rss_mb(),
        }
    }

    /// Prints it.
    pub fn print(&self, out: Output) {
        if out.json {
            out.value(&serde_json::to_value(self).unwrap_or_default());
            return;
        }
        let row = vec![
            self.bench.clone(),
            self.concurrency.to_string(),
            format!("{:.0}", self.rate_per_s),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.0}", self.floor_per_s),
            format!("{:.2}", self.ratio_to_floor),
            format!("{:.0}", self.fdatasync_per_s),
            format!("{:.0}", self.rss_mb),
        ];
        out.table(
            &["bench", "concurrency", "rate_per_s", "p50_ms", "p99_ms", "floor_per_s", "ratio_to_floor", "fdatasync_per_s", "rss_mb"],
            &[row],
        );
    }
}

/// A quantile in milliseconds.
pub fn quantile_ms(latencies: &mut [Duration], q: f64) -> f64 {
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let i = ((latencies.len() as f64 * q) as usize).min(latencies.len().saturating_sub(1));
    latencies.get(i).map_or(0.0, |d| round(d.as_secs_f64() * 1000.0))
}

/// To a thousandth.
pub fn round(n: f64) -> f64 {
    (n * 1000.0).round() / 1000.0
}

/// Resident memory of this process.
fn rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    let kb: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
    round(kb / 1024.0)
}
