//! `tollgate db retain`: what is older than its age goes; ledger entries are archived first.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tollgate_core::time::parse_span;
use tollgate_spec::Project;
use tollgate_worker::{Ages, Retained};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Node, Place};
use crate::store_args::StoreArgs;

/// The command line.
#[derive(Debug, Args)]
pub struct Retain {
    /// Events received longer ago, such as `30d`, unless something open needs them
    #[arg(long, value_name = "AGE", value_parser = parse_span)]
    events: Option<Duration>,
    /// Runs that ended longer ago, with their actions and approval requests
    #[arg(long, value_name = "AGE", value_parser = parse_span)]
    runs: Option<Duration>,
    /// Ledger entries older than this, archived before they go; needs --archive
    #[arg(long, value_name = "AGE", value_parser = parse_span)]
    ledger: Option<Duration>,
    /// The folder that archived entries go to
    #[arg(long, value_name = "FOLDER")]
    archive: Option<PathBuf>,
    /// Rewrite an embedded store without holes; needs as much space again, and nobody may use it meanwhile
    #[arg(long)]
    compact: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Retains.
///
/// # Errors
/// When no age is known, or the store or the archive says no.
pub async fn run(cx: &Context, what: Retain) -> Result<(), Failure> {
    let project = Project::load_lenient(&cx.project).0;
    let settings = project.map(|p| p.settings.retention).unwrap_or_default();
    let named = what.events.is_some() || what.runs.is_some() || what.ledger.is_some();
    let ages = if named {
        Ages { events: what.events, runs: what.runs, ledger: what.ledger }
    } else {
        Ages { events: settings.events, runs: settings.runs, ledger: settings.ledger }
    };
    let archive = what.archive.clone().or_else(|| settings.archive.map(|a| cx.project.join(a)));
    if ages.ledger.is_some() && archive.is_none() {
        return Err(Failure::new(Exit::Usage, "ledger entries are archived before they go: give --archive FOLDER"));
    }
    if ages.is_empty() && !what.compact {
        return Err(Failure::new(Exit::Usage, "no age is known: give --events, --runs or --ledger, or a [retention] in tollgate.toml"));
    }
    let setup = super::db::setup(cx, &what.store)?;
    if what.compact && !matches!(setup.place, Place::Embedded) {
        return Err(Failure::new(Exit::Usage, "--compact is for an embedded store; Postgres has VACUUM, and months are dropped whole"));
    }
    let done = if ages.is_empty() {
        Retained::default()
    } else {
        let node = Node::open(&setup).await?;
        let retention = node.retention(ages, archive.as_deref())?;
        retention.once(node.ids.now(), &CancellationToken::new()).await?
    };
    let compacted =
        if what.compact { Some(super::db::blocking(move || tollgate_store::compact(&setup.data.join("store.db"))).await?) } else { None };
    print(cx, &done, compacted);
    Ok(())
}

fn print(cx: &Context, done: &Retained, compacted: Option<(u64, u64)>) {
    if cx.out.json {
        let files: Vec<_> = done.files.iter().map(|(log, from, to)| json!({"log": log, "from": from, "to": to})).collect();
        let compacted = compacted.map(|(before, after)| json!({"before": before, "after": after}));
        cx.out.value(&json!({"gone": done.gone, "archived": files, "kept_by": done.kept_by, "bytes": done.bytes, "compacted": compacted}));
        return;
    }
    for (what, n) in done.gone.iter().filter(|(_, n)| **n > 0) {
        cx.out.line(format!("{n} {what} gone"));
    }
    for (log, from, to) in &done.files {
        cx.out.line(format!("archived {log}: entries {from} to {to}"));
    }
    for (log, at) in &done.kept_by {
        cx.out.line(format!("kept {log}: from entry {at} on, which is too young or about an action that is not over"));
    }
    if done.bytes > 0 {
        cx.out.line(format!("{} bytes given back", done.bytes));
    }
    if let Some((before, after)) = compacted {
        cx.out.line(format!("rewritten: {before} bytes before, {after} after"));
    }
    if done.gone.values().all(|n| *n == 0) && done.files.is_empty() && compacted.is_none() {
        cx.out.line("nothing is old enough");
    }
}
