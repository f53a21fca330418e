//! Waits until all work is done, as somebody sees it who asks over HTTP.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::effects::Effects;
use super::send::{Target, Targets};
use crate::bench::load::Watch;
use crate::failure::Failure;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row that must find nothing open.
const QUIET_LOOKS: u32 = 4;

/// Waits until no run is open and the upstream has dealt with every call.
///
/// # Errors
/// When runs are still open after so long.
pub async fn settled(targets: &Targets, effects: &Effects, within: Duration) -> Result<(), Failure> {
    let client = Client::builder().no_proxy().timeout(within).build().map_err(Failure::plain)?;
    let watch = Watch::start();
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        if watch.elapsed() > within {
            return Err(Failure::plain(format!("`finished`: runs are still open after {} s without trouble", within.as_secs())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let to = targets.borrow().values().next().cloned();
        let open = match &to {
            Some(to) => open(&client, to, "queued").await? || open(&client, to, "running").await?,
            None => true,
        };
        quiet = if open || effects.under_way() > 0 { 0 } else { quiet + 1 };
    }
    Ok(())
}

async fn open(client: &Client, to: &Target, state: &str) -> Result<bool, Failure> {
    let asked = client.get(format!("http://{}/v1/runs?state={state}&limit=1", to.addr)).bearer_auth(&to.key);
    let answer = asked.send().await.map_err(Failure::plain)?;
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        // It comes round yet.
        return Ok(true);
    }
    let body = answer.text().await.map_err(Failure::plain)?;
    let page: Value = serde_json::from_str(&body).map_err(Failure::plain)?;
    let runs = page["data"].as_array().ok_or_else(|| Failure::plain(format!("runs cannot be listed: {body}")))?;
    Ok(!runs.is_empty())
}
