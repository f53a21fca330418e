//! The run of `bench idle`: a control plane and a worker that have nothing to do, and every statement that they ask Postgres, by its log.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::fleet::Knobs;
use super::load::{Ground, events};
use super::slot::{Part, Slot};
use crate::bench::crash::settled::settled;
use crate::failure::Failure;
use crate::output::Output;

/// Who asks stands before each line of the log.
const SETTINGS: &[(&str, &str)] = &[("log_statement", "all"), ("log_line_prefix", "%u|")];
const LEASE: Duration = Duration::from_secs(30);
/// Events that are done before: whatever work leaves running shows.
const EVENTS: u64 = 40;
/// What work brings with it is over by then.
const REST: Duration = Duration::from_secs(3);
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
const SHOWN: usize = 12;

/// `bench idle`.
#[derive(Debug, Serialize)]
pub struct IdleReport {
    pub seconds: u64,
    pub queries: u64,
    pub queries_per_s: f64,
    /// By their text.
    pub statements: Vec<(String, u64)>,
}

impl IdleReport {
    /// Prints it.
    pub fn print(&self, out: Output) {
        if out.json {
            out.value(&serde_json::to_value(self).unwrap_or_default());
            return;
        }
        out.line("a control plane and a worker with nothing to do, over one Postgres");
        out.line(format!("queries        {} in {} s", self.queries, self.seconds));
        out.line(format!("queries per s  {}", self.queries_per_s));
        for (text, count) in self.statements.iter().take(SHOWN) {
            out.line(format!("  {count:>5}  {text}"));
        }
    }
}

/// Runs it in a folder that is there.
///
/// # Errors
/// When a process does not start or end well.
pub async fn run(span: Duration, dir: &Path) -> Result<IdleReport, Failure> {
    let ground = Ground::lay(dir, 1, Knobs { lease: LEASE, drain: Duration::ZERO, postgres: SETTINGS }).await?;
    let serve = Slot::open(&ground.fleet, &ground.doors, Part::Serve, 1).await?;
    let worker = Slot::open(&ground.fleet, &ground.doors, Part::Worker, 1).await?;
    let flow = events(&ground.doors, LEASE);
    flow.release(EVENTS);
    flow.end().await?;
    settled(&ground.doors.subscribe(), &ground.effects, SETTLED_WITHIN).await?;
    tokio::time::sleep(REST).await;
    let log = ground.fleet.private.log().ok_or_else(|| Failure::plain("the server is not our own"))?;
    let from = std::fs::metadata(&log)?.len();
    tokio::time::sleep(span).await;
    let to = std::fs::metadata(&log)?.len();
    let text = part(&log, from, to)?;
    for slot in [worker, serve] {
        slot.close().await?;
    }
    Ok(count(&text, span))
}

fn part(log: &Path, from: u64, to: u64) -> Result<String, Failure> {
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Counts what our logins asked: simple statements and executed ones, each of which is a line that begins with who asks.
fn count(log: &str, span: Duration) -> IdleReport {
    let mut by_text: BTreeMap<String, u64> = BTreeMap::new();
    for line in log.lines() {
        let Some((_, said)) = line.split_once('|').filter(|(who, _)| who.starts_with("tollgate_as_")) else { continue };
        let Some(text) = said.strip_prefix("LOG:  ") else { continue };
        let asked = text.strip_prefix("statement: ").or_else(|| text.strip_prefix("execute ")?.split_once(": ").map(|(_, sql)| sql));
        if let Some(asked) = asked {
            *by_text.entry(asked.chars().take(100).collect()).or_default() += 1;
        }
    }
    let queries: u64 = by_text.values().sum();
    let mut statements: Vec<(String, u64)> = by_text.into_iter().collect();
    statements.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let queries_per_s = (queries as f64 / span.as_secs_f64() * 100.0).round() / 100.0;
    IdleReport { seconds: span.as_secs(), queries, queries_per_s, statements }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_our_logins_are_counted() {
        let log = "tollgate_as_serve|LOG:  execute s1: SELECT 1\n\tFROM t\ntollgate_as_worker|LOG:  statement: NOTIFY x\n\
                   postgres|LOG:  statement: SELECT 2\ntollgate_as_serve|DETAIL:  parameters: $1 = 'x|LOG:  statement: no'\n\
                   tollgate_as_serve|LOG:  execute s1: SELECT 1\n";
        let report = count(log, Duration::from_secs(2));
        assert_eq!((report.queries, report.queries_per_s), (3, 1.5));
        assert_eq!(report.statements[0], ("SELECT 1".to_owned(), 2));
    }
}
