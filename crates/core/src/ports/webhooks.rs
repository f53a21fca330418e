//! Webhooks: verified over the raw body before anything is parsed.

use serde_json::value::RawValue;

use super::SecretLease;
use crate::time::Timestamp;

/// A webhook whose signature held.
#[derive(Clone, Debug)]
pub struct VerifiedWebhook {
    /// Its dotted type.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// What it is deduplicated on: a signed delivery id, or the body's digest.
    pub dedupe_key: String,
    /// The body.
    pub payload: Box<RawValue>,
}

/// Why a webhook is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WebhookError {
    /// No connector of that name takes webhooks.
    #[error("no connector `{0}` takes webhooks")]
    UnknownConnector(String),
    /// No signature, or not in the scheme's form.
    #[error("the signature is missing or malformed: {0}")]
    MissingSignature(String),
    /// The signature does not match. Says nothing more.
    #[error("the signature does not match the body")]
    BadSignature,
    /// The timestamp lies too far from now.
    #[error("the timestamp is outside the tolerance of {tolerance_s} s")]
    Stale {
        /// The tolerance in seconds.
        tolerance_s: u64,
    },
    /// Signed well, but the body or the mapping cannot be used.
    #[error("{0}")]
    BadBody(String),
}

/// The webhooks of one bundle.
pub trait WebhookVerifier: Send + Sync {
    /// Name of the secret that verifies a connector's webhooks. `None`: it takes none.
    fn webhook_secret_of(&self, connector: &str) -> Option<&str>;

    /// Verifies and maps one webhook. `headers` yields values by lower-case name.
    fn verify_webhook(
        &self,
        connector: &str,
        headers: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        secret: &SecretLease,
        now: Timestamp,
    ) -> Result<VerifiedWebhook, WebhookError>;
}
