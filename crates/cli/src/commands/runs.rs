//! `tollgate runs`: what became of an event, hop by hop.

use axum::http::Method;
use clap::Subcommand;
use serde_json::Value;
use tollgate_core::time::Timestamp;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{text, time};

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum Runs {
    /// List runs, newest first
    List {
        /// How many, 1 to 100
        #[arg(long, default_value_t = 20)]
        limit: u32,
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
    let client = cx.client().await?;
    match what {
        Runs::List { limit, operator, state } => {
            let mut path = format!("/v1/runs?limit={limit}");
            for (name, value) in [("operator", operator), ("state", state)] {
                if let Some(v) = value {
                    path.push_str(&format!("&{name}={v}"));
                }
            }
            let v = client.json(Method::GET, &path, None).await?;
            if cx.out.json {
                cx.out.value(&v);
                return Ok(());
            }
            let rows: Vec<_> = v["data"].as_array().into_iter().flatten().map(row).collect();
            cx.out.table(&["run", "created", "state", "operator", "actions", "offering", "reason"], &rows);
        }
        Runs::Show { id } => {
            let run = client.json(Method::GET, &format!("/v1/runs/{id}"), None).await?;
            if cx.out.json {
                cx.out.value(&run);
                return Ok(());
            }
            let mut hops = vec![(text(&run, "/created_at"), "run", format!("created for {}", text(&run, "/event_id")))];
            if run["planned_at"].is_string() {
                let detail = format!("{} proposed {} action(s)", text(&run, "/principal"), text(&run, "/actions_count"));
                hops.push((text(&run, "/planned_at"), "plan", detail));
            }
            for action in run["actions"].as_array().into_iter().flatten() {
                let entries = client.json(Method::GET, &format!("/v1/receipts?kind=all&limit=100&action={}", text(action, "/id")), None).await?;
                hops.extend(entries["data"].as_array().into_iter().flatten().map(hop));
            }
            hops.sort_by(|a, b| a.0.cmp(&b.0));
            timeline(cx, &run, &hops);
        }
        Runs::Cancel { id } => {
            let v = client.json(Method::POST, &format!("/v1/runs/{id}/cancel"), None).await?;
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
        text(r, "/actions_count"),
        text(r, "/offering"),
        text(r, "/reason"),
    ]
}

fn hop(entry: &Value) -> (String, &'static str, String) {
    let leaf = |k: &str| text(entry, &format!("/leaf/{k}"));
    let at = text(entry, "/at");
    let tool = leaf("of/tool");
    match entry["kind"].as_str().unwrap_or_default() {
        "intent" => (at, "intent", format!("{tool}: attempt {} ({})", leaf("attempt"), leaf("decision/reason"))),
        "attempt" => (at, "attempt", format!("{tool}: {} (status {})", leaf("result"), leaf("status"))),
        "receipt" => (at, "receipt", format!("{tool}: {} ({})", leaf("disposition"), leaf("reason"))),
        "approval" => (at, "approval", format!("{tool}: {} in `{}`", leaf("step"), leaf("queue"))),
        "resolution" => (at, "resolution", format!("{tool}: {} says {}", leaf("by"), leaf("resolved"))),
        _ => (at, "evidence", tool),
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
