//! `tollgate actions`: one action through the gate, and where actions stand.

use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};
use tollgate_core::time::parse_span;

use super::input::json_argument;
use super::page::{Listing, Page};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{text, time};
use crate::path::part;

/// The longest wait that the server grants.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// What to do with actions.
#[derive(Debug, Subcommand)]
pub enum Actions {
    /// Take one action through the gate and wait for its end; exit code 4 when it is refused
    Submit(Submit),
    /// List actions, newest first
    List {
        #[command(flatten)]
        page: Page,
        /// Only of this run, `run_…`
        #[arg(long)]
        run: Option<String>,
        /// Only in this state, such as `waiting_approval`
        #[arg(long)]
        state: Option<String>,
        /// Only those that ended like this, such as `refused`
        #[arg(long)]
        disposition: Option<String>,
        /// Only of this tool
        #[arg(long)]
        tool: Option<String>,
    },
    /// Show one: what is asked, where it stands, how it ended
    Show {
        /// The action, `act_…`
        id: String,
    },
}

/// One action.
#[derive(Debug, clap::Args)]
pub struct Submit {
    /// The tool, `connector.tool`, or a capability that is bound to one
    tool: String,
    /// Its arguments as JSON; `-` reads standard input
    #[arg(long, default_value = "{}", value_name = "JSON")]
    args: String,
    /// What it changes: one action at a time for each. Writes need it
    #[arg(long, value_name = "KEY")]
    entity_key: Option<String>,
    /// What it is: the same key takes effect once, for ever. Writes need it
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The value at stake, in the smallest unit (cents), for policies
    #[arg(long, requires = "unit", value_name = "AMOUNT")]
    amount_minor: Option<i64>,
    /// The unit of the value, such as EUR
    #[arg(long, requires = "amount_minor")]
    unit: Option<String>,
    /// How long to wait for its end, at most 60s
    #[arg(long, default_value = "30s", value_name = "TIME")]
    wait: String,
}

/// Runs it.
///
/// # Errors
/// When the server says no, or the action is refused or fails.
pub async fn run(cx: &Context, what: Actions) -> Result<(), Failure> {
    match what {
        Actions::Submit(what) => submit(cx, what).await,
        Actions::List { page, run, state, disposition, tool } => {
            let listing = Listing {
                path: "/v1/actions",
                filters: vec![("run", run), ("state", state), ("disposition", disposition), ("tool", tool)],
                header: &["action", "created", "state", "disposition", "reason", "tool", "entity"],
                row,
                none: "no actions",
            };
            page.print(cx, listing).await
        }
        Actions::Show { id } => {
            let v = cx.client().await?.json(Method::GET, &format!("/v1/actions/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&v)
            } else {
                show(cx, &v)
            }
            Ok(())
        }
    }
}

fn row(a: &Value) -> Vec<String> {
    let of = |k: &str| text(a, k);
    vec![of("/id"), time(a, "/created_at"), of("/state"), of("/disposition"), of("/reason"), of("/tool"), of("/entity_key")]
}

async fn submit(cx: &Context, what: Submit) -> Result<(), Failure> {
    let wait = parse_span(&what.wait).map_err(|e| Failure::new(Exit::Usage, format!("--wait: {e}")))?;
    if wait > WAIT_MAX {
        return Err(Failure::new(Exit::Usage, format!("--wait is `{}`: at most 60s is waited for", what.wait)));
    }
    let mut body = json!({"tool": what.tool, "args": json_argument("--args", &what.args)?, "wait_ms": wait.as_millis()});
    for (name, value) in [("entity_key", what.entity_key), ("idempotency_key", what.idempotency_key)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    if let (Some(amount), Some(unit)) = (what.amount_minor, what.unit) {
        body["value"] = json!({"amount_minor": amount, "unit": unit});
    }
    let client = cx.client().await?;
    if client.is_inside() {
        // Without a worker nothing would move, and the wait would be for nothing.
        body["wait_ms"] = json!(0);
    }
    let action = client.json(Method::POST, "/v1/actions", Some(&body)).await?;
    if cx.out.json {
        cx.out.value(&action)
    } else {
        cx.out.line(format!("{}  {}", text(&action, "/id"), standing(&action)))
    }
    if client.is_inside() {
        cx.out.aside("no server runs: it is carried out when `tollgate dev` starts");
    }
    ended(&action)
}

/// How it ended, as an exit code. What has not ended yet is no failure.
fn ended(action: &Value) -> Result<(), Failure> {
    let id = text(action, "/id");
    match action["disposition"].as_str() {
        None | Some("applied" | "deduplicated") => Ok(()),
        Some("refused" | "denied") => Err(Failure::new(Exit::Refused, format!("{id} was not carried out: policy or a person refused it"))),
        Some("unknown") => Err(Failure::plain(format!("{id} may have happened or not: a person has to look"))),
        Some(_) => Err(Failure::plain(format!("{id} did not take effect"))),
    }
}

/// Where an action stands, in a line: the word, why, and what a person can do about it.
pub fn standing(action: &Value) -> String {
    let id = text(action, "/id");
    match (action["state"].as_str(), action["disposition"].as_str(), action["approval_id"].as_str()) {
        (Some("waiting_approval"), None, Some(request)) => format!("waits for a person: tollgate approvals show {request}"),
        (Some("unknown"), _, _) => format!("nobody knows whether it happened: tollgate approvals show {id}"),
        (Some("blocked"), None, _) => {
            let why = because("blocked", action["reason"].as_str(), action["detail"].as_str());
            format!("{why}; it waits for a deployment, or to be given up: tollgate runs cancel {}", text(action, "/run_id"))
        }
        (state, None, _) => state.unwrap_or("-").to_owned(),
        (_, Some(ended), _) => because(ended, action["reason"].as_str(), action["detail"].as_str()),
    }
}

/// A word, its reason where that says more, and the detail for people.
pub fn because(word: &str, reason: Option<&str>, detail: Option<&str>) -> String {
    let reason = reason.filter(|r| *r != word).map(|r| format!(" ({r})")).unwrap_or_default();
    format!("{word}{reason}{}", detail.map(|d| format!(": {d}")).unwrap_or_default())
}

/// An action for a person.
pub fn show(cx: &Context, a: &Value) {
    let line = |name: &str, value: &str| cx.out.line(format!("  {name:<16} {}", value.replace('\n', "\n                   ")));
    let id = text(a, "/id");
    let in_doubt = a["state"] == "unknown";
    let stands = if in_doubt { "nobody knows whether it happened".to_owned() } else { standing(a) };
    cx.out.line(format!("{}  {stands}", cx.out.paint(1, &id)));
    line("who", &text(a, "/principal"));
    line("tool", &format!("{} ({})", text(a, "/tool"), text(a, "/effect")));
    line("entity", &text(a, "/entity_key"));
    line("once per", &text(a, "/idempotency_key"));
    if !a["value"].is_null() {
        line("value", &format!("{} {} (smallest unit)", text(a, "/value/amount_minor"), text(a, "/value/unit")));
    }
    line("with", &serde_json::to_string_pretty(&a["args"]).unwrap_or_default());
    line("attempts", &text(a, "/attempts"));
    if !a["output"].is_null() {
        line("returned", &serde_json::to_string_pretty(&a["output"]).unwrap_or_default());
    }
    for (name, field) in
        [("undoes", "/compensates"), ("approval", "/approval_id"), ("receipt", "/receipt_id"), ("run", "/run_id"), ("event", "/event_id")]
    {
        if a.pointer(field).is_some_and(Value::is_string) {
            line(name, &text(a, field));
        }
    }
    line("created", &time(a, "/created_at"));
    line("changed", &time(a, "/updated_at"));
    if in_doubt {
        cx.out.line("\nLook in the other system, then say what you found:");
        cx.out.line(format!("  tollgate approvals resolve {id} --happened\n  tollgate approvals resolve {id} --did-not-happen"));
    }
}
