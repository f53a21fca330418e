//! `tollgate events`: send one, watch them come.

use std::path::{Path, PathBuf};

use axum::http::{Method, StatusCode};
use clap::Subcommand;
use serde_json::{Value, json};

use super::input::json_argument;
use super::page::{Listing, Page};
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, text, time};

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Send one event
    Send {
        /// Its dotted type, such as `issues.opened`
        event_type: String,
        /// Its payload as JSON; `-` reads standard input
        #[arg(long, default_value = "{}")]
        payload: String,
        /// Where it comes from
        #[arg(long, default_value = "cli")]
        source: String,
        /// What it is about
        #[arg(long)]
        subject: Option<String>,
        /// Sends it once, however often it is sent under this key
        #[arg(long)]
        idempotency_key: Option<String>,
    },
    /// List events, newest first
    List {
        #[command(flatten)]
        page: Page,
        /// Only this type
        #[arg(long)]
        event_type: Option<String>,
    },
    /// Print events as they come, until Ctrl-C
    Tail {
        /// Start with the oldest instead of now
        #[arg(long)]
        from_start: bool,
    },
    /// Send a file of events, one JSON object a line
    Import {
        /// The file
        file: PathBuf,
    },
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Events) -> Result<(), Failure> {
    match what {
        Events::Send { event_type, payload, source, subject, idempotency_key } => {
            let payload = json_argument("--payload", &payload)?;
            let body = json!({"source": source, "event_type": event_type, "subject": subject, "payload": payload});
            let key: Vec<(&str, &str)> = idempotency_key.iter().map(|k| ("idempotency-key", k.as_str())).collect();
            let client = cx.client().await?;
            let answer = client.send(Method::POST, "/v1/events", Some(strip(body).to_string().into_bytes()), &key).await?;
            if !answer.status.is_success() {
                return Err(crate::client::refusal(&answer));
            }
            let v = answer.json()?;
            if cx.out.json {
                cx.out.value(&v)
            } else {
                let known = if answer.status == StatusCode::CREATED { "stored" } else { "was known already" };
                cx.out.line(format!("{} {known}", text(&v, "/id")))
            }
            waits_for_a_server(cx, &client);
            Ok(())
        }
        Events::List { page, event_type } => {
            let listing = Listing {
                path: "/v1/events",
                filters: vec![("event_type", event_type)],
                header: &["event", "received", "type", "source", "subject"],
                row,
                none: "no events",
            };
            page.print(cx, listing).await?;
            Ok(())
        }
        Events::Tail { from_start } => tail(cx, from_start).await,
        Events::Import { file } => import(cx, &file).await,
    }
}

/// Everything in a file, and what became of it in a line.
async fn import(cx: &Context, file: &Path) -> Result<(), Failure> {
    let input = super::import::read(file)?;
    let client = cx.client().await?;
    let v = super::import::send(cx.out, &client, &input).await?;
    if cx.out.json {
        cx.out.value(&v);
    } else {
        cx.out.line(format!("{} events stored, {} known already", text(&v, "/stored"), text(&v, "/repeated")));
    }
    waits_for_a_server(cx, &client);
    match v["conflicts"].as_u64() {
        None | Some(0) => Ok(()),
        Some(n) => Err(Failure::plain(format!("{n} events were not stored: their idempotency keys were used with other bodies"))),
    }
}

fn row(e: &Value) -> Vec<String> {
    vec![text(e, "/id"), time(e, "/received_at"), text(e, "/event_type"), text(e, "/source"), text(e, "/subject")]
}

fn waits_for_a_server(cx: &Context, client: &Client) {
    if client.is_inside() {
        cx.out.aside("no server runs: operators see it when `tollgate dev` starts");
    }
}

fn strip(mut v: Value) -> Value {
    if let Some(map) = v.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    v
}

/// Looks again and again: works over HTTP and over a data folder alike.
async fn tail(cx: &Context, from_start: bool) -> Result<(), Failure> {
    let client = cx.client().await?;
    let mut seen: Option<String> = None;
    if !from_start {
        let v = client.json(Method::GET, "/v1/events?limit=1", None).await?;
        seen = v["data"].get(0).map(|e| text(e, "/id"));
    }
    loop {
        let mut fresh = Vec::new();
        let mut cursor: Option<String> = None;
        'pages: loop {
            let path = cursor.as_ref().map_or("/v1/events?limit=100".to_owned(), |c| format!("/v1/events?limit=100&cursor={c}"));
            let v = client.json(Method::GET, &path, None).await?;
            for e in v["data"].as_array().into_iter().flatten() {
                if Some(text(e, "/id")) == seen {
                    break 'pages;
                }
                fresh.push(e.clone());
            }
            cursor = v["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        for e in fresh.iter().rev() {
            if cx.out.json { cx.out.line(e.to_string()) } else { cx.out.line(row(e).join("  ")) }
        }
        if Output::unread() {
            return Ok(());
        }
        seen = fresh.first().map(|e| text(e, "/id")).or(seen);
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
        }
    }
}
