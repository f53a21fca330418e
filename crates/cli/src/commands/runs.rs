//! `tollgate runs`: what became of an event, hop by hop.

use axum::http::Method;
use clap::Subcommand;
use serde_json::Value;

use super::page::{Listing, Page};
use super::{timeline, watch};
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
    /// Print what becomes of a run as it happens, until it is over
    Watch {
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
        Runs::Watch { id } => watch::watch(cx, &id).await?,
        Runs::Show { id } => {
            let run = cx.client().await?.json(Method::GET, &format!("/v1/runs/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&run);
                return Ok(());
            }
            timeline::show(cx, &run);
        }
        Runs::Cancel { id } => {
            let v = cx.client().await?.json(Method::POST, &format!("/v1/runs/{}/cancel", part(&id)), None).await?;
            if cx.out.json { cx.out.value(&v) } else { cx.out.line(cancelled(&v)) }
        }
    }
    Ok(())
}

fn row(r: &Value) -> Vec<String> {
    vec![
        text(r, "/id"),
        time(r, "/created_at"),
        text(r, "/state"),
        r["operator"].as_str().map_or_else(|| text(r, "/principal"), str::to_owned),
        text(r, "/action_count"),
        text(r, "/offering"),
        text(r, "/reason"),
    ]
}

/// What a cancellation can do now: nothing to a run that ended, and nothing before somebody says what became of a call.
fn cancelled(run: &Value) -> String {
    let id = text(run, "/id");
    match run["state"].as_str() {
        Some("needs_resolution") => {
            format!("{id} ends when somebody says what became of its call: tollgate approvals list")
        }
        Some(state @ ("queued" | "running")) => format!("{id} is being cancelled ({state})"),
        _ => format!("{id} has ended: {}", text(run, "/state")),
    }
}
