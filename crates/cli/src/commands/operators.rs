//! `tollgate operators`: who proposes, and whether it may.

use axum::http::Method;
use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::text;
use crate::path::part;

/// What to do with operators.
#[derive(Debug, Subcommand)]
pub enum Operators {
    /// List them
    List,
    /// Stop offering events to one; what comes meanwhile waits for a replay
    Pause {
        /// Its name
        name: String,
    },
    /// Let it work again
    Activate {
        /// Its name
        name: String,
    },
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Operators) -> Result<(), Failure> {
    let client = cx.client().await?;
    let (name, verb) = match what {
        Operators::List => {
            let v = client.json(Method::GET, "/v1/operators", None).await?;
            if cx.out.json {
                cx.out.value(&v);
                return Ok(());
            }
            let rows: Vec<_> = v["data"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|o| {
                    let on: Vec<_> = o["on"].as_array().into_iter().flatten().filter_map(|g| g.as_str()).collect();
                    vec![text(o, "/name"), text(o, "/status"), on.join(" "), text(o, "/description")]
                })
                .collect();
            if rows.is_empty() {
                cx.out.line("no operators");
            } else {
                cx.out.table(&["operator", "status", "on", "description"], &rows);
            }
            return Ok(());
        }
        Operators::Pause { name } => (name, "pause"),
        Operators::Activate { name } => (name, "activate"),
    };
    let v = client.json(Method::POST, &format!("/v1/operators/{}/{verb}", part(&name)), None).await?;
    if cx.out.json {
        cx.out.value(&v)
    } else {
        cx.out.line(format!("{name} is {}", text(&v, "/status")))
    }
    Ok(())
}
