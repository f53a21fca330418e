//! Specs as plain data: what a project's YAML says once it is parsed and every default is filled in.
//!
//! The texts of expressions and templates stay texts here; `expr` compiles them. The grammar (places, nearest
//! names, unknown fields) belongs to the `spec` crate. These types serialise canonically: a bundle is their hash.

mod bundle;
mod connector;
mod dispatch;
mod operator;
mod policy;
mod tool;

pub use bundle::{BundleSpec, CAPABILITY_PREFIX};
pub use connector::{AuthSpec, ConnectorSpec, EgressSpec, SignatureEncoding, Transport, WebhookScheme, WebhookSpec};
pub use dispatch::{ConcurrencySpec, DispatchSpec};
pub use operator::{ActionTemplate, OperatorSpec, Ordering, ValueTemplate};
pub use policy::{PolicySource, PolicySpec};
pub use tool::{Effect, FilesOp, Grade, HttpRequestSpec, OnUnknown, RetrySpec, ToolRequest, ToolSpec, UndoSpec, VerifySpec};
