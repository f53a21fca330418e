//! Events of a file to a server, in batches: for `events import` and for `dev replay`.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::{Client, refusal};
use crate::failure::Failure;
use crate::output::Output;

/// Events of one request.
const BATCH: usize = 500;

/// Reads a file of events.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn read(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let input = std::fs::read_to_string(file).map_err(|e| Failure::plain(format!("`{shown}` cannot be read: {e}")))?;
    if input.trim().is_empty() {
        return Err(Failure::plain(format!("`{shown}` holds no events: it has one JSON object a line")));
    }
    Ok(input)
}

/// Sends them all; what became of each, as one batch would answer.
///
/// # Errors
/// When the server refuses a batch: nothing of that batch and of later ones is stored.
pub async fn send(out: Output, client: &Client, input: &str) -> Result<Value, Failure> {
    let lines: Vec<&str> = input.lines().filter(|l| !l.trim().is_empty()).collect();
    let bar = if out.json { indicatif::ProgressBar::hidden() } else { indicatif::ProgressBar::new(lines.len() as u64) };
    let mut counts = [("stored", 0), ("repeated", 0), ("conflicts", 0)];
    let mut data = Vec::with_capacity(lines.len());
    for (i, batch) in lines.chunks(BATCH).enumerate() {
        let body = batch.join("\n").into_bytes();
        let answer = client.send_as(Method::POST, "/v1/events", "application/x-ndjson", body).await?;
        if !answer.status.is_success() {
            bar.finish_and_clear();
            let refused = refusal(&answer);
            let (first, last) = (i * BATCH + 1, i * BATCH + batch.len());
            return Err(Failure { message: format!("events {first} to {last}: {}", refused.message), ..refused });
        }
        let mut v = answer.json()?;
        for (name, count) in &mut counts {
            *count += v[*name].as_u64().unwrap_or(0);
        }
        for mut line in v["data"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            line["line"] = json!(line["line"].as_u64().unwrap_or(0) + (i * BATCH) as u64);
            data.push(line);
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let [(_, stored), (_, repeated), (_, conflicts)] = counts;
    Ok(json!({"object": "event_batch", "stored": stored, "repeated": repeated, "conflicts": conflicts, "data": data}))
}
