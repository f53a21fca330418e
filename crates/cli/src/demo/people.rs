//! The people of the demo: security approves alerts, all but one; somebody looks up what became of doubtful announcements.

use axum::http::Method;
use serde_json::{Value, json};

use super::tracker::Tracker;
use crate::client::Client;
use crate::failure::Failure;

/// What people did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// Requests approved.
    pub approved: u64,
    /// Requests denied.
    pub denied: u64,
    /// Unknowns resolved: it happened.
    pub happened: u64,
    /// Unknowns resolved: it did not happen.
    pub did_not: u64,
}

/// Answers everything that waits, and counts it.
pub async fn answer(client: &Client, tracker: &Tracker, said: &mut Said) -> Result<usize, Failure> {
    let asked = client.json(Method::GET, "/v1/approvals?status=open&limit=100", None).await?;
    for request in list(&asked) {
        let id = request["id"].as_str().unwrap_or_default();
        let no = said.denied == 0;
        let (verb, comment) = if no { ("deny", "known, and fixed yesterday") } else { ("approve", "confirmed") };
        client.json(Method::POST, &format!("/v1/approvals/{id}/{verb}"), Some(&json!({"comment": comment}))).await?;
        if no { said.denied += 1 } else { said.approved += 1 }
    }
    let unknown = client.json(Method::GET, "/v1/actions?state=unknown&limit=100", None).await?;
    for action in list(&unknown) {
        let id = action["id"].as_str().unwrap_or_default();
        let happened = tracker.has_done("announcement", &action["args"]["release"]);
        let body = json!({"applied": happened, "comment": "looked at the channel"});
        client.json(Method::POST, &format!("/v1/actions/{id}/resolve"), Some(&body)).await?;
        if happened { said.happened += 1 } else { said.did_not += 1 }
    }
    Ok(list(&asked).len() + list(&unknown).len())
}

fn list(v: &Value) -> Vec<Value> {
    v["data"].as_array().cloned().unwrap_or_default()
}
