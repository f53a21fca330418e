//! `tollgate replay`: recorded events through the live gate again; and `dev replay`: events of a file, with effects stubbed.

use axum::http::Method;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::text;

/// Which recorded events.
#[derive(Debug, Args)]
pub struct Replay {
    /// Received at or after this time, RFC 3339
    #[arg(long)]
    from: Option<String>,
    /// Received before this time, RFC 3339
    #[arg(long)]
    to: Option<String>,
    /// Only for this operator
    #[arg(long)]
    operator: Option<String>,
    /// Only events whose type matches this glob
    #[arg(long)]
    event_type: Option<String>,
    /// Come back at once instead of when every event was offered
    #[arg(long)]
    no_wait: bool,
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Replay) -> Result<(), Failure> {
    let client = cx.client().await?;
    let fields = [("from", what.from), ("to", what.to), ("operator", what.operator), ("event_type", what.event_type)];
    let body: Map<String, Value> = fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), json!(v?)))).collect();
    let mut state = client.json(Method::POST, "/v1/replays", Some(&Value::Object(body))).await?;
    let id = text(&state, "/id");
    let bar = (!cx.out.json).then(|| {
        let bar = indicatif::ProgressBar::new(0);
        bar.set_style(
            indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} events")
                .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
        );
        bar
    });
    while !what.no_wait && state["status"] == "running" {
        if let Some(bar) = &bar {
            let remaining = state["remaining"].as_u64().unwrap_or(0);
            bar.set_length(bar.length().unwrap_or(0).max(remaining));
            bar.set_position(bar.length().unwrap_or(0) - remaining);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        state = client.json(Method::GET, &format!("/v1/replays/{id}"), None).await?;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if cx.out.json {
        cx.out.value(&state);
    } else {
        cx.out.line(format!("{id}: offering {}, {} runs", text(&state, "/offering"), text(&state, "/runs")));
    }
    Ok(())
}
