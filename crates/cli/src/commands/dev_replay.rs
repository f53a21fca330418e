//! `tollgate dev replay`: events of a file through the project as it is now, in a store of its own, with every effect stubbed.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};
use tollgate_core::scope::Mode;
use tollgate_worker::Options;

use super::check;
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Meter, Node, Setup, assemble};
use crate::output::{Output, text};
use crate::settle::settle;

/// Which events.
#[derive(Debug, Args)]
pub struct DevReplay {
    /// The events, one JSON object a line as `POST /v1/events` takes them
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When the project has faults, or an event is not one.
pub async fn run(cx: &Context, what: DevReplay) -> Result<(), Failure> {
    let input = super::import::read(&what.events)?;
    let (project, _) = check::compile(cx).map_err(|f| check::failure(&f))?;
    let mut bundle = project.bundle.clone();
    // Without a test system every tool answers from a stub that says so.
    bundle.connectors.values_mut().for_each(|c| c.test_config = None);
    let assembled = assemble(Arc::new(bundle), &project.root).map_err(|f| Failure::plain(f.lines().join("\n")))?;
    let folder = tempfile::tempdir()?;
    let node = Node::open(&Setup::embedded(&folder.path().join("data"), &project.root, Options::default())).await?;
    node.deploy(&assembled).await?;
    let keys = Keys::ensure(&node).await?;
    node.service.start().await?;
    let client = Client::inside(node.router(&Meter::install()), keys.of(Mode::Test));
    let outcome = offered(cx.out, &client, &input).await;
    node.service.stop().await;
    let actions = outcome?;
    report(cx, &actions);
    Ok(())
}

/// Everything offered, and what became of it: runs, oldest first, each with its actions.
async fn offered(out: Output, client: &Client, input: &str) -> Result<Vec<Value>, Failure> {
    super::import::send(out, client, input).await?;
    settle(client).await?;
    let mut runs = Vec::new();
    for run in super::page::all(client, "/v1/runs", &[]).await?.iter().rev() {
        runs.push(client.json(Method::GET, &format!("/v1/runs/{}", text(run, "/id")), None).await?);
    }
    Ok(runs)
}

fn report(cx: &Context, runs: &[Value]) {
    if cx.out.json {
        cx.out.value(&json!({"object": "list", "data": runs}));
        return;
    }
    let mut rows = Vec::new();
    for run in runs {
        let operator = text(run, "/operator");
        let actions = run["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if actions.is_empty() {
            rows.push(vec![text(run, "/event_id"), operator.clone(), "-".into(), "-".into(), text(run, "/state"), text(run, "/reason")]);
        }
        for a in actions {
            let outcome = a["disposition"].as_str().or(a["state"].as_str()).unwrap_or("-").to_owned();
            rows.push(vec![
                text(run, "/event_id"),
                operator.clone(),
                text(a, "/tool"),
                text(a, "/entity_key"),
                outcome,
                text(a, "/reason"),
            ]);
        }
    }
    if rows.is_empty() {
        return cx.out.line("no operator subscribes to any of these events");
    }
    cx.out.table(&["event", "operator", "tool", "entity", "outcome", "reason"], &rows);
    cx.out.line("\nNothing was called: every effect is a stub, and nothing was kept.");
}
