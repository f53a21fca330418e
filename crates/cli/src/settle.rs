//! Waiting until nothing moves but what waits for a person.

use std::time::Duration;

use axum::http::Method;

use crate::client::Client;
use crate::failure::Failure;

/// States in which time alone brings an action on.
const MOVING: [&str; 5] = ["proposed", "ready", "calling", "backoff", "doubt"];
/// Looks in a row that must find nothing.
const QUIET: u32 = 3;
const LOOKS_MAX: u32 = 1200;

/// Waits.
///
/// # Errors
/// When it still moves after two minutes.
pub async fn settle(client: &Client) -> Result<(), Failure> {
    let mut quiet = 0;
    for _ in 0..LOOKS_MAX {
        // States are read one after another: what goes back to one that was just read is missed by one look, and seen by the next.
        quiet = if moving(client).await? { 0 } else { quiet + 1 };
        if quiet == QUIET {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::plain("it did not come to rest within two minutes: look at `tollgate runs list --state running`"))
}

async fn moving(client: &Client) -> Result<bool, Failure> {
    for path in ["/v1/runs?state=queued&limit=1".to_owned()].into_iter().chain(MOVING.map(|s| format!("/v1/actions?state={s}&limit=100"))) {
        let list = client.json(Method::GET, &path, None).await?;
        let data = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What comes after an action that waits for a person is not callable yet.
        if data.iter().any(|a| a["state"] != "proposed") {
            return Ok(true);
        }
    }
    Ok(false)
}
