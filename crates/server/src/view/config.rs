//! What governs actions, as clients see it: operators, connectors, policies, secrets without values, API keys without keys.

use serde::Serialize;
use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, SecretInfo};
use tollgate_core::spec::{AuthSpec, ConnectorSpec, OperatorSpec, Ordering, ToolSpec, Transport};
use tollgate_core::time::{Timestamp, show_span};
use utoipa::ToSchema;

/// An operator of the active bundle.
#[derive(Serialize, ToSchema)]
#[schema(as = Operator)]
pub(crate) struct OperatorView {
    /// Its name.
    pub name: String,
    /// Always `operator`.
    pub object: &'static str,
    /// For people.
    pub description: String,
    /// `active`, `paused` or `draft`.
    pub status: &'static str,
    /// Globs over event types.
    pub on: Vec<String>,
    /// CEL over `event`.
    pub when: Option<String>,
    /// Tools and capabilities that it proposes.
    pub tools: Vec<String>,
    /// `relaxed` or `strict`.
    pub ordering: &'static str,
    /// Its content address.
    #[schema(value_type = String)]
    pub digest: Digest,
}

impl OperatorView {
    /// An operator with its status now.
    pub fn new(o: &OperatorSpec, status: &'static str) -> Self {
        Self {
            name: o.name.clone(),
            object: "operator",
            description: o.description.clone(),
            status,
            on: o.on.clone(),
            when: o.when.clone(),
            tools: o.propose.iter().map(|p| p.tool.clone()).collect(),
            ordering: match o.ordering {
                Ordering::Relaxed => "relaxed",
                Ordering::Strict => "strict",
            },
            digest: o.digest(),
        }
    }
}

/// A tool of a connector.
#[derive(Serialize, ToSchema)]
#[schema(as = Tool)]
pub(crate) struct ToolView {
    /// `connector.tool`.
    pub name: String,
    /// For people and agents.
    pub description: String,
    /// `read` or `write`.
    pub effect: &'static str,
    /// `keyed`, `verifiable` or `at_most_once`.
    pub grade: &'static str,
    /// Its classes.
    pub classes: Vec<String>,
    /// The arguments that make it the same operation.
    pub identity: Vec<String>,
    /// JSON Schema of the arguments.
    pub input: serde_json::Value,
    /// JSON Schema of the output.
    pub output: Option<serde_json::Value>,
    /// Its content address.
    #[schema(value_type = String)]
    pub digest: Digest,
}

impl From<&ToolSpec> for ToolView {
    fn from(t: &ToolSpec) -> Self {
        Self {
            name: t.name.clone(),
            description: t.description.clone(),
            effect: t.effect.as_str(),
            grade: t.grade.as_str(),
            classes: t.classes.iter().cloned().collect(),
            identity: t.identity.clone(),
            input: t.input.clone(),
            output: t.output.clone(),
            digest: t.digest(),
        }
    }
}

/// A connector of the active bundle.
#[derive(Serialize, ToSchema)]
#[schema(as = Connector)]
pub(crate) struct ConnectorView {
    /// Its name.
    pub name: String,
    /// Always `connector`.
    pub object: &'static str,
    /// For people.
    pub description: String,
    /// `active` or `paused`.
    pub status: &'static str,
    /// `http` or `files`.
    pub transport: &'static str,
    /// `none`, `bearer`, `api_key` or `basic`.
    pub auth: &'static str,
    /// Names of the secrets that it uses.
    pub secrets: Vec<String>,
    /// Where its webhooks go; null when it takes none.
    pub webhook: Option<String>,
    /// What agents can do with it.
    pub tools: Vec<ToolView>,
}

impl ConnectorView {
    /// A connector with its tools.
    pub fn new<'a>(c: &ConnectorSpec, paused: bool, tools: impl Iterator<Item = &'a ToolSpec>) -> Self {
        let hook_secret = c.webhook.as_ref().map(|w| w.secret.as_str());
        let mut secrets: Vec<String> = c.auth.secret().into_iter().chain(hook_secret).map(str::to_owned).collect();
        secrets.dedup();
        Self {
            name: c.name.clone(),
            object: "connector",
            description: c.description.clone(),
            status: if paused { "paused" } else { "active" },
            transport: match c.transport {
                Transport::Http => "http",
                Transport::Files { .. } => "files",
            },
            auth: match c.auth {
                AuthSpec::None => "none",
                AuthSpec::Bearer { .. } => "bearer",
                AuthSpec::ApiKey { .. } => "api_key",
                AuthSpec::Basic { .. } => "basic",
            },
            secrets,
            webhook: c.webhook.as_ref().map(|_| format!("/v1/hooks/{}", c.name)),
            tools: tools.map(ToolView::from).collect(),
        }
    }
}

/// One Cedar file.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicySource)]
pub(crate) struct SourceView {
    /// Path inside the project.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A Policy spec.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicySpec)]
pub(crate) struct PolicySpecView {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// How long an approval request waits for a person.
    pub approval_expires: Option<String>,
    /// The queues it is for; all when empty.
    pub queues: Vec<String>,
}

/// The active policies.
#[derive(Serialize, ToSchema)]
#[schema(as = Policies)]
pub(crate) struct PoliciesView {
    /// Always `policies`.
    pub object: &'static str,
    /// Content address of the policy set: receipts cite it.
    #[schema(value_type = Option<String>)]
    pub version: Option<Digest>,
    /// The active bundle.
    #[schema(value_type = Option<String>)]
    pub bundle: Option<Digest>,
    /// The Cedar texts.
    pub cedar: Vec<SourceView>,
    /// What stands beside them.
    pub specs: Vec<PolicySpecView>,
}

impl PoliciesView {
    /// Of what is active; empty before the first deployment.
    pub fn new(active: Option<&tollgate_core::ports::Active>) -> Self {
        let spec = active.map(|a| &a.bundle.spec);
        Self {
            object: "policies",
            version: active.map(|a| a.policy.version()),
            bundle: active.map(|a| a.bundle.digest),
            cedar: spec
                .map(|s| s.cedar.iter().map(|c| SourceView { path: c.path.clone(), text: c.text.clone() }).collect())
                .unwrap_or_default(),
            specs: spec
                .map(|s| {
                    let view = |p: &tollgate_core::spec::PolicySpec| PolicySpecView {
                        name: p.name.clone(),
                        description: p.description.clone(),
                        approval_expires: p.approval_expires.map(|s| show_span(s.0)),
                        queues: p.queues.clone(),
                    };
                    s.policies.values().map(view).collect()
                })
                .unwrap_or_default(),
        }
    }
}

/// A secret, without its value.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct SecretView {
    /// Its name.
    pub name: String,
    /// Always `secret`.
    pub object: &'static str,
    /// Counts up with every change.
    pub version: u32,
    /// When it was last set; null in the answer that sets it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

impl From<SecretInfo> for SecretView {
    fn from(s: SecretInfo) -> Self {
        Self { name: s.name, object: "secret", version: s.version, updated_at: Some(s.updated_at) }
    }
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    /// Its id.
    #[schema(value_type = String, example = "key_01hzy0000000000000000000000")]
    pub id: KeyId,
    /// Always `api_key`.
    pub object: &'static str,
    /// The service account's name, as receipts show it.
    pub name: String,
    /// `live` or `test`.
    pub mode: &'static str,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<ApiKeyRecord> for KeyView {
    fn from(k: ApiKeyRecord) -> Self {
        Self {
            id: k.id,
            object: "api_key",
            name: k.name,
            mode: k.scope.mode.as_str(),
            scopes: k.scopes,
            created_at: k.created_at,
            revoked_at: k.revoked_at,
        }
    }
}

/// A new API key. The key itself is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(crate) struct NewKeyView {
    /// The record.
    #[serde(flatten)]
    pub record: KeyView,
    /// The key: keep it now, it is never shown again.
    pub key: String,
}
