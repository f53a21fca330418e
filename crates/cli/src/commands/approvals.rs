//! `tollgate approvals`: what waits for a person, and the person's answer.

use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};

use super::page::all;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{text, time};
use crate::path::part;

/// What to do with approval requests.
#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// List what waits: requests for approval, and calls whose outcome nobody knows
    List {
        /// Only this queue
        #[arg(long)]
        queue: Option<String>,
        /// `open` (default), `approved`, `denied`, `expired` or `withdrawn`
        #[arg(long, default_value = "open")]
        status: String,
    },
    /// Show exactly what is asked
    Show {
        /// The request, `apr_…`, or the call whose outcome nobody knows, `act_…`
        id: String,
    },
    /// Say yes
    Approve {
        /// The request, `apr_…`
        id: String,
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Say no; it stands for this key until it is lifted
    Deny {
        /// The request, `apr_…`
        id: String,
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Lift a denial, so that its key may be asked for again
    Lift {
        /// The denied action, `act_…`
        id: String,
    },
    /// Say what became of a call whose outcome nobody knows
    #[command(group(clap::ArgGroup::new("outcome").required(true).args(["happened", "did_not_happen"])))]
    Resolve {
        /// The action, `act_…`
        id: String,
        /// It happened
        #[arg(long)]
        happened: bool,
        /// It did not happen
        #[arg(long)]
        did_not_happen: bool,
        /// Why, for the record
        #[arg(long)]
        comment: Option<String>,
    },
}

/// How a request is answered.
#[derive(Debug, clap::Args)]
pub struct AnswerArgs {
    /// For which queue, when more than one is open
    #[arg(long)]
    queue: Option<String>,
    /// Why, for the record
    #[arg(long)]
    comment: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Approvals) -> Result<(), Failure> {
    match what {
        Approvals::List { queue, status } => list(cx, queue, &status).await,
        Approvals::Show { id } if id.starts_with("act_") => {
            let v = cx.client().await?.json(Method::GET, &format!("/v1/actions/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&v)
            } else {
                super::actions::show(cx, &v)
            }
            Ok(())
        }
        Approvals::Show { id } => {
            let v = cx.client().await?.json(Method::GET, &format!("/v1/approvals/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&v)
            } else {
                show(cx, &v)
            }
            Ok(())
        }
        Approvals::Approve { id, answer } => answered(cx, &id, "approve", answer).await,
        Approvals::Deny { id, answer } => answered(cx, &id, "deny", answer).await,
        Approvals::Lift { id } => {
            let v = cx.client().await?.json(Method::POST, &format!("/v1/actions/{}/lift-denial", part(&id)), None).await?;
            let lifted = v["lifted"] == true;
            said(cx, &v, &if lifted { format!("{id}: the denial is lifted") } else { format!("{id}: no denial stood") });
            Ok(())
        }
        Approvals::Resolve { id, happened, did_not_happen: _, comment } => {
            let mut body = json!({"applied": happened});
            if let Some(comment) = comment {
                body["comment"] = json!(comment);
            }
            let v = cx.client().await?.json(Method::POST, &format!("/v1/actions/{}/resolve", part(&id)), Some(&body)).await?;
            said(cx, &v, &format!("{id} is resolved: it {}", if happened { "happened" } else { "did not happen" }));
            Ok(())
        }
    }
}

async fn list(cx: &Context, queue: Option<String>, status: &str) -> Result<(), Failure> {
    let client = cx.client().await?;
    // An unknown outcome, or a blocked compensation, belongs to no queue: whoever asks for one queue asks for its requests only.
    let with_actions = status == "open" && queue.is_none();
    let asked = all(&client, "/v1/approvals", &[("status", Some(status.to_owned())), ("queue", queue)]).await?;
    let (mut unknown, mut blocked) = (Vec::new(), Vec::new());
    if with_actions {
        unknown = all(&client, "/v1/actions", &[("state", Some("unknown".to_owned()))]).await?;
        blocked = all(&client, "/v1/actions", &[("state", Some("blocked".to_owned()))]).await?;
    }
    if cx.out.json {
        cx.out.value(&json!({"object": "list", "approvals": asked, "unknown": unknown, "blocked": blocked}));
        return Ok(());
    }
    let mut lines = Vec::new();
    for a in asked {
        let queues = a["queues"].as_array().map(|q| q.iter().map(|q| text(q, "/name")).collect::<Vec<_>>().join(","));
        lines.push(vec![
            text(&a, "/id"),
            "approve".into(),
            queues.unwrap_or_default(),
            text(&a, "/shown/tool"),
            text(&a, "/shown/entity_key"),
            time(&a, "/expires_at"),
        ]);
    }
    let todo = unknown.into_iter().map(|a| (a, "resolve")).chain(blocked.into_iter().map(|a| (a, "unblock")));
    for (a, what) in todo {
        lines.push(vec![text(&a, "/id"), what.into(), "-".into(), text(&a, "/tool"), text(&a, "/entity_key"), "never".into()]);
    }
    if lines.is_empty() {
        cx.out.line("nothing waits for a person");
    } else {
        cx.out.table(&["id", "to do", "queue", "tool", "entity", "lapses"], &lines);
    }
    Ok(())
}

/// Exactly what is asked, for a person.
fn show(cx: &Context, v: &Value) {
    let line = |name: &str, value: String| cx.out.line(format!("  {name:<16} {value}"));
    cx.out.line(format!("{}  {}", cx.out.paint(1, &text(v, "/id")), text(v, "/status")));
    line("who", text(v, "/shown/principal"));
    line("wants to call", text(v, "/shown/tool"));
    line("which would", text(v, "/shown/description"));
    line("entity", text(v, "/shown/entity_key"));
    line("once per", text(v, "/shown/idempotency_key"));
    if !v["shown"]["value"].is_null() {
        line("value", format!("{} {} (smallest unit)", text(v, "/shown/value/amount_minor"), text(v, "/shown/value/unit")));
    }
    let args = serde_json::to_string_pretty(&v["shown"]["args"]).unwrap_or_default();
    line("with", args.replace('\n', "\n                   "));
    let policies: Vec<_> = v["shown"]["policies"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    line("asked by policy", policies.join(", "));
    for queue in v["queues"].as_array().into_iter().flatten() {
        let answer = queue["approved_by"].as_str().map_or("open".to_owned(), |by| format!("approved by {by}"));
        line("queue", format!("{}: {answer}", text(queue, "/name")));
    }
    if v["status"] == "open" {
        line("lapses", time(v, "/expires_at"));
        let id = text(v, "/id");
        cx.out.line(format!("\nAnswer:\n  tollgate approvals approve {id}\n  tollgate approvals deny {id}"));
    }
}

async fn answered(cx: &Context, id: &str, verb: &str, answer: AnswerArgs) -> Result<(), Failure> {
    let client = cx.client().await?;
    // The answer is to what stands there now, and to nothing that takes its place.
    let asked = client.json(Method::GET, &format!("/v1/approvals/{}", part(id)), None).await?;
    let mut body = json!({"binding": asked["binding"]});
    for (name, value) in [("queue", answer.queue), ("comment", answer.comment)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let v = client.json(Method::POST, &format!("/v1/approvals/{}/{verb}", part(id)), Some(&body)).await?;
    said(cx, &v, &format!("{id}: {}", if verb == "approve" { "approved" } else { "denied" }));
    Ok(())
}

fn said(cx: &Context, v: &Value, line: &str) {
    if cx.out.json { cx.out.value(v) } else { cx.out.line(line) }
}
