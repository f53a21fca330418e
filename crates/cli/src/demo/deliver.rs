//! Deliveries as GitHub makes them: signed over the raw body, over HTTP.

use std::path::Path;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::client::Client;
use crate::failure::Failure;

/// Deliveries under way at once.
const AT_ONCE: usize = 8;

/// One recorded delivery.
#[derive(Debug, Deserialize)]
pub struct Delivery {
    delivery: String,
    event: String,
    body: Box<RawValue>,
}

/// What the server said to a round of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Stored.
    pub stored: u64,
    /// Known already.
    pub repeated: u64,
}

/// Reads the recorded deliveries.
pub fn read(path: &Path) -> Result<Vec<Delivery>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::plain(format!("`{}` cannot be read: {e}", path.display())))?;
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Failure::plain(format!("`{}`, line {}: {e}", path.display(), i + 1)))
    };
    text.lines().enumerate().map(parse).collect()
}

fn sign(secret: &str, body: &[u8]) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(Failure::plain)?;
    mac.update(body);
    Ok(format!("sha256={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())))
}

/// Delivers everything once.
pub async fn deliver(client: &Arc<Client>, all: &Arc<Vec<Delivery>>, secret: &str, bar: &indicatif::ProgressBar) -> Result<Round, Failure> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..all.len() {
        let permit = Arc::clone(&room).acquire_owned().await.map_err(Failure::plain)?;
        let (client, all, secret, bar) = (Arc::clone(client), Arc::clone(all), secret.to_owned(), bar.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let Some(d) = all.get(i) else { return Ok(StatusCode::OK) };
            let body = d.body.get().as_bytes().to_vec();
            let signature = sign(&secret, &body)?;
            let headers = [("x-github-event", d.event.as_str()), ("x-github-delivery", &d.delivery), ("x-hub-signature-256", &signature)];
            let answer = client.send(Method::POST, "/v1/hooks/github", Some(body), &headers).await?;
            bar.inc(1);
            if answer.status.is_success() { Ok(answer.status) } else { Err(crate::client::refusal(&answer)) }
        });
    }
    let mut round = Round::default();
    while let Some(done) = tasks.join_next().await {
        match done.map_err(Failure::plain)?? {
            StatusCode::OK => round.repeated += 1,
            _ => round.stored += 1,
        }
    }
    Ok(round)
}
