//! `tollgate runs`: what became of an event, hop by hop.

use axum::http::Method;
use clap::Subcommand;
use serde_json::Value;
use tollgate_core::time::Timestamp;

use super::page::{Listing, Page};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{text, time};
use crate::path::part;

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum Runs {
    /// List runs, newest first
    List {
        #[command(flatten)]
        page: Page,
        /// Only of this operator
        #[arg(long)]
        operator: Option<String>,
        /// Only in this state, such as `failed`
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one run as a timeline
    Show {
        /// The run, `run_…`
        id: String,
    },
    /// Cancel a run: what waits ends, what is being called is awaited
    Cancel {
        /// The run, `run_…`
        id: String,
    },
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Runs) -> Result<(), Failure> {
    match what {
        Runs::List { page, operator, state } => {
            let listing = Listing {
                path: "/v1/runs",
                filters: vec![("operator", operator), ("state", state)],
                header: &["run", "created", "state", "operator", "actions", "offering", "reason"],
                row,
                none: "no runs",
            };
            page.print(cx, listing).await?;
        }
        Runs::Show { id } => {
            let run = cx.client().await?.json(Method::GET, &format!("/v1/runs/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&run);
                return Ok(());
            }
            let mut hops = vec![(text(&run, "/created_at"), "run", format!("created for {}", text(&run, "/event_id")))];
            if run["planned_at"].is_string() {
                let detail = format!("{} proposed {} action(s)", text(&run, "/principal"), text(&run, "/action_count"));
                hops.push((text(&run, "/planned_at"), "plan", detail));
            }
            for action in run["actions"].as_array().into_iter().flatten() {
                let tool = text(action, "/tool");
                hops.extend(action["hops"].as_array().into_iter().flatten().map(|h| hop(&tool, h)));
                if action["disposition"].is_null() {
                    hops.push((text(action, "/updated_at"), "now", format!("{tool}: {}", waiting(action))));
                }
            }
            hops.sort_by(|a, b| a.0.cmp(&b.0));
            timeline(cx, &run, &hops);
        }
        Runs::Cancel { id } => {
            let v = cx.client().await?.json(Method::POST, &format!("/v1/runs/{}/cancel", part(&id)), None).await?;
            if cx.out.json { cx.out.value(&v) } else { cx.out.line(format!("{id} is being cancelled")) }
        }
    }
    Ok(())
}

fn row(r: &Value) -> Vec<String> {
    vec![
        text(r, "/id"),
        time(r, "/created_at"),
        text(r, "/state"),
        text(r, "/operator"),
        text(r, "/action_count"),
        text(r, "/offering"),
        text(r, "/reason"),
    ]
}

fn hop(tool: &str, h: &Value) -> (String, &'static str, String) {
    let of = |k: &str| text(h, &format!("/{k}"));
    let at = of("at");
    let by = h["by"].as_str().map(|b| format!(" by {b}")).unwrap_or_default();
    match h["kind"].as_str().unwrap_or_default() {
        "intent" => (at, "intent", format!("{tool}: attempt {}", of("attempt"))),
        "attempt" => (at, "attempt", format!("{tool}: attempt {} {}{by}", of("attempt"), of("word"))),
        "evidence" => (at, "evidence", format!("{tool}: attempt {} {} after all", of("attempt"), of("word"))),
        "receipt" => (at, "receipt", format!("{tool}: {} ({})", of("word"), of("reason"))),
        "approval" => (at, "approval", format!("{tool}: {} in `{}`{by}", of("word"), of("reason"))),
        "resolution" => (at, "resolution", format!("{tool}: {}{by}", of("word"))),
        _ => (at, "entry", tool.to_owned()),
    }
}

/// What an action that has not ended stands at.
fn waiting(action: &Value) -> String {
    let state = text(action, "/state");
    match (state.as_str(), action["approval_id"].as_str()) {
        ("waiting_approval", Some(id)) => format!("waits for a person: tollgate approvals show {id}"),
        ("unknown", _) => format!("nobody knows whether it happened: tollgate approvals resolve {}", text(action, "/id")),
        _ => state,
    }
}

fn timeline(cx: &Context, run: &Value, hops: &[(String, &'static str, String)]) {
    cx.out.line(format!("{}  {}  {}", cx.out.paint(1, &text(run, "/id")), text(run, "/state"), text(run, "/reason")));
    let start = hops.first().and_then(|h| Timestamp::parse(&h.0));
    for (at, kind, detail) in hops {
        let after = match (start, Timestamp::parse(at)) {
            (Some(start), Some(at)) => format!("+{:.1} ms", at.since(start).as_secs_f64() * 1000.0),
            _ => at.clone(),
        };
        cx.out.line(format!("  {after:>12}  {kind:<10}  {detail}"));
    }
}
