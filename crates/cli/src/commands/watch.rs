//! `tollgate runs watch`: a run's stream, asked for piece by piece, so that it works over HTTP and over a data folder alike.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use crate::client::refusal;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, text, time};
use crate::path::part;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// One event of a stream.
#[derive(Default)]
struct Heard {
    name: String,
    id: String,
    data: String,
}

/// The events of a stream's text.
fn read(stream: &str) -> Vec<Heard> {
    let block = |block: &str| {
        let mut heard = Heard::default();
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("event", v)) => v.clone_into(&mut heard.name),
                Some(("id", v)) => v.clone_into(&mut heard.id),
                Some(("data", v)) => heard.data.push_str(v),
                _ => {}
            }
        }
        heard
    };
    stream.split("\n\n").filter(|b| !b.is_empty()).map(block).collect()
}

/// Prints until the run is over.
pub async fn watch(cx: &Context, id: &str) -> Result<(), Failure> {
    let client = cx.client().await?;
    let path = format!("/v1/runs/{}/stream?follow=false", part(id));
    let mut last = String::new();
    loop {
        let header: Vec<(&str, &str)> = if last.is_empty() { Vec::new() } else { vec![("last-event-id", last.as_str())] };
        let answer = client.send(Method::GET, &path, None, &header).await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer));
        }
        let body =
            String::from_utf8(answer.body).map_err(|e| Failure::new(Exit::Failed, format!("the server's answer is not text: {e}")))?;
        for heard in read(&body) {
            if !heard.id.is_empty() {
                last = heard.id;
            }
            let Ok(v) = serde_json::from_str::<Value>(&heard.data) else { continue };
            let is_end = heard.name == "end";
            if cx.out.json {
                cx.out.line(v.to_string());
            } else if is_end {
                cx.out.line(format!("the run is over: {}", text(&v, "/state")));
            } else {
                cx.out.line(line(&v));
            }
            if is_end {
                return Ok(());
            }
        }
        if Output::unread() {
            return Ok(());
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

fn line(v: &Value) -> String {
    let step = v["step"].as_u64().map(|n| format!("step {n}")).unwrap_or_default();
    let parts = [time(v, "/at"), text(v, "/type"), text(v, "/action_id"), step, text(v, "/disposition"), text(v, "/reason")];
    parts.into_iter().filter(|p| !p.is_empty() && p != "-").collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_event_by_event() {
        let heard = read(": a comment\n\nid: a\ndata: {\"n\": 1}\n\nevent: end\nid: b\ndata: {}\n\n");
        let shown: Vec<_> = heard.iter().map(|h| (h.name.as_str(), h.id.as_str(), h.data.as_str())).collect();
        assert_eq!(shown, [("", "", ""), ("", "a", "{\"n\": 1}"), ("end", "b", "{}")]);
    }
}
