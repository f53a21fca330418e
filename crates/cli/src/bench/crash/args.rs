//! `bench crash` at the command line: runs it, judges it, prints it, keeps the folder when a law is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::laws::{Case, judge};
use super::node::{data, options};
use super::report::Report;
use super::run::{Setting, run};
use super::{WITHOUT_LOSSY, facts};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::Setup;
use crate::output::Output;

/// How hard.
#[derive(Debug, Args)]
pub struct Crash {
    /// How often the node is killed with SIGKILL
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    kills: u64,
    /// How many events are sent; each leads to one action
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(4..=10_000_000))]
    actions: u64,
    /// Of all chance: what the upstream does, when a kill comes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Through a file layer that loses what was not synced
    #[arg(long)]
    lossy: bool,
    /// The layer ignores syncs as well, as a broken disk does: shows that the run would notice
    #[arg(long, hide = true, requires = "lossy")]
    lying: bool,
    /// Folder for the run's own folder; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// With the name of each broken law.
pub async fn crash(out: Output, c: Crash) -> Result<(), Failure> {
    if c.lossy && !cfg!(feature = "lossy") {
        return Err(Failure::new(Exit::Usage, WITHOUT_LOSSY));
    }
    let setting = Setting { kills: c.kills, actions: c.actions, seed: c.seed, lossy: c.lossy, lying: c.lying };
    let parent = c.dir.unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("tollgate-crash-").tempdir_in(parent)?;
    let bar = ProgressBar::new(c.kills);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} kills, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    let judged = judged(setting, folder.path(), &bar).await;
    bar.finish_and_clear();
    let kept = |folder: tempfile::TempDir| format!("the run's folder is kept: {}", folder.keep().display());
    match judged {
        Err(e) => Err(Failure::new(e.exit, format!("{e}; {}", kept(folder)))),
        Ok(report) => {
            report.print(out);
            if !c.lossy && !cfg!(feature = "lossy") && !out.json {
                out.line(format!("{:<22}  what a power cut takes: {WITHOUT_LOSSY}", "not tested"));
            }
            let mut laws: Vec<&str> = report.broken.iter().map(|b| b.law).collect();
            laws.dedup();
            match laws.is_empty() {
                true => Ok(()),
                false => Err(Failure::plain(format!("broken: {}; {}", laws.join(", "), kept(folder)))),
            }
        }
    }
}

async fn judged(setting: Setting, dir: &std::path::Path, bar: &ProgressBar) -> Result<Report, Failure> {
    let happened = run(setting, dir, &|kills| bar.set_position(kills)).await?;
    if setting.lossy && happened.held_back == 0 {
        return Err(Failure::plain("the lossy file layer held nothing back: the run proves nothing"));
    }
    let facts = facts::read(&Setup::embedded(&data(dir), dir, options())).await?;
    let told: BTreeMap<_, _> = happened.effects.all().into_iter().map(|(kind, op, told)| ((kind, op), told)).collect();
    let case = Case {
        sent: setting.actions,
        acknowledged: &happened.acknowledged,
        others: &BTreeSet::new(),
        facts: &facts,
        told: &told,
        order: &happened.effects.order(),
        lanes: &happened.effects.lanes(),
    };
    let broken = judge(&case);
    Ok(Report::new(setting, &happened, &facts, &told, broken))
}
