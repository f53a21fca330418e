//! Connectors: HTTP tools from specs, local files, webhook verification and the egress guard.
//!
//! Compiles a bundle's connectors and tools into the ports [`tollgate_core::ports::ToolCaller`] and
//! [`tollgate_core::ports::WebhookVerifier`]. Knows nothing of stores, servers or where secrets are kept: a secret comes
//! in as a lease for one call and never leaves in a message, an output or a log.

mod commit;
mod compile;
mod connectors;
mod egress;
mod fault;
mod files;
mod http;
mod schema;
mod scrub;
mod template;
mod undo;
mod verify;
mod webhook;

#[cfg(test)]
mod tests;

pub use connectors::Connectors;
pub use fault::ConnectorFault;
