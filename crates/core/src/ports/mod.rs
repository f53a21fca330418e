//! The ports: what the core asks of the outside, as traits and their command types.

mod clock;
mod operators;
mod policy;
mod tools;
mod vault;
mod webhooks;

pub use clock::{Clock, Entropy, IdSource};
pub use operators::Reasoner;
pub use policy::PolicyEngine;
pub use tools::{CallRequest, RenderError, Rendered, ToolCaller, VerifyAnswer};
pub use vault::{Sealed, Sealer, SecretCiphertext, SecretLease, SecretSource, SubjectKeyRow, VaultError, sealed_key_id};
pub use webhooks::{VerifiedWebhook, WebhookError, WebhookVerifier};

/// A boxed future: types are erased at module borders.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
