//! A described outside system: where it is, how it authenticates, what it sends us.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Span;

/// What carries a connector's tools.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// HTTP calls.
    #[default]
    Http,
    /// Local files under one root.
    Files {
        /// The folder; relative paths start at the project.
        root: String,
    },
}

/// How calls authenticate. The named secret is leased from the vault for one call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthSpec {
    /// No authentication.
    #[default]
    None,
    /// `Authorization: Bearer <secret>`.
    Bearer {
        /// Name of the secret.
        secret: String,
    },
    /// A key in a header.
    ApiKey {
        /// Name of the secret.
        secret: String,
        /// The header; `X-API-Key` when left out.
        #[serde(default = "default_api_key_header")]
        header: String,
    },
    /// HTTP Basic.
    Basic {
        /// The user name, not a secret.
        username: String,
        /// Name of the secret that is the password.
        secret: String,
    },
}

fn default_api_key_header() -> String {
    "X-API-Key".to_owned()
}

impl AuthSpec {
    /// The secret a call needs, if any.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Bearer { secret } | Self::ApiKey { secret, .. } | Self::Basic { secret, .. } => Some(secret),
        }
    }
}

/// Which hosts a connector may reach although the egress guard would refuse them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct EgressSpec {
    /// `host` or `host:port` whose loopback, private or link-local addresses are allowed.
    #[serde(default)]
    pub allow_private: BTreeSet<String>,
}

/// How a custom HMAC signature is written in its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hexadecimal.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

/// How webhooks of a connector are signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "snake_case")]
pub enum WebhookScheme {
    /// `X-Hub-Signature-256: sha256=<hex HMAC of the raw body>`. Signs no id and no time: deduplicated on the body's digest.
    Github,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks {
        /// How far the timestamp may lie from now.
        #[serde(default = "default_tolerance")]
        tolerance: Span,
    },
    /// An HMAC-SHA256 in a header, over the body or over timestamp, separator and body.
    Hmac {
        /// Header with the signature.
        signature_header: String,
        /// Text before the signature in the header, such as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// How the signature is written.
        #[serde(default)]
        encoding: SignatureEncoding,
        /// Header with the time in Unix seconds; signed as `<timestamp>.<body>` when given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_header: Option<String>,
        /// How far the timestamp may lie from now.
        #[serde(default = "default_tolerance")]
        tolerance: Span,
        /// Field of the body that identifies the delivery, as a JSON pointer. The body's digest when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivery_id: Option<String>,
    },
}

const fn default_tolerance() -> Span {
    Span::secs(300)
}

/// Webhooks of a connector.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSpec {
    /// Signature scheme.
    #[serde(flatten)]
    pub scheme: WebhookScheme,
    /// Name of the secret that verifies. Required: an unsigned webhook is refused, never skipped.
    pub secret: String,
    /// Template of the event type over `headers` (lower-case names) and `body`.
    pub event_type: String,
    /// Template of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A connector with every default filled in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConnectorSpec {
    /// Its name: the first half of its tools' names.
    pub name: String,
    /// For people.
    pub description: String,
    /// What carries its tools.
    pub transport: Transport,
    /// How calls authenticate.
    pub auth: AuthSpec,
    /// Values that templates read as `config`; `tollgate.toml` may override them per connector.
    pub config: Map<String, Value>,
    /// Exceptions to the egress guard.
    pub egress: EgressSpec,
    /// Incoming webhooks.
    pub webhook: Option<WebhookSpec>,
    /// Values of `config` in `test` mode. Without them test mode answers from a stub that says so.
    pub test_config: Option<Map<String, Value>>,
}
